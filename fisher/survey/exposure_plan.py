"""Exposures a survey needs: how long until enough stars' labels can be told well enough."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from starsmith.data_contract.arms import arm_named
from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.covariance import variance_line
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.data_contract.unit_conversion import plain_value
from starsmith.fisher.information.crlb import crlb_from_gram
from starsmith.fisher.information.jacobian import Columns, label_columns
from starsmith.fisher.information.nuisances import velocity_column
from starsmith.fisher.stars import free_labels, star_at
from starsmith.simulator.observe import draw_stars
from starsmith.simulator.planning.snr_rule import SnrRule
from starsmith.simulator.prior import Prior

__all__ = [
    "ExposurePlan",
    "Goal",
    "exposure_units",
    "fitted_labels",
    "least_integer",
    "pixels_of",
    "plan_exposures",
]

MAG_STEP = 0.01
MAG_SPAN = (5.0, 30.0)
EXP_TIME, EXP_COUNT = CONDITIONS.index("exp_time"), CONDITIONS.index("exp_count")
VARY = ("exp_count", "exp_time")


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a survey wants, and what it can spend.

    Attributes
    ----------
    sigma : mapping of str to float
        Label, or ``rv`` [km/s] -> largest Cramér-Rao bound allowed; a star must meet all of them
        [label].
    fraction : float
        Of the stars that must meet them, above 0 and up to 1.
    max_time : float
        Longest total exposure [s].
    vary : str
        ``exp_count``: whole exposures of the prior's length; ``exp_time``: the prior's number
        of exposures, longer ones.
    n_star : int
        Stars drawn from the prior.
    seed : int
    normalise : str
    arm : str
        Use the pixels of this arm alone; all of them if empty.
    snr : tuple of SnrRule
        Signal-to-noise that has to be reached too; of sources planned one by one.

    Examples
    --------
    >>> starsmith.Goal(sigma={"logg": 0.5}).vary
    'exp_count'
    """

    sigma: Mapping[str, float]
    fraction: float = 0.5
    max_time: float = 43200.0
    vary: str = "exp_count"
    n_star: int = 200
    seed: int = 0
    normalise: str = "free"
    arm: str = ""
    snr: tuple[SnrRule, ...] = ()

    def __post_init__(self):
        sigma = {name: plain_value(name, value) for name, value in self.sigma.items()}
        object.__setattr__(self, "sigma", sigma)
        object.__setattr__(self, "max_time", plain_value("exp_time", self.max_time))
        nothing = not self.sigma and not self.snr
        if nothing or min(self.sigma.values(), default=1.0) <= 0.0:
            raise ConfigError(
                f"--target-sigma {dict(self.sigma)}: write a label and a positive error, logg=0.3"
            )
        if not 0.0 < self.fraction <= 1.0:
            raise ConfigError(f"--fraction {self.fraction:g} is not above 0 and up to 1")
        if self.vary not in VARY:
            raise ConfigError(f"--vary {self.vary!r} is not one of {', '.join(VARY)}")


@dataclass(frozen=True)
class ExposurePlan:
    """Exposures by magnitude; NaN where the goal is out of reach.

    Attributes
    ----------
    mag : float64, shape (n_mag,)
    exp_count, exp_time : float64, shape (n_mag,)
        Number of exposures, and the length of one [s].
    snr : float64, shape (n_mag,)
        Median over stars of the median S/N per pixel with these exposures.
    shortfall : float64, shape (n_mag,)
        Bound over wanted bound of the star that decides, after the longest exposure allowed;
        up to 1 where the goal is met.
    mag_limit : float
        Faintest magnitude that meets the goal in the longest exposure [to 0.01].
    fitted : tuple of str
    """

    mag: np.ndarray
    exp_count: np.ndarray
    exp_time: np.ndarray
    snr: np.ndarray
    shortfall: np.ndarray
    mag_limit: float
    fitted: tuple[str, ...]

    @property
    def time(self) -> np.ndarray:
        """Total exposure, float64 (n_mag,) [s]."""
        return self.exp_count * self.exp_time


def least_integer(
    reaches: Callable[[np.ndarray], np.ndarray], low: int, high: int, size: int
) -> np.ndarray:
    """Bisect for the least whole number that reaches a goal, many goals side by side.

    Parameters
    ----------
    reaches : callable
        int64 (size,) -> bool (size,); once true, true for every larger number.
    low, high : int
        Smallest and largest number tried.
    size : int

    Returns
    -------
    least : int64 array, shape (size,)
        high + 1 where even ``high`` does not reach.
    """
    below = np.full(size, low - 1)
    above = np.full(size, high + 1)
    while np.any(above - below > 1):
        middle = np.clip((below + above) // 2, low, high)
        reached = reaches(middle)
        open_ = above - below > 1
        above = np.where(open_ & reached, middle, above)
        below = np.where(open_ & ~reached, middle, below)
    return above


@dataclass(frozen=True)
class _Sample:
    """Stars at magnitude zero, their derivatives and their conditions."""

    columns: Columns
    conditions: np.ndarray
    bank: Bank
    goal: Goal

    def noise(self, exp_count: float, exp_time: float) -> tuple[np.ndarray, np.ndarray]:
        """Floor and slope of the variance with these exposures of every star."""
        conditions = self.conditions.copy()
        conditions[:, EXP_COUNT], conditions[:, EXP_TIME] = exp_count, exp_time
        floor, slope = variance_line(self.bank.noise, conditions)
        pixels = pixels_of(self.bank, self.goal.arm)
        return floor[:, pixels], slope[:, pixels]

    def noise_by_count(self, exp_time: float) -> Callable[[float], tuple[np.ndarray, np.ndarray]]:
        """The same as a function of the number of exposures of one length.

        Everything averages as 1 / number but the residual of sky subtraction, which stays.
        """
        (one, slope), (two, _) = self.noise(1.0, exp_time), self.noise(2.0, exp_time)
        averaging, staying = 2.0 * (one - two), 2.0 * two - one
        return lambda number: (averaging / number + staying, slope / number)

    def _seen(self, mag: float, noise: tuple) -> tuple[float, np.ndarray, np.ndarray]:
        scale = 10.0 ** (-0.4 * mag)
        flux = scale * self.columns.flux
        floor, slope = noise
        return scale, flux, np.sqrt(floor + slope * np.maximum(flux, 0.0))

    def snr(self, mag: float, noise: tuple) -> float:
        """Median over stars of the median S/N per pixel."""
        _, flux, sigma = self._seen(mag, noise)
        return float(np.median(np.median(flux / sigma, axis=1)))

    def shortfall(self, mag: float, noise: tuple) -> float:
        """Bound over wanted bound of the last star that is needed; inf if it is blind."""
        scale, _, sigma = self._seen(mag, noise)
        whitened = self.columns.values * (scale / sigma)[:, None, :]
        gram = whitened @ whitened.transpose(0, 2, 1)
        ratios = [
            np.sqrt(crlb_from_gram(gram, self.columns.names.index(name)).sigma2) / wanted
            for name, wanted in self.goal.sigma.items()
        ]
        worst = np.max(ratios, axis=0)
        return float(np.quantile(worst, self.goal.fraction, method="inverted_cdf"))


def _sample(bank: Bank, prior: Prior, goal: Goal, star: Mapping[str, float] | None) -> _Sample:
    names = fitted_labels(bank, prior, goal)
    if star:
        labels = star_at(bank, prior, star).labels
        draws = replace(
            prior.draw(goal.seed, "test", np.arange(goal.n_star), bank.label_names),
            labels=np.repeat(labels, goal.n_star, axis=0),
        )
    else:
        draws = draw_stars(bank, prior, goal.seed, "test", np.arange(goal.n_star))
    return _Sample(_columns(bank, draws, names, goal), draws.conditions, bank, goal)


def fitted_labels(bank: Bank, prior: Prior, goal: Goal) -> tuple[str, ...]:
    """Labels the prior varies; ConfigError if the goal has one that it does not."""
    for label in goal.sigma:
        if label != "rv":
            free_labels(bank, prior, label)
    return tuple(n for n in bank.label_names if prior.ranges[n][1] > prior.ranges[n][0])


def _columns(bank: Bank, draws: Draws, names: tuple[str, ...], goal: Goal) -> Columns:
    columns = label_columns(bank, draws.labels, np.zeros(len(draws)), names, goal.normalise)
    if "rv" in goal.sigma:
        slope = velocity_column(columns.flux, bank.wave, bank.noise.arms)
        columns = columns.extended("rv", slope)
    return columns.at_pixels(pixels_of(bank, goal.arm))


def pixels_of(bank: Bank, arm: str) -> slice:
    """Pixels of one arm by its name or first letter, or all; DataError if there is no such."""
    return arm_named(bank.noise.arms, arm).pixels if arm else slice(None)


def plan_exposures(
    bank: Bank,
    prior: Prior,
    mag: np.ndarray,
    goal: Goal,
    star: Mapping[str, float] | None = None,
) -> ExposurePlan:
    """Least exposure at each magnitude, and the magnitude the longest exposure reaches.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        Stars and conditions are drawn from it; its exposure length and number are where the
        plan starts. Its magnitudes do not matter.
    mag : float64 array, shape (n_mag,)
    goal : Goal
    star : mapping of str to float, optional
        Labels of the one star that all are, under the prior's conditions.

    Returns
    -------
    plan : ExposurePlan

    Examples
    --------
    >>> goal = starsmith.Goal(sigma={"logg": 0.5})
    >>> plan = starsmith.plan_exposures(bank, prior, np.array([20.0, 21.0]), goal)
    >>> len(plan.mag)
    2
    """
    if goal.snr:
        raise ConfigError("a S/N is a goal of sources planned one by one: plan_targets")
    mag = plain_value("mag", mag)
    sample = _sample(bank, prior, goal, star)
    one, longest = exposure_units(prior, goal)
    n_mag = len(mag)
    by_count = goal.vary == "exp_count"
    noise_of = sample.noise_by_count(one[1]) if by_count else partial(sample.noise, one[0])

    def reaches(numbers: np.ndarray) -> np.ndarray:
        pairs = zip(mag, numbers, strict=True)
        return np.array([sample.shortfall(m, noise_of(number)) <= 1.0 for m, number in pairs])

    number = least_integer(reaches, 1, longest, n_mag).astype(np.float64)
    number[number > longest] = np.nan
    best = noise_of(longest)
    needed = [k for k in range(n_mag) if np.isfinite(number[k])]
    snr = np.full(n_mag, np.nan)
    snr[needed] = [sample.snr(mag[k], noise_of(number[k])) for k in needed]
    steps = [round(bound / MAG_STEP) for bound in MAG_SPAN]
    too_faint = least_integer(
        lambda step: np.array([sample.shortfall(s * MAG_STEP, best) > 1.0 for s in step]), *steps, 1
    )[0]
    return ExposurePlan(
        mag=np.asarray(mag, dtype=np.float64),
        exp_count=number if by_count else np.where(np.isfinite(number), one[0], np.nan),
        exp_time=np.where(np.isfinite(number), one[1], np.nan) if by_count else number,
        snr=snr,
        shortfall=np.array([sample.shortfall(m, best) for m in mag]),
        mag_limit=float(np.round((too_faint - 1) * MAG_STEP, 2))
        if too_faint > steps[0]
        else np.nan,
        fitted=sample.columns.names,
    )


def exposure_units(prior: Prior, goal: Goal) -> tuple[tuple[float, float], int]:
    """(number, length) of the exposures a plan starts from, and the most of what it varies."""
    count = float(np.floor(np.mean(prior.ranges["exp_count"])))
    length = float(np.mean(prior.ranges["exp_time"]))
    if goal.vary == "exp_count":
        one, longest = (1.0, length), int(goal.max_time / length + 1e-9)
    else:
        one, longest = (count, 1.0), int(goal.max_time / count + 1e-9)
    if longest < 1:
        raise ConfigError(
            f"--max-time {goal.max_time:g} s holds not one exposure ({count:g} of {length:g} s); "
            "raise it, or lower --exp-time"
        )
    return one, longest
