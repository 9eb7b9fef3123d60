"""Refusal of priors that reach into cells where a grid is interpolated badly."""

from collections.abc import Mapping

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.quality_map import INTERPOLATION, QualityMap, recorded_maps
from starsmith.simulator.prior import Prior

__all__ = ["require_grid_errors"]


def require_grid_errors(bank: Bank, prior: Prior, limits: Mapping[str, float]) -> None:
    """Refuse a prior with stars in cells whose errors of interpolation exceed limits.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        Of a population its stars count, else every cell its ranges touch.
    limits : mapping of str to float
        ``error`` [relative] and ``bias`` [of a label's bound at S/N 100], those asked for.

    Raises
    ------
    ConfigError
        If a cell is worse, or its error is not known.
    GridError
        If the bank's grid has no map of them.
    """
    record = recorded_maps(bank.grid).get(INTERPOLATION)
    if record is None:
        raise GridError(
            f"the errors of grid {bank.grid.get('name')!r} are not known; run 'specsim grid "
            "errors GRID' first, and render a bank file again"
        )
    known = QualityMap.of_record(record)
    inside = _cells(known, bank, prior)
    for name, limit in limits.items():
        if name not in known.values:
            raise GridError(f"the map of grid {bank.grid.get('name')!r} does not tell its {name}")
        bad = inside & ~(known.values[name] <= limit)
        if bad.any():
            raise ConfigError(_refusal(known, name, limit, bad, int(inside.sum())))


def _cells(known: QualityMap, bank: Bank, prior: Prior) -> np.ndarray:
    """Which cells hold stars of a prior."""
    inside = np.ones(next(iter(known.values.values())).shape, dtype=bool)
    if prior.population is not None:
        labels = prior.population.labels(bank.label_names)
        inside[:] = False
        column = dict(zip(bank.label_names, labels.T, strict=True))
        place = [
            np.clip(np.searchsorted(edges, column[name], side="right") - 1, 0, len(edges) - 2)
            for name, edges in known.edges.items()
        ]
        inside[tuple(place)] = True
        return inside
    for axis, (name, edges) in enumerate(known.edges.items()):
        low, high = prior.ranges[name]
        touched = (edges[:-1] < high) & (edges[1:] > low) if low < high else (
            (edges[:-1] <= low) & (edges[1:] >= low)
        )  # fmt: skip
        shape = [1] * inside.ndim
        shape[axis] = touched.size
        inside &= touched.reshape(shape)
    return inside


def _refusal(known: QualityMap, name: str, limit: float, bad: np.ndarray, n_inside: int) -> str:
    values = np.where(bad, known.values[name], -np.inf)
    worst = np.unravel_index(np.argmax(np.nan_to_num(values, nan=np.inf)), bad.shape)
    at = ", ".join(
        f"{label} {edges[i]:g}..{edges[i + 1]:g}"
        for (label, edges), i in zip(known.edges.items(), worst, strict=True)
    )
    spans = ", ".join(
        f"{label} {edges[rows.min()]:g}..{edges[rows.max() + 1]:g}"
        for (label, edges), rows in zip(known.edges.items(), np.nonzero(bad), strict=True)
    )
    return (
        f"--max-grid-{name} {limit:g}: {int(bad.sum())} of {n_inside} cells of the grid in these "
        f"ranges are worse or not known, the worst ({known.values[name][worst]:.2g}) at {at}; all "
        f"lie in {spans}: narrow the label ranges, or raise the limit"
    )
