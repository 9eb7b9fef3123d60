"""How good measured radial velocities are: against the Cramér-Rao bound, never as an R²."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from starsmith.data_contract.constants import MAD_TO_SIGMA
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.learners.prediction.own_pixels import check_wave
from starsmith.learners.prediction.predict import Predictor
from starsmith.learners.preprocess import iterate_blocks

__all__ = ["VelocityRow", "VelocityScores", "score_velocity"]

OUTLIER = 30.0  # km/s; a spectrum shifted back by more is no longer at rest
REACH = (1.0, 2.0)  # stated σ, whose intervals are checked
BLOCK = 256


@dataclass(frozen=True, kw_only=True)
class VelocityRow:
    """Of the stars of one bin of S/N.

    Attributes
    ----------
    snr : str
        ``all``, or its edges.
    n : int
    known : float
        Share of velocities that stand out and have an error of 10 km/s or less.
    bound : float or None
        Median Cramér-Rao bound [km/s].
    sigma : float
        1.48 times the median error [km/s].
    over_bound : float or None
        1.48 times the median of error over bound; 1 is the best there is.
    outliers : float
        Share that errs by more than 30 km/s.
    coverage : tuple of float
        Share of the others within 1 and 2 stated σ.
    """

    snr: str
    n: int
    known: float
    bound: float | None
    sigma: float
    over_bound: float | None
    outliers: float
    coverage: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class VelocityScores:
    """Of all spectra of a split that have a known velocity."""

    model: str
    rows: tuple[VelocityRow, ...]

    def to_dict(self) -> dict:
        """Plain numbers, texts and lists."""
        return asdict(self)

    def table(self) -> list[dict]:
        """One line a bin."""
        return [
            {
                "model": self.model,
                "S/N": row.snr,
                "n": row.n,
                "known": f"{row.known:.2f}",
                "sigma [km/s]": f"{row.sigma:.2f}",
                "CRLB": "-" if row.bound is None else f"{row.bound:.2f}",
                "sigma/CRLB": "-" if row.over_bound is None else f"{row.over_bound:.2f}",
                "outliers": f"{row.outliers:.3f}",
                "in 1 sigma": f"{row.coverage[0]:.2f}",
                "in 2 sigma": f"{row.coverage[1]:.2f}",
            }
            for row in self.rows
        ]


def score_velocity(
    predictor: Predictor,
    split: Split,
    bound: np.ndarray | None = None,
    snr_edges: tuple[float, ...] = SNR_EDGES,
    progress: Callable[[int], None] | None = None,
) -> VelocityScores:
    """Measure the velocity of every spectrum of a split and hold it against the truth.

    Parameters
    ----------
    predictor : Predictor
    split : Split
        On the model's pixels.
    bound : float64 array, shape (n_spec,), optional
        Cramér-Rao bounds [km/s].
    snr_edges : tuple of float
    progress : callable, optional
        Called with the number of spectra done.

    Raises
    ------
    DataError
        If wavelengths are others, or no velocity is known.
    """
    check_wave(predictor.wave, split.wave, f"split {split.name!r}")
    truth = np.asarray(split.draws.rv, dtype=np.float64)
    there = np.isfinite(truth)
    if not there.any():
        raise DataError(
            f"split {split.name!r}: no star's radial velocity is known, so none can be scored; "
            "drop --velocity"
        )
    rv, error, known = np.empty(len(split)), np.empty(len(split)), np.zeros(len(split), dtype=bool)
    for rows in iterate_blocks(len(split), BLOCK):
        seen = split.observe(rows)
        for k in range(len(seen)):
            found = predictor.meter.measure(seen[k])
            rv[rows.start + k], error[rows.start + k] = found.rv, found.error
            known[rows.start + k] = found.known
        if progress is not None:
            progress(rows.start + len(seen))
    there &= np.isfinite(rv)
    spans = [("all", there)] + [
        (f"{low:g}-{high:g}", there & (split.snr >= low) & (split.snr < high))
        for low, high in pairwise(snr_edges)
    ]
    away, least = rv - truth, np.full(len(split), np.nan) if bound is None else bound
    rows = tuple(
        _row(name, away[some], error[some], known[some], least[some])
        for name, some in spans
        if some.any()
    )
    return VelocityScores(model=predictor.card["model"], rows=rows)


def _row(
    name: str, away: np.ndarray, error: np.ndarray, known: np.ndarray, bound: np.ndarray
) -> VelocityRow:
    away = np.abs(away)
    near, bounded = away <= OUTLIER, bool(np.isfinite(bound).all())
    covered = tuple(
        float(np.mean(away[near] < reach * error[near])) if near.any() else float("nan")
        for reach in REACH
    )
    return VelocityRow(
        snr=name,
        n=len(away),
        known=float(known.mean()),
        bound=float(np.median(bound)) if bounded else None,
        sigma=float(MAD_TO_SIGMA * np.median(away)),
        over_bound=float(MAD_TO_SIGMA * np.median(away / bound)) if bounded else None,
        outliers=float(np.mean(~near)),
        coverage=covered,
    )
