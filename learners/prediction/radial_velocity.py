"""A star's radial velocity, measured against the spectra that a model was trained on."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.surveys.standardise.resampling import arms_of
from starsmith.learners.preprocess import Statistics

__all__ = ["AT_REST", "UNKNOWN", "MeasuredVelocity", "Templates", "VelocityMeter"]

FASTEST, COARSE, FINE = 500.0, 20.0, 5.0  # km/s; a line of R = 4300 is 70 km/s wide
COARSE_GRID = np.arange(-FASTEST, FASTEST + COARSE / 2, COARSE)
AROUND = 25.0  # km/s on either side of the coarse best
SIGNIFICANT = 36.0  # of χ² above its least at every velocity far from the best
SLOPES = 4  # polynomials that the continuum is multiplied by, orders 0 to 3
FAR = 300.0  # km/s
LINE = 4.0  # pixels that a line is wide
SMOOTH = 1.2  # pixels (1σ), of lines four pixels wide: what is narrower in a template is noise
N_COMPONENT = 16  # of a bank's stars: more change no velocity at S/N 25
AT_REST = 15.0  # km/s; a PFS pixel
UNSURE = 10.0  # km/s; a velocity less certain moves lines by more than half a pixel
FEWEST = 100  # pixels that a velocity is measured on
LEAST_SHARE = 0.01  # of the posterior: modes with less are not told


@dataclass(frozen=True)
class MeasuredVelocity:
    """A radial velocity [km/s], receding positive.

    Attributes
    ----------
    rv, error : float
        Where χ² is least, and its 1σ.
    significant : bool
        Whether χ² is above its least by 36 at all velocities 300 km/s and more away; without,
        the number means nothing.
    share : float
        Of the posterior over ±500 km/s that lies in this mode.
    others : tuple of (float, float)
        Velocity and share of further modes with 1 % of it or more.
    """

    rv: float
    error: float
    significant: bool
    share: float = 1.0
    others: tuple[tuple[float, float], ...] = ()

    @property
    def known(self) -> bool:
        """Whether a spectrum can be moved by it."""
        return self.significant and self.error <= UNSURE

    @property
    def at_rest(self) -> bool:
        """Whether the star is known to be at rest: to 15 km/s, or 3σ."""
        return self.known and abs(self.rv) <= max(AT_REST, 3.0 * self.error)


UNKNOWN = MeasuredVelocity(float("nan"), float("inf"), significant=False, share=0.0)
"""Of a spectrum with too few usable pixels, or without a star."""


@dataclass(frozen=True)
class Templates:
    """What stars at rest look like: a mean, and directions in which they differ from it.

    Attributes
    ----------
    flux : float64, shape (1 + n_component, n_wave)
        The mean spectrum, of median 1, and components.
    variance : float64, shape (n_component,)
        Of the components' coefficients over stars.
    """

    flux: np.ndarray
    variance: np.ndarray

    @classmethod
    def of_training(cls, statistics: Statistics) -> "Templates":
        """Mean and components of a training set, smoothed: noise they keep tells a velocity."""
        mean, std = statistics.normaliser.mean, statistics.normaliser.std
        typical = statistics.typical
        basis = np.zeros((0, mean.size)) if typical is None else typical.basis.astype(np.float64)
        if not mean.any() and len(basis):  # forward models keep none
            mean, std = basis[-1] / np.median(basis[-1]), np.ones(mean.size)
            basis = basis[:-1]
        variance = np.zeros(0) if typical is None else typical.variance[: len(basis)]
        flux = np.vstack([mean[None], basis * std])
        return cls(scipy.ndimage.gaussian_filter1d(flux, SMOOTH, axis=1), variance)

    @classmethod
    def of_modes(cls, centre: np.ndarray, covariance: np.ndarray, modes: np.ndarray) -> "Templates":
        """Stars of a bank, without noise.

        Parameters
        ----------
        centre : float64 array, shape (n_mode,)
        covariance : float64 array, shape (n_mode, n_mode)
            Of the coefficients of stars of amplitude 1.
        modes : float64 array, shape (n_mode, n_wave)
            Flux of each.
        """
        variance, turned = np.linalg.eigh(covariance)
        leading = np.argsort(variance)[::-1][:N_COMPONENT]
        flux = np.vstack([centre, turned[:, leading].T]) @ modes
        return cls(flux / np.median(flux[0]), np.maximum(variance[leading], 1e-300))


class VelocityMeter:
    """Templates of a model's stars, shifted, and fitted to a star.

    At each velocity the star is the mean template times a cubic, plus components with their
    scatter as prior. The velocity is where χ² is least, by a parabola through the three best steps
    of 5 km/s; its error is where χ² has grown by 1, or the Cramér-Rao bound of the star that fits
    best where that is larger, times √(1 + 4 (χ²/n - 1)) where χ²/n is above 1. The
    posterior is a Gaussian at each minimum of χ² over ±500 km/s.

    Parameters
    ----------
    statistics : Statistics
        Of the training set.
    templates : Templates, optional
        Better ones than those of the training set.
    """

    def __init__(self, statistics: Statistics, templates: Templates | None = None):
        self.wave = statistics.wave
        own = templates or Templates.of_training(statistics)
        self.templates, self.prior = own.flux, own.variance

    @classmethod
    def of(cls, statistics: Statistics, estimator: Any) -> "VelocityMeter":
        """Meter of a model: by the stars of its bank where it knows them, else its training set."""
        features = getattr(estimator, "stars_at_rest", None)
        if features is None:
            return cls(statistics)
        modes = features.modes / features.weight
        return cls(statistics, Templates.of_modes(features.centre, features.covariance, modes))

    @cached_property
    def _coarse(self) -> list[np.ndarray]:
        """Templates at every coarse velocity, float32: 14 MB of 4096 pixels and 17 templates."""
        return [self._shifted(rv).astype(np.float32) for rv in COARSE_GRID]

    @cached_property
    def _arms(self) -> list[np.ndarray]:
        """Pixels of each arm that is long enough to be interpolated in."""
        return [arm for arm in arms_of(self.wave) if arm.size >= 4]

    @cached_property
    def _splines(self) -> "list[scipy.interpolate.CubicSpline]":
        spline = scipy.interpolate.CubicSpline
        return [spline(self.wave[a], self.templates[:, a].T) for a in self._arms]

    def _shifted(self, rv: float) -> np.ndarray:
        """Templates as a star of that velocity shows them, NaN outside, (n_wave, n_template)."""
        beta = rv / LIGHT_SPEED_KM_S
        at = self.wave * np.sqrt((1.0 - beta) / (1.0 + beta))
        seen = np.full((self.wave.size, len(self.templates)), np.nan)
        for arm, spline in zip(self._arms, self._splines, strict=True):
            inside = (at[arm] >= self.wave[arm[0]]) & (at[arm] <= self.wave[arm[-1]])
            seen[arm[inside]] = spline(at[arm[inside]])
        return seen

    def measure(self, seen: Observed) -> MeasuredVelocity:
        """Velocity of one spectrum on the model's pixels, unusable ones masked.

        Parameters
        ----------
        seen : Observed
            Shape (n_wave,); without an error every pixel weighs the same.

        Returns
        -------
        found : MeasuredVelocity
            `UNKNOWN` of fewer than 100 usable pixels, or where their median is not above 0.
        """
        usable = seen.usable
        level = float(np.median(seen.flux[usable])) if usable.sum() >= FEWEST else 0.0
        if not level > 0.0:
            return UNKNOWN
        flux = np.where(usable, seen.flux, 0.0).astype(np.float64) / level
        sigma = np.full(flux.size, 0.02)
        if seen.error is not None:
            sigma = np.where(usable, seen.error, 1.0).astype(np.float64) / level
        weight = np.where(usable, sigma**-2.0, 0.0)
        n_usable = usable.sum()
        chi2 = np.array([self._chi2(flux, weight, shifted) for shifted in self._coarse])
        best = COARSE_GRID[np.argmin(chi2)]
        far = chi2[np.abs(COARSE_GRID - best) > FAR].min()
        fine = best + np.arange(-AROUND, AROUND + FINE / 2, FINE)
        close = np.array([self._chi2(flux, weight, self._shifted(rv)) for rv in fine])
        rv, least, bend = _vertex(fine, close, int(np.argmin(close)))
        # what noise does not explain is lines, whose pixels err together
        scale = least if seen.error is None else 1.0 + LINE * max(0.0, least - 1.0)
        curved = np.sqrt(2.0 * scale / (bend * n_usable))
        error = max(curved, self._bound(flux, weight, rv) * np.sqrt(scale))
        above = (far - least) * n_usable / scale
        unit = n_usable / scale
        share, others = _modes(COARSE_GRID, chi2 * unit, rv, least * unit, float(error))
        return MeasuredVelocity(rv, float(error), bool(above > SIGNIFICANT), share, others)

    def _chi2(self, flux: np.ndarray, weight: np.ndarray, templates: np.ndarray) -> float:
        """χ² per usable pixel of the best combination of shifted templates."""
        there = np.isfinite(templates[:, 0]) & (weight > 0)
        w, y = weight[there], flux[there]
        normal, right, _ = self._equations(w, y, templates[there], there)
        return float((w @ y**2 - right @ np.linalg.solve(normal, right)) / there.sum())

    def _equations(
        self, w: np.ndarray, y: np.ndarray, templates: np.ndarray, there: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normal equations of a fit, (n, n) and (n,), and its columns (n_there, n)."""
        templates = templates.astype(np.float64)
        place = np.linspace(-1.0, 1.0, self.wave.size)[there]
        slopes = templates[:, :1] * np.polynomial.legendre.legvander(place, SLOPES - 1)
        design = np.hstack([slopes, templates[:, 1:]])
        prior = np.concatenate([np.zeros(SLOPES), 1.0 / self.prior])
        weighed = design.T * w
        return weighed @ design + np.diag(prior + 1e-9), weighed @ y, design

    def _bound(self, flux: np.ndarray, weight: np.ndarray, rv: float) -> float:
        """Cramér-Rao bound on the velocity of the star that fits best, all else fitted too.

        The curvature of χ² itself has the noise in it, and says too little where it is strong.
        """
        before, here, after = (self._shifted(rv + step) for step in (-FINE, 0.0, FINE))
        there = np.isfinite(before[:, 0] + here[:, 0] + after[:, 0]) & (weight > 0)
        w, y = weight[there], flux[there]
        normal, right, design = self._equations(w, y, here[there], there)
        best = np.linalg.solve(normal, right)
        low, high = (self._equations(w, y, one[there], there)[2] for one in (before, after))
        slope = (high - low) @ best / (2.0 * FINE)
        shared = (design.T * w) @ slope
        information = (w * slope) @ slope - shared @ np.linalg.solve(normal, shared)
        return float(1.0 / np.sqrt(max(information, 1e-12)))


def _vertex(rv: np.ndarray, chi2: np.ndarray, k: int) -> tuple[float, float, float]:
    """Place, depth and second derivative of the parabola through three neighbours."""
    k = int(np.clip(k, 1, rv.size - 2))
    step = rv[k] - rv[k - 1]
    left, middle, right = chi2[k - 1 : k + 2]
    bend = max(left - 2.0 * middle + right, 1e-12)
    moved = float(np.clip(0.5 * (left - right) / bend, -1.0, 1.0))
    return float(rv[k] + step * moved), float(middle - 0.5 * bend * moved**2), bend / step**2


def _modes(
    grid: np.ndarray, chi2: np.ndarray, rv: float, least: float, error: float
) -> tuple[float, tuple[tuple[float, float], ...]]:
    """Share of the posterior at the least χ², and the other minima with theirs.

    Each minimum of χ² holds e^(-χ²/2) σ of it, σ by the parabola through its steps.
    """
    inner = np.flatnonzero((chi2[1:-1] <= chi2[:-2]) & (chi2[1:-1] < chi2[2:])) + 1
    found = []
    for k in inner:
        place, depth, bend = _vertex(grid, chi2, int(k))
        if abs(place - rv) > 2.0 * COARSE:
            found.append((place, np.exp(-0.5 * max(depth - least, 0.0)) * np.sqrt(2.0 / bend)))
    total = error + sum(mass for _, mass in found)
    others = [(place, float(mass / total)) for place, mass in found]
    told = sorted((one for one in others if one[1] >= LEAST_SHARE), key=lambda one: -one[1])
    return float(error / total), tuple(told)
