"""Presets: the prior of a published data set, and one with the Galaxy's [α/M]."""

from dataclasses import replace

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.prior import Prior

__all__ = ["PRESETS", "settle"]

PRESETS: dict[str, dict[str, tuple[float, float]]] = {
    "specvit": {"seeing": (0.8, 0.8)},
    "galactic": {},
}
"""Name -> ranges in place of the defaults.

``specvit`` is the data set of the SpecViT paper as its author's notes describe it. Seeing did not
act in it: 12 x 900 s at 0.8 arcsec give its published S/N, the documented 1.0 arcsec does not.
``galactic`` draws [α/M] near what stars of the Galaxy have: 0 at [M/H] = 0, +0.4 below -1.
"""

ALPHA_WIDTH = 0.1  # of ``galactic`` about the trend [dex]
FREE_IN_SPECVIT = ("a_m", "c_m")  # where the grid has them


def settle(preset: str, bank: Bank, prior: Prior) -> Prior:
    """Complete the prior of a preset with what depends on the grid.

    In ``specvit`` one label of each star, chosen at random, is free within its range, and the
    others lie on the grid's nodes, as its simulator interpolates along one axis. The abundances
    [α/M] and [C/M] span the grid's axes where it has them and no range is given. In ``galactic``
    [α/M] lies within 0.1 of `alpha_of_metallicity`, on a grid that has the axis.

    Parameters
    ----------
    preset : str
        A name in `PRESETS`, or empty for none.
    bank : Bank
    prior : Prior

    Returns
    -------
    prior : Prior

    Raises
    ------
    ConfigError
        If the preset is not known, a range holds no node to snap a label to, stars come from a
        population, or the grid has no [α/M].
    """
    if not preset:
        return prior
    if preset not in PRESETS:
        raise ConfigError(f"--preset {preset!r} is not one of {list(PRESETS)}")
    if prior.population is not None:
        raise ConfigError(f"--preset {preset} draws its own stars; drop it, or --population")
    axes = dict(zip(bank.label_names, bank.axes, strict=True))
    if preset == "galactic" and "a_m" not in axes:
        raise ConfigError(
            f"--preset galactic draws [alpha/M], but the grid has only {list(axes)}; use one with "
            "that axis: specsim grid build --box 5d --out demo5d.zarr"
        )
    spans = {
        name: (float(axes[name][0]), float(axes[name][-1]))
        for name in FREE_IN_SPECVIT
        if name in axes and not np.any(prior.ranges[name])
    }
    if preset == "galactic":
        return replace(
            prior.with_ranges(a_m=spans.get("a_m", prior.ranges["a_m"])), alpha_width=ALPHA_WIDTH
        )
    prior = prior.with_ranges(**spans)
    nodes = {name: _inside(name, axis, prior.ranges[name]) for name, axis in axes.items()}
    return replace(prior, nodes=nodes)


def _inside(name: str, axis: np.ndarray, span: tuple[float, float]) -> tuple[float, ...]:
    """Nodes within a range; a constant label is its own node."""
    low, high = span
    if low == high:
        return (low,)
    nodes = tuple(float(node) for node in axis if low <= node <= high)
    if not nodes:
        raise ConfigError(
            f"--preset specvit puts labels on nodes, but the grid has none within {name} "
            f"{low:g}..{high:g}; widen the range"
        )
    return nodes
