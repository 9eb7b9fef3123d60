"""Groups of spectra that are scored apart: by S/N, by stellar type, by magnitude."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.quantities import SNR_EDGES

__all__ = ["BY", "STELLAR_TYPES", "Group", "default_mag_edges", "groups_of"]

BY = ("snr", "type", "mag")
"""What spectra can be grouped by."""

STELLAR_TYPES = (
    ("giants", -np.inf, 2.5),
    ("subgiants", 2.5, np.nextafter(4.0, np.inf)),
    ("dwarfs", np.nextafter(4.0, np.inf), np.inf),
)
"""Name, lowest and (excluded) highest true log g; the SpecViT paper's Table 5."""

MAG_STEP = 0.5


@dataclass(frozen=True)
class Group:
    """Some of the rows of a table of predictions.

    Attributes
    ----------
    by : str
        One of `BY`.
    name : str
        ``5-7``, ``giants``, ``21-21.5``.
    low, high : float
        Of the grouping quantity: low <= x < high.
    middle : float
        Its median in the group; nan if that is empty.
    rows : int64 array
    """

    by: str
    name: str
    low: float
    high: float
    middle: float
    rows: np.ndarray

    def __len__(self) -> int:
        return self.rows.size


def default_mag_edges(mag: np.ndarray) -> tuple[float, ...]:
    """Edges half a magnitude apart that hold every star; the last one is beyond the faintest."""
    low = np.floor(mag.min() / MAG_STEP) * MAG_STEP
    n = int(np.floor((mag.max() - low) / MAG_STEP)) + 1
    return tuple(float(low + MAG_STEP * k) for k in range(n + 1))


def groups_of(
    predictions: Predictions, by: str, edges: Sequence[float] | None = None
) -> tuple[Group, ...]:
    """Sort the rows of a table into groups.

    Parameters
    ----------
    predictions : Predictions
    by : str
        ``snr``; ``type``, by true log g; ``mag``.
    edges : sequence of float, optional
        Of ``snr`` or ``mag``; increasing. The standard ones by default.

    Raises
    ------
    DataError
        If the quantity is not in the table, or no spectrum falls in any bin.
    """
    values = _quantity(predictions, by)
    if by == "type":
        spans = STELLAR_TYPES
    else:
        edges = edges or (SNR_EDGES if by == "snr" else default_mag_edges(values))
        spans = [(_span_name(*pair), *pair) for pair in itertools.pairwise(edges)]
    groups = []
    for name, low, high in spans:
        rows = np.flatnonzero((values >= low) & (values < high))
        middle = float(np.median(values[rows])) if rows.size else float("nan")
        groups.append(Group(by, name, float(low), float(high), middle, rows))
    if not any(len(group) for group in groups):
        raise DataError(
            f"no spectrum of split {predictions.split!r} falls in the {by} bins "
            f"{', '.join(f'{edge:g}' for edge in edges or ())}; its {by} spans "
            f"{values.min():.3g}..{values.max():.3g}"
        )
    return tuple(groups)


def _quantity(predictions: Predictions, by: str) -> np.ndarray:
    if by not in BY:
        raise DataError(f"spectra are grouped by {', '.join(BY)}, not by {by!r}")
    if by == "snr":
        return predictions.snr
    if by == "type":
        if predictions.logg is None:
            raise DataError(
                "stellar types need the true log g of every star; predict again with this "
                "version, or with --target logg among the labels"
            )
        return predictions.logg
    if predictions.mag is None:
        raise DataError(
            "these predictions hold no magnitudes; write them again with `speclearn predict`"
        )
    return predictions.mag


def _span_name(low: float, high: float) -> str:
    return f"{low:g}-{high:g}" if np.isfinite(high) else f">{low:g}"
