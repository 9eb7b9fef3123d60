"""A star's radial velocity, measured against the spectra that a model was trained on."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.surveys.standardise.resampling import arms_of
from starsmith.learners.preprocess import Statistics

__all__ = ["MeasuredVelocity", "VelocityMeter"]

FASTEST, COARSE, FINE = 800.0, 20.0, 2.0  # km/s; a line of R = 4300 is 70 km/s wide
COARSE_GRID = np.arange(-FASTEST, FASTEST + COARSE / 2, COARSE)
AROUND = 40.0  # km/s on either side of the coarse best
SIGNIFICANT = 36.0  # of χ² above its least at every velocity far from the best
SLOPES = 4  # polynomials that the continuum is multiplied by, orders 0 to 3
FAR = 300.0  # km/s
SMOOTH = 1.2  # pixels (1σ), of lines four pixels wide: what is narrower in a template is noise


@dataclass(frozen=True)
class MeasuredVelocity:
    """A radial velocity and its 1σ error [km/s], receding positive.

    ``significant`` says whether χ² is above its least by 36 at all velocities 300 km/s and more
    away; without, the number means nothing.
    """

    rv: float
    error: float
    significant: bool


class VelocityMeter:
    """Templates of a model's training set, shifted, and fitted to a star.

    At each velocity the star is the mean training spectrum times a cubic, plus principal
    components of the training set with their scatter as prior, all a little smoothed: noise that
    templates keep tells a wrong velocity, and a wrong error of it. The velocity is where χ² is
    least, by a parabola through the three best steps of 2 km/s; its error is where χ² has grown
    by 1, times √(χ²/n) where that is above 1.

    Parameters
    ----------
    statistics : Statistics
        Of the training set.
    """

    def __init__(self, statistics: Statistics):
        self.wave = statistics.wave
        mean, std = statistics.normaliser.mean, statistics.normaliser.std
        typical = statistics.typical
        basis = np.zeros((0, mean.size)) if typical is None else typical.basis.astype(np.float64)
        if not mean.any() and len(basis):  # forward models keep none
            mean, std = basis[-1] / np.median(basis[-1]), np.ones(mean.size)
            basis = basis[:-1]
        self.prior = np.zeros(0) if typical is None else typical.variance[: len(basis)]
        self.templates = gaussian_filter1d(np.vstack([mean[None], basis * std]), SMOOTH, axis=1)

    @cached_property
    def _coarse(self) -> list[np.ndarray]:
        """Templates at every coarse velocity, float32: 22 MB of 4096 pixels and 17 templates."""
        return [self._shifted(rv).astype(np.float32) for rv in COARSE_GRID]

    @cached_property
    def _arms(self) -> list[np.ndarray]:
        """Pixels of each arm that is long enough to be interpolated in."""
        return [arm for arm in arms_of(self.wave) if arm.size >= 4]

    @cached_property
    def _splines(self) -> list[CubicSpline]:
        return [CubicSpline(self.wave[a], self.templates[:, a].T) for a in self._arms]

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
        """
        usable = seen.usable
        level = float(np.median(seen.flux[usable]))
        flux = np.where(usable, seen.flux, 0.0).astype(np.float64) / level
        sigma = np.full(flux.size, 0.02)
        if seen.error is not None:
            sigma = np.where(usable, seen.error, 1.0).astype(np.float64) / level
        weight = np.where(usable, sigma**-2.0, 0.0)
        chi2 = np.array([self._chi2(flux, weight, shifted) for shifted in self._coarse])
        best = COARSE_GRID[np.argmin(chi2)]
        far = chi2[np.abs(COARSE_GRID - best) > FAR].min()
        fine = best + np.arange(-AROUND, AROUND + FINE / 2, FINE)
        close = np.array([self._chi2(flux, weight, self._shifted(rv)) for rv in fine])
        k = int(np.clip(np.argmin(close), 1, fine.size - 2))
        left, middle, right = close[k - 1 : k + 2]
        bend = max(left - 2.0 * middle + right, 1e-12)
        rv = fine[k] + 0.5 * FINE * (left - right) / bend
        scale = middle if seen.error is None else max(1.0, middle)
        error = FINE * np.sqrt(2.0 * scale / (bend * usable.sum()))
        above = (far - middle) * usable.sum() / scale
        return MeasuredVelocity(float(rv), float(error), bool(above > SIGNIFICANT))

    def _chi2(self, flux: np.ndarray, weight: np.ndarray, templates: np.ndarray) -> float:
        """χ² per usable pixel of the best combination of shifted templates."""
        there = np.isfinite(templates[:, 0]) & (weight > 0)
        templates, w, y = templates[there].astype(np.float64), weight[there], flux[there]
        place = np.linspace(-1.0, 1.0, self.wave.size)[there]
        slopes = templates[:, :1] * np.polynomial.legendre.legvander(place, SLOPES - 1)
        design = np.hstack([slopes, templates[:, 1:]])
        prior = np.concatenate([np.zeros(SLOPES), 1.0 / self.prior])
        normal = (design.T * w) @ design + np.diag(prior + 1e-9)
        right = (design.T * w) @ y
        best = np.linalg.solve(normal, right)
        return float((w @ y**2 - right @ best) / there.sum())
