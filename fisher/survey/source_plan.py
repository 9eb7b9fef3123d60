"""Exposures that sources need one by one, and what is seen with them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from starsmith.data_contract.noise.covariance import variance_line
from starsmith.data_contract.noise.noise_tables import NoiseTables
from starsmith.data_contract.quantities import LABELS
from starsmith.fisher.information.crlb import crlb_from_gram, whitened_gram
from starsmith.fisher.information.jacobian import Columns
from starsmith.fisher.survey.exposure_plan import EXP_COUNT, EXP_TIME, Goal, least_integer
from starsmith.simulator.planning.snr_rule import PixelLayout, SnrRule

__all__ = ["SourcePlan", "Sources", "plan_sources", "seen_with"]


@dataclass(frozen=True)
class Sources:
    """Sources at their own magnitudes under their own sky.

    Attributes
    ----------
    noise : NoiseTables
    layout : PixelLayout
    columns : Columns
        Flux, and its derivatives by whatever is fitted; none of a source that is no star.
    conditions : float64 array, shape (n_spec, 8)
    pixels : slice
        Those that tell labels, and that S/N is the median of; a rule says its own.
    """

    noise: NoiseTables
    layout: PixelLayout
    columns: Columns
    conditions: np.ndarray
    pixels: slice = field(default_factory=lambda: slice(None))

    def __len__(self) -> int:
        return len(self.conditions)

    def exposed(self, vary: str, one: tuple[float, float], numbers: np.ndarray) -> "Sources":
        """Return the sources with exposures of (number, length), one of them ``numbers``."""
        conditions = self.conditions.copy()
        conditions[:, EXP_COUNT], conditions[:, EXP_TIME] = one
        conditions[:, EXP_COUNT if vary == "exp_count" else EXP_TIME] = numbers
        return replace(self, conditions=conditions)

    @property
    def variance(self) -> np.ndarray:
        """Of the noise, float64 (n_spec, n_wave) [flux²]."""
        floor, slope = variance_line(self.noise, self.conditions)
        return floor + slope * np.maximum(self.columns.flux, 0.0)


@dataclass(frozen=True)
class SourcePlan:
    """Exposures source by source and what they give; arrays of shape (n_spec,).

    Attributes
    ----------
    exp_count, exp_time : float64
        Number of exposures, and the length of one [s]; the longest allowed where ``met`` is
        False.
    met : bool
    shortfall : float64
        What is wanted over what the longest exposure gives, the worst of all goals; up to 1
        where they are met. NaN without a goal.
    snr : dict of str to float64
        Median over pixels, per ``pixel``, ``angstrom`` and ``element``.
    rules : tuple of float64
        Signal-to-noise of each rule.
    sigma : dict of str to float64
        Cramér-Rao bound of every label that is fitted, and of ``rv`` [label, km/s].
    """

    exp_count: np.ndarray
    exp_time: np.ndarray
    met: np.ndarray
    shortfall: np.ndarray
    snr: dict[str, np.ndarray]
    rules: tuple[np.ndarray, ...]
    sigma: dict[str, np.ndarray]


def _sigma(sources: Sources, variance: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    if not names:
        return {}
    columns = sources.columns.at_pixels(sources.pixels)
    gram = whitened_gram(columns.values, variance[:, sources.pixels])
    return {name: np.sqrt(crlb_from_gram(gram, columns.names.index(name)).sigma2) for name in names}


def _shortfall(sources: Sources, goal: Goal) -> np.ndarray:
    """Worst of all goals: what is wanted over what is reached, float64 (n_spec,)."""
    variance = sources.variance
    snr = sources.columns.flux / np.sqrt(variance)
    sigma = _sigma(sources, variance, tuple(goal.sigma))
    ratios = [sigma[name] / wanted for name, wanted in goal.sigma.items()]
    with np.errstate(divide="ignore"):
        reached = [np.maximum(rule.of(snr, sources.layout), 0.0) for rule in goal.snr]
        ratios += [rule.at_least / one for rule, one in zip(goal.snr, reached, strict=True)]
    return np.max(ratios, axis=0)


def seen_with(sources: Sources, rules: Sequence[SnrRule] = ()) -> SourcePlan:
    """What the sources' own exposures give, whatever is wanted."""
    variance = sources.variance
    snr = sources.columns.flux / np.sqrt(variance)
    names = [name for name in sources.columns.names if name in (*LABELS, "rv")]
    own, factors = sources.pixels, sources.layout.factors
    return SourcePlan(
        exp_count=sources.conditions[:, EXP_COUNT],
        exp_time=sources.conditions[:, EXP_TIME],
        met=np.ones(len(sources), dtype=bool),
        shortfall=np.full(len(sources), np.nan),
        snr={per: np.median((snr * factor)[:, own], axis=1) for per, factor in factors.items()},
        rules=tuple(rule.of(snr, sources.layout) for rule in rules),
        sigma=_sigma(sources, variance, names),
    )


def plan_sources(
    sources: Sources, goal: Goal, one: tuple[float, float], longest: int
) -> SourcePlan:
    """Least exposure of each source that meets every goal.

    Parameters
    ----------
    sources : Sources
        Some tens of them: arrays of (n_spec, n_column, n_wave) are made.
    goal : Goal
        Its ``fraction``, ``n_star`` and ``seed`` do not matter here.
    one : (float, float)
        Number and length [s] of the exposures; ``goal.vary`` says which of them is looked for.
    longest : int
        The most of it.
    """
    last = sources.exposed(goal.vary, one, np.full(len(sources), float(longest)))
    shortfall = _shortfall(last, goal)
    least = least_integer(
        lambda numbers: _shortfall(sources.exposed(goal.vary, one, numbers), goal) <= 1.0,
        1,
        longest,
        len(sources),
    )
    met = least <= longest
    found = seen_with(sources.exposed(goal.vary, one, np.minimum(least, longest)), goal.snr)
    return replace(found, met=met, shortfall=shortfall)
