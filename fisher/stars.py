"""Stars at chosen labels: everything not chosen is the middle of the prior."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.unit_conversion import plain_value
from starsmith.fisher.information.grid_nodes import middle_conditions
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import touches_filled

__all__ = ["free_labels", "prior_of", "star_at", "stars_at", "stars_at_magnitudes"]

MARGIN = 0.5  # beyond the magnitudes asked for, lest their prior's edge tell the amplitude


def prior_of(ranges: Mapping[str, tuple[float, float]]) -> Prior:
    """Prior with these ranges, as a data set's header records them."""
    return Prior(dict(ranges))


def free_labels(bank: Bank, prior: Prior, target: str) -> tuple[str, ...]:
    """Labels the prior varies, hence nobody knows; ConfigError if the target is not one."""
    names = tuple(n for n in bank.label_names if prior.ranges[n][1] > prior.ranges[n][0])
    if target not in names:
        raise ConfigError(f"--target {target!r} does not vary; the prior varies {list(names)}")
    return names


def stars_at(bank: Bank, prior: Prior, values: Mapping[str, np.ndarray | float]) -> Draws:
    """Stars under the middle of the prior's conditions.

    Parameters
    ----------
    bank : Bank
    prior : Prior
    values : mapping of str to float or float64 array, shape (n_spec,)
        Labels, and ``mag`` if it is to differ from the middle of its range.

    Returns
    -------
    draws : Draws
        Keyed as split ``test`` of seed 0; nothing in them is random.
    """
    values = {name: plain_value(name, value) for name, value in values.items()}
    known = (*bank.label_names, "mag")
    if unknown := sorted(set(values) - set(known)):
        raise ConfigError(f"--star {unknown}: not among {', '.join(known)}; leave them out")
    n_spec = np.broadcast(*values.values(), np.empty(1)).size
    columns = {
        name: np.broadcast_to(values.get(name, np.mean(prior.ranges[name])), n_spec)
        for name in known
    }
    return Draws(
        seed=0,
        split="test",
        index=np.arange(n_spec),
        label_names=bank.label_names,
        labels=np.column_stack([columns[n] for n in bank.label_names]).astype(np.float64),
        mag=columns["mag"].astype(np.float64),
        conditions=np.repeat(middle_conditions(prior), n_spec, axis=0),
    )


def star_at(bank: Bank, prior: Prior, values: Mapping[str, float]) -> Draws:
    """One star as in `stars_at`; GridError where the grid has a hole."""
    draws = stars_at(bank, prior, values)
    if touches_filled(bank, draws.labels)[0]:
        raise GridError(
            f"--star {dict(values)} leans on a hole of grid {bank.grid.get('name')!r}; choose "
            "other labels (`specsim grid info` lists the holes)"
        )
    return draws


def stars_at_magnitudes(prior: Prior, draws: Draws, mags: Sequence[float]) -> tuple[Prior, Draws]:
    """Repeat stars at each magnitude, under a prior on magnitude that is wider than them all.

    Returns
    -------
    prior : Prior
    draws : Draws
        The stars at the first magnitude, then at the second...; their noise is the same.
    """
    every = np.tile(np.arange(len(draws)), len(mags))
    mag = np.repeat(np.asarray(mags, dtype=np.float64), len(draws))
    wider = prior.with_ranges(mag=(min(mags) - MARGIN, max(mags) + MARGIN))
    return wider, replace(draws.take(every), mag=mag)
