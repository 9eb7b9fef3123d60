"""How often flux is called unlike the training set: of stars alike, over the dial, of no stars."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import beta

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.observed import Observed
from starsmith.learners.preprocess import Normaliser
from starsmith.learners.transfer.samples import Sample
from starsmith.learners.typical import Typical

__all__ = ["FlagSet", "flag_rows", "share_text", "typical_flags"]

PARTS = ("distance", "residual", "structure")
SNR_EDGES = (0.0, 50.0, 100.0, np.inf)  # groups whose shares are told apart


@dataclass(frozen=True, eq=False)
class FlagSet:
    """Spectra whose flags are counted.

    Attributes
    ----------
    name : str
        What they are.
    sample : Sample
    """

    name: str
    sample: Sample


def share_text(n_inside: int, n: int) -> str:
    """Share with its 95 % binomial interval (Clopper & Pearson 1934)."""
    low = beta.ppf(0.025, n_inside, n - n_inside + 1) if n_inside else 0.0
    high = beta.ppf(0.975, n_inside + 1, n - n_inside) if n_inside < n else 1.0
    digits = 2 if n < 1000 else 3
    return f"{n_inside / n:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def typical_flags(typical: Typical, statistics: Normaliser, seen: Observed) -> np.ndarray:
    """Which of three statistics of each spectrum is above its limit, bool (n_spec, 3)."""
    found = typical.statistics(seen, statistics.mean, statistics.std)
    with np.errstate(invalid="ignore"):
        return found > typical.limits


def shares_by_snr(flagged: np.ndarray, seen: Observed) -> dict[str, float]:
    """Share that is flagged in each range of S/N per pixel; NaN of none, empty without errors."""
    if seen.error is None:
        return {}
    snr, found = np.median(seen.flux / seen.error, axis=1), {}
    for low, high in pairwise(SNR_EDGES):
        inside = (snr >= low) & (snr < high)
        name = f"S/N {low:g}-{high:g}" if np.isfinite(high) else f"S/N above {low:g}"
        found[name] = float(flagged[inside].mean()) if inside.any() else np.nan
    return found


def flag_rows(view: TrainingView, sets: Iterable[FlagSet]) -> list[dict]:
    """A row for each set of spectra: the share that is flagged, what flags it, and at what S/N.

    Parameters
    ----------
    view : TrainingView
        What a model learns from and chooses by: the limits are of its validation spectra.
    sets : iterable of FlagSet
        On the same pixels.
    """
    normaliser = Normaliser.fit(view.train)
    typical = Typical.measure(view, normaliser.mean, normaliser.std)
    if typical is None:
        return []
    rows = []
    for each in sets:
        seen = each.sample.observe()
        above = typical_flags(typical, normaliser, seen)
        flagged = above.any(axis=1)
        row: dict[str, object] = {"spectra": each.name, "n": len(above)}
        row["flagged"] = share_text(int(flagged.sum()), len(above))
        row |= dict(zip(PARTS, above.mean(axis=0).tolist(), strict=True))
        rows.append(row | shares_by_snr(flagged, seen))
    return rows
