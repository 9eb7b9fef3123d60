"""What training spectra look like: principal components, and how far real ones stray from them."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from starsmith.data_contract.constants import MAD_TO_SIGMA
from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.observed import Observed
from starsmith.learners.row_median import row_median

__all__ = ["Typical"]

N_SAMPLE = 4096  # spectra: of fewer, rare stars are those that components leave most of
MOST_PIXELS = 2**24  # of the training spectra together: arrays of 128 MiB
N_COMPONENT = 16  # lines and colour of stars span some ten dimensions
PER_COMPONENT = 8  # spectra a component is measured on, at least
FEWEST = 20  # validation spectra: of fewer no range is known
TAIL = 1.0  # percent of the validation spectra beyond any of the three tails
WIDENED = 6.0  # over √n_val: share that limits are above the tails, which are estimates
N_LEADING, N_NEAR = 4, 8  # scores that tell which training spectra are near, and how many count
SURPLUS, ROUNDS = 8, 8  # components beyond those that are kept, and passes, until they stand
TINY = 1e-30
PREFIX = "typical."
PARTS, OF_NEARBY = ("basis", "variance", "limits"), ("nearby", "shape")
BLOCK = 256  # spectra at a time: arrays stay in the caches
STRIDE = 4  # every fourth pair of neighbours tells the noise of pixels


@dataclass(frozen=True, eq=False)
class Typical:
    """Components of standardised training spectra z, and limits of three statistics.

    With scores s = z Bᵀ and residual r = z - s B of a spectrum, over its usable pixels:

    * ``distance``: Σ s² / λ, Hotelling's T² (Jackson & Mudholkar 1979, Technometrics 21, 341);
    * ``residual``: mean of r² / (σ² + u v), σ the error of z, u v what components leave of
      training spectra nearby, beyond their noise: 1 where that and noise are left;
    * ``structure``: mean r² over that of pixel-to-pixel noise, from differences of neighbours.

    Attributes
    ----------
    basis : float32, shape (n_component, n_wave)
        Orthonormal.
    variance : float64, shape (n_component,)
        λ, of the scores of training spectra.
    limits : float64, shape (3,)
        Of the statistics, in that order: 99 % of the validation spectra stay below the tails, and
        limits are above those, by the more the fewer spectra there are.
    nearby : float64, shape (n_place, 2 + n_leading), optional
        Of training spectra: variance left beyond noise, its weight, and leading scores / √λ.
    shape : float64, shape (n_wave,), optional
        v, by which that variance differs from pixel to pixel; its mean is 1.
    """

    basis: np.ndarray
    variance: np.ndarray
    limits: np.ndarray
    nearby: np.ndarray | None = None
    shape: np.ndarray | None = None

    @classmethod
    def measure(cls, view: TrainingView, mean: np.ndarray, std: np.ndarray) -> "Typical | None":
        """Measure on the first training and validation spectra; None of too few.

        Parameters
        ----------
        view : TrainingView
        mean, std : float64 arrays, shape (n_wave,)
            Of median-normalised training flux.
        """
        n_most = max(PER_COMPONENT * N_COMPONENT, min(N_SAMPLE, MOST_PIXELS // len(mean)))
        n_train, n_val = (min(len(split), n_most) for split in (view.train, view.val))
        n_component = min(N_COMPONENT, n_train // PER_COMPONENT)
        if n_val < FEWEST or not n_component:
            return None
        seen = view.train.observe(slice(0, n_train))
        z, usable, level = _standardised(seen, mean, std)
        # else the noise of faint stars fills the components
        clear = z.astype(np.float64) / _scatter(z, _noise_level(seen, usable, level, std))[:, None]
        basis = _components(clear, n_component)
        variance = np.square(z @ basis.T, dtype=np.float64).mean(axis=0)
        plain = cls(basis, np.maximum(variance, 1e-12 * variance.max()), np.zeros(3))
        plain = plain._with_nearby(seen, mean, std)
        found = plain.statistics(view.val.observe(slice(0, n_val)), mean, std)
        known = ~np.isnan(found[:, 0])
        if not known.any():
            return None
        most = np.finfo(np.float64).max
        limits = np.full(3, most)  # of what spectra without an error lack
        there = ~np.isnan(found[known]).all(axis=0)
        # of validation spectra, which the components never saw
        margin = 1.0 + WIDENED / np.sqrt(known.sum())
        high = margin * np.nanpercentile(found[known][:, there], 100.0 - TAIL / 3.0, axis=0)
        if plain.nearby is not None and there[1]:
            high[1] -= (margin - 1.0) * np.nanmedian(found[known, 1])
        # with fewer pixels than components nothing is left, and the ratio has no end
        limits[there] = np.nan_to_num(high, nan=most, posinf=most)
        return replace(plain, limits=limits)

    def _with_nearby(self, seen: Observed, mean: np.ndarray, std: np.ndarray) -> "Typical":
        """The same with what the components leave of training spectra; as it is without errors."""
        if seen.error is None:
            return self
        z, usable, level = _standardised(seen, mean, std)
        scores = z @ self.basis.T
        noise = _noise_squared(seen, usable, level, std)
        excess = np.where(usable, np.square(z - scores @ self.basis) - noise, 0.0)
        weight = 1.0 / np.square(np.maximum(np.median(noise, axis=1), TINY))
        weight *= usable.any(axis=1)
        shape = np.maximum(weight @ excess, 0.0)
        if not shape.mean() > 0.0:
            return self
        left = excess.sum(axis=1) / np.maximum(usable.sum(axis=1), 1)
        nearby = np.column_stack([left, weight / weight.max(), self._leading(scores)])
        return replace(self, nearby=nearby, shape=shape / shape.mean())

    def _leading(self, scores: np.ndarray) -> np.ndarray:
        """Scores of the strongest components, in units of their spread; the last is strongest."""
        return scores[:, -N_LEADING:] / np.sqrt(self.variance[-N_LEADING:])

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.nearby[:, 2:])

    def _left_nearby(self, scores: np.ndarray) -> np.ndarray:
        """Variance that components leave of spectra like these, (n_spec, n_wave) or a 0."""
        if self.nearby is None:
            return np.zeros((1, 1))
        near = self._tree.query(self._leading(scores), k=min(N_NEAR, len(self.nearby)))[1]
        left, weight = self.nearby[near.reshape(len(scores), -1), :2].transpose(2, 0, 1)
        total = np.maximum(weight.sum(axis=1), TINY)
        usual = np.maximum((weight * left).sum(axis=1) / total, 0.0)
        return usual[:, None] * self.shape

    def statistics(self, seen: Observed, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """Distance, residual and structure of spectra, float64 (n_spec, 3).

        The residual is NaN without an error; all are of a spectrum without a positive median.
        """
        blocks = [slice(start, start + BLOCK) for start in range(0, len(seen), BLOCK)]
        return np.concatenate([self._of_block(seen[rows], mean, std) for rows in blocks])

    def _of_block(self, seen: Observed, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        z, usable, level = _standardised(seen, mean, std)
        scores = z @ self.basis.T  # (n_spec, n_component)
        left = z - scores @ self.basis
        left[~usable] = 0.0
        count = np.maximum(usable.sum(axis=1), 1)
        steps = np.abs(left[:, 1::STRIDE] - left[:, :-1:STRIDE])
        steps[~(usable[:, 1::STRIDE] & usable[:, :-1:STRIDE])] = np.nan
        found = np.full((len(z), 3), np.nan)
        found[:, 0] = (scores**2 / self.variance).sum(axis=1)  # Hotelling's T²
        with np.errstate(invalid="ignore", divide="ignore"):
            if seen.error is not None:
                usual = _noise_squared(seen, usable, level, std) + self._left_nearby(scores)
                found[:, 1] = (np.square(left, dtype=np.float64) / usual).sum(axis=1) / count
            # √2: a difference of two pixels
            pixel_noise = row_median(steps) * MAD_TO_SIGMA / np.sqrt(2.0)
            found[:, 2] = np.einsum("ij,ij->i", left, left) / count / pixel_noise**2
        found[~usable.any(axis=1)] = np.nan
        return found

    def is_unlike(
        self, seen: Observed, mean: np.ndarray, std: np.ndarray, interpolated: bool = False
    ) -> np.ndarray:
        """Whether a statistic of each spectrum is beyond its limit, bool (n_spec,).

        Spectra that were ``interpolated`` have noise in common with their neighbours: nothing
        follows from their structure.
        """
        above = self.statistics(seen, mean, std) > self.limits
        return above[:, :2].any(axis=1) if interpolated else above.any(axis=1)

    def tensors(self) -> dict[str, np.ndarray]:
        """Every array by the name it has in a checkpoint."""
        names = PARTS if self.nearby is None else (*PARTS, *OF_NEARBY)
        return {f"{PREFIX}{name}": getattr(self, name) for name in names}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> "Typical | None":
        """Inverse of `tensors`; None where a checkpoint of before has none."""
        names = [f"{PREFIX}{name}" for name in (*PARTS, *OF_NEARBY)]
        if not set(names[: len(PARTS)]) <= set(tensors):
            return None
        return cls(*(tensors.get(name) for name in names))


def _components(z: np.ndarray, n: int) -> np.ndarray:
    """Leading right singular vectors of spectra, float32 (n, n_wave), the strongest last."""
    if n + SURPLUS >= min(z.shape):
        return np.linalg.svd(z, full_matrices=False)[2][:n][::-1].astype(np.float32)
    scores = np.random.default_rng(0).standard_normal((len(z), n + SURPLUS))
    for _ in range(ROUNDS):  # subspace iteration, begun alike every time
        basis = np.linalg.qr(z.T @ scores)[0]
        scores = z @ basis
    found = np.linalg.svd(scores, full_matrices=False)[2][:n] @ basis.T
    return found[::-1].astype(np.float32)


def _scatter(z: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Scatter of each spectrum's z-scores (n_spec,): its noise, and what stars differ by.

    The latter is what the clearest quarter of spectra have beyond their noise.
    """
    clearest = noise <= np.quantile(noise, 0.25)
    of_stars = np.square(z[clearest]).mean() - np.square(noise[clearest]).mean()
    return np.sqrt(noise**2 + max(of_stars, 0.0))


def _noise_squared(
    seen: Observed, usable: np.ndarray, level: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Variance of the noise of z-scores, (n_spec, n_wave); 1 in unusable pixels."""
    with np.errstate(invalid="ignore", divide="ignore"):
        sigma = seen.error / (level[:, None] * std)
    return np.where(usable, np.square(sigma), 1.0)


def _noise_level(
    seen: Observed, usable: np.ndarray, level: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Median 1σ of each spectrum's z-scores (n_spec,); 1 where it has no error."""
    if seen.error is None:
        return np.ones(len(usable))
    with np.errstate(invalid="ignore", divide="ignore"):
        sigma = np.where(usable, seen.error / (level[:, None] * std), np.nan)
    found = row_median(sigma)
    return np.where(found > 0, found, 1e6)  # a spectrum without a usable pixel counts nothing


def _standardised(
    seen: Observed, mean: np.ndarray, std: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Z-scores of flux over its median, float32, 0 where unusable; usable pixels; the medians."""
    usable = seen.usable
    flux = np.where(usable, seen.flux, np.nan).astype(np.float32, copy=False)
    level = row_median(flux)
    usable = usable & (level > 0)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        flux /= level[:, None]
        flux -= mean.astype(np.float32)
        flux /= std.astype(np.float32)
    flux[~usable] = 0.0
    return flux, usable, level
