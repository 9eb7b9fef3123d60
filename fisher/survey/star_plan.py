"""Exposures that each star of a list needs for its labels to be told well enough."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.noise.covariance import variance_line
from starsmith.data_contract.noise.view import median_snr
from starsmith.fisher.information.crlb import crlb_from_gram, whitened_gram
from starsmith.fisher.information.jacobian import Columns, label_columns
from starsmith.fisher.stars import free_labels
from starsmith.fisher.survey.exposure_plan import (
    EXP_COUNT,
    EXP_TIME,
    Goal,
    exposure_units,
    least_integer,
    pixels_of,
)
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import touches_filled

__all__ = ["StarPlan", "plan_stars"]

BLOCK = 64


@dataclass(frozen=True)
class StarPlan:
    """Exposures star by star; arrays of shape (n_spec,), NaN where the goal is out of reach.

    Attributes
    ----------
    exp_count, exp_time : float64
        Number of exposures, and the length of one [s].
    snr : float64
        Median S/N per pixel with these exposures.
    shortfall : float64
        Bound over wanted bound after the longest exposure allowed, the worst of the labels;
        NaN for a star that leans on a hole of the grid.
    fitted : tuple of str
    """

    exp_count: np.ndarray
    exp_time: np.ndarray
    snr: np.ndarray
    shortfall: np.ndarray
    fitted: tuple[str, ...]

    @property
    def time(self) -> np.ndarray:
        """Total exposure, float64 (n_spec,) [s]."""
        return self.exp_count * self.exp_time


@dataclass(frozen=True)
class _Block:
    """Some stars at their own magnitudes, and what is wanted of them."""

    bank: Bank
    columns: Columns
    conditions: np.ndarray
    goal: Goal
    one: tuple[float, float]

    def _variance(self, numbers: np.ndarray) -> np.ndarray:
        conditions = self.conditions.copy()
        conditions[:, EXP_COUNT], conditions[:, EXP_TIME] = self.one
        conditions[:, EXP_COUNT if self.goal.vary == "exp_count" else EXP_TIME] = numbers
        floor, slope = variance_line(self.bank.noise, conditions)
        pixels = pixels_of(self.bank, self.goal.arm)
        return floor[:, pixels] + slope[:, pixels] * np.maximum(self.columns.flux, 0.0)

    def shortfall(self, numbers: np.ndarray) -> np.ndarray:
        """Worst bound over wanted bound of every star, float64 (n_spec,)."""
        gram = whitened_gram(self.columns.values, self._variance(numbers))
        ratios = [
            np.sqrt(crlb_from_gram(gram, self.columns.names.index(name)).sigma2) / wanted
            for name, wanted in self.goal.sigma.items()
        ]
        return np.max(ratios, axis=0)

    def snr(self, numbers: np.ndarray) -> np.ndarray:
        """Median S/N per pixel of every star, float64 (n_spec,)."""
        return median_snr(self.columns.flux, np.sqrt(self._variance(numbers)))


def plan_stars(bank: Bank, prior: Prior, stars: Draws, goal: Goal) -> StarPlan:
    """Least exposure of each star by itself.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        Says which labels are fitted, and the exposure that the plan starts from.
    stars : Draws
        Labels, magnitudes and conditions; see `starsmith.fisher.stars.stars_at`.
    goal : Goal
        Its ``fraction``, ``n_star`` and ``seed`` do not matter here.

    Returns
    -------
    plan : StarPlan
    """
    names = next(iter([free_labels(bank, prior, label) for label in goal.sigma]))
    one, longest = exposure_units(prior, goal)
    number, snr, shortfall = (np.full(len(stars), np.nan) for _ in range(3))
    exists = np.flatnonzero(~touches_filled(bank, stars.labels))
    fitted: tuple[str, ...] = names
    for start in range(0, exists.size, BLOCK):
        rows = exists[start : start + BLOCK]
        some = stars.take(rows)
        columns = label_columns(bank, some.labels, some.mag, names, goal.normalise)
        columns = columns.at_pixels(pixels_of(bank, goal.arm))
        block = _Block(bank, columns, some.conditions, goal, one)
        shortfall[rows] = block.shortfall(np.full(rows.size, longest))
        least = least_integer(lambda n, b=block: b.shortfall(n) <= 1.0, 1, longest, rows.size)
        reached = least <= longest
        number[rows[reached]] = least[reached]
        snr[rows[reached]] = block.snr(np.minimum(least, longest))[reached]
        fitted = columns.names
    by_count = goal.vary == "exp_count"
    other = np.where(np.isfinite(number), one[1] if by_count else one[0], np.nan)
    return StarPlan(
        exp_count=number if by_count else other,
        exp_time=other if by_count else number,
        snr=snr,
        shortfall=shortfall,
        fitted=fitted,
    )
