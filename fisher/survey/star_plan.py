"""Exposures that each star of a list needs for its labels to be told well enough."""

from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.quantities import DUST
from starsmith.fisher.information.jacobian import Columns, label_columns
from starsmith.fisher.information.nuisances import velocity_column
from starsmith.fisher.survey.exposure_plan import Goal, exposure_units, fitted_labels, pixels_of
from starsmith.fisher.survey.source_plan import Sources, plan_sources
from starsmith.simulator.planning.snr_rule import PixelLayout
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import flux_of, touches_filled

__all__ = ["StarPlan", "plan_stars", "star_sources"]

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


def star_sources(
    bank: Bank,
    stars: Draws,
    names: tuple[str, ...],
    normalise: str = "free",
    *,
    velocity: bool = False,
) -> Sources:
    """Stars of a bank, with the derivatives by labels that are not known.

    Parameters
    ----------
    bank : Bank
    stars : Draws
        At rest; dust is seen through where the bank knows it.
    names : tuple of str
        Labels.
    normalise : str
        What is known of the amplitude, see `label_columns`.
    velocity : bool
        Whether the radial velocity is fitted too, as ``rv``.
    """
    columns = label_columns(bank, stars.labels, stars.mag, names, normalise)
    if getattr(stars, DUST).any():
        dimmed = flux_of(bank, stars) / flux_of(bank, replace(stars, **{DUST: None}))
        values, flux = columns.values * dimmed[:, None, :], columns.flux * dimmed
        columns = Columns(columns.names, values, flux)
    if velocity:
        slope = velocity_column(columns.flux, bank.wave, bank.noise.arms)
        columns = columns.extended("rv", slope)
    layout = PixelLayout.of(bank.instrument, bank.wave, bank.noise.arms)
    return Sources(bank.noise, layout, columns, stars.conditions)


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
    names = fitted_labels(bank, prior, goal)
    one, longest = exposure_units(prior, goal)
    number, snr, shortfall = (np.full(len(stars), np.nan) for _ in range(3))
    exists = np.flatnonzero(~touches_filled(bank, stars.labels))
    pixels = pixels_of(bank, goal.arm)
    fitted: tuple[str, ...] = names
    velocity = "rv" in goal.sigma
    for start in range(0, exists.size, BLOCK):
        rows = exists[start : start + BLOCK]
        sources = star_sources(bank, stars.take(rows), names, goal.normalise, velocity=velocity)
        found = plan_sources(replace(sources, pixels=pixels), goal, one, longest)
        shortfall[rows], met = found.shortfall, found.met
        varied = found.exp_count if goal.vary == "exp_count" else found.exp_time
        number[rows[met]], snr[rows[met]] = varied[met], found.snr["pixel"][met]
        fitted = sources.columns.names
    by_count = goal.vary == "exp_count"
    other = np.where(np.isfinite(number), one[1] if by_count else one[0], np.nan)
    return StarPlan(
        exp_count=number if by_count else other,
        exp_time=other if by_count else number,
        snr=snr,
        shortfall=shortfall,
        fitted=fitted,
    )
