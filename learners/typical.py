"""What training spectra look like: principal components, and how far real ones stray from them."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.constants import MAD_TO_SIGMA
from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.observed import Observed

__all__ = ["Typical"]

N_SAMPLE = 1024  # spectra: percentiles of 0.5 % need some hundred
N_COMPONENT = 16  # lines and colour of stars span some ten dimensions
PER_COMPONENT = 8  # spectra a component is measured on, at least
FEWEST = 20  # validation spectra: of fewer no range is known
TAIL = 0.5  # percent of the validation spectra beyond any of the three limits
MARGIN = 1.2  # limits are widened by so much: of 100 spectra they are estimates
PREFIX = "typical."
BLOCK = 256  # spectra at a time: arrays stay in the caches
STRIDE = 4  # every fourth pair of neighbours tells the noise of pixels


@dataclass(frozen=True, eq=False)
class Typical:
    """Components of standardised training spectra z, and limits of three statistics.

    With scores s = z Bᵀ and residual r = z - s B of a spectrum, over its usable pixels:

    * ``distance``: Σ s² / λ, Hotelling's T² (Jackson & Mudholkar 1979, Technometrics 21, 341);
    * ``residual``: mean of (r / σ)², σ the error of z: 1 where noise alone is left;
    * ``structure``: mean r² over that of pixel-to-pixel noise, from differences of neighbours.

    Attributes
    ----------
    basis : float32, shape (n_component, n_wave)
        Orthonormal.
    variance : float64, shape (n_component,)
        λ, of the scores of training spectra.
    limits : float64, shape (3,)
        Of the statistics, in that order: 99.5 % of the validation spectra stay below all three.
    """

    basis: np.ndarray
    variance: np.ndarray
    limits: np.ndarray

    @classmethod
    def measure(cls, view: TrainingView, mean: np.ndarray, std: np.ndarray) -> "Typical | None":
        """Measure on the first training and validation spectra; None of too few.

        Parameters
        ----------
        view : TrainingView
        mean, std : float64 arrays, shape (n_wave,)
            Of median-normalised training flux.
        """
        n_train, n_val = (min(len(split), N_SAMPLE) for split in (view.train, view.val))
        n_component = min(N_COMPONENT, n_train // PER_COMPONENT)
        if n_val < FEWEST or not n_component:
            return None
        seen = view.train.observe(slice(0, n_train))
        z, usable, level = _standardised(seen, mean, std)
        # else the noise of faint stars fills the components
        clear = z.astype(np.float64) / _scatter(z, _noise_level(seen, usable, level, std))[:, None]
        gram = clear @ clear.T  # (n_train, n_train): smaller than pixels by pixels
        values, vectors = (
            part[..., -n_component:] for part in np.linalg.eigh(gram)
        )  # largest last
        values = np.maximum(values, 1e-12 * values[-1])
        # orthonormal rows (n_component, n_wave)
        basis = ((vectors / np.sqrt(values)).T @ clear).astype(np.float32)
        variance = np.square(z @ basis.T, dtype=np.float64).mean(axis=0)
        plain = cls(basis, np.maximum(variance, 1e-12 * variance.max()), np.zeros(3))
        found = plain.statistics(view.val.observe(slice(0, n_val)), mean, std)
        known = ~np.isnan(found[:, 0])
        if not known.any():
            return None
        most = np.finfo(np.float64).max
        limits = np.full(3, most)  # of what spectra without an error lack
        there = ~np.isnan(found[known]).all(axis=0)
        # of validation spectra, which the components never saw
        tails = np.nanpercentile(found[known][:, there], 100.0 - TAIL / 3.0, axis=0)
        # with fewer pixels than components nothing is left, and the ratio has no end
        limits[there] = np.nan_to_num(MARGIN * tails, nan=most, posinf=most)
        return cls(basis, plain.variance, limits)

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
                weighed = left * (level[:, None] * std.astype(np.float32))
                weighed /= np.where(usable, seen.error, 1.0)
                found[:, 1] = np.einsum("ij,ij->i", weighed, weighed) / count
            # √2: a difference of two pixels
            pixel_noise = _row_median(steps) * MAD_TO_SIGMA / np.sqrt(2.0)
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
        return {f"{PREFIX}{name}": getattr(self, name) for name in ("basis", "variance", "limits")}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> "Typical | None":
        """Inverse of `tensors`; None where a checkpoint of before has none."""
        names = [f"{PREFIX}{name}" for name in ("basis", "variance", "limits")]
        if not set(names) <= set(tensors):
            return None
        return cls(*(tensors[name] for name in names))


def _row_median(values: np.ndarray) -> np.ndarray:
    """Median of each row without its NaN; NaN of a row that has nothing else."""
    half = values.shape[1] // 2
    ordered = np.partition(values, half, axis=1)  # NaN last
    found = ordered[:, half].copy()
    if not values.shape[1] % 2:
        found = 0.5 * (found + ordered[:, :half].max(axis=1))
    for row in np.flatnonzero(np.isnan(values).any(axis=1)):
        known = values[row][~np.isnan(values[row])]
        found[row] = np.median(known) if known.size else np.nan
    return found


def _scatter(z: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Scatter of each spectrum's z-scores (n_spec,): its noise, and what stars differ by.

    The latter is what the clearest quarter of spectra have beyond their noise.
    """
    clearest = noise <= np.quantile(noise, 0.25)
    of_stars = np.square(z[clearest]).mean() - np.square(noise[clearest]).mean()
    return np.sqrt(noise**2 + max(of_stars, 0.0))


def _noise_level(
    seen: Observed, usable: np.ndarray, level: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Median 1σ of each spectrum's z-scores (n_spec,); 1 where it has no error."""
    if seen.error is None:
        return np.ones(len(usable))
    with np.errstate(invalid="ignore", divide="ignore"):
        sigma = np.where(usable, seen.error / (level[:, None] * std), np.nan)
    found = _row_median(sigma)
    return np.where(found > 0, found, 1e6)  # a spectrum without a usable pixel counts nothing


def _standardised(
    seen: Observed, mean: np.ndarray, std: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Z-scores of flux over its median, float32, 0 where unusable; usable pixels; the medians."""
    usable = seen.usable
    flux = np.where(usable, seen.flux, np.nan).astype(np.float32, copy=False)
    level = _row_median(flux)
    usable = usable & (level > 0)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        flux /= level[:, None]
        flux -= mean.astype(np.float32)
        flux /= std.astype(np.float32)
    flux[~usable] = 0.0
    return flux, usable, level
