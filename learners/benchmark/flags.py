"""How often flux is called unlike the training set: of stars alike, over the dial, of no stars."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.learners.preprocess import Normaliser
from starsmith.learners.transfer.samples import Sample
from starsmith.learners.typical import Typical

__all__ = ["FlagSet", "flag_rows", "share_text", "typical_flags"]

PARTS = ("distance", "residual", "structure")


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


def typical_flags(typical: Typical, statistics: Normaliser, sample: Sample) -> np.ndarray:
    """Which of three statistics of each spectrum is above its limit, bool (n_spec, 3)."""
    found = typical.statistics(sample.observe(), statistics.mean, statistics.std)
    with np.errstate(invalid="ignore"):
        return found > typical.limits


def flag_rows(view: TrainingView, sets: Iterable[FlagSet]) -> list[dict]:
    """A row for each set of spectra: the share that is flagged, and what flags it.

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
        above = typical_flags(typical, normaliser, each.sample)
        row: dict[str, object] = {"spectra": each.name, "n": len(above)}
        row["flagged"] = share_text(int(above.any(axis=1).sum()), len(above))
        rows.append(row | dict(zip(PARTS, above.mean(axis=0).tolist(), strict=True)))
    return rows
