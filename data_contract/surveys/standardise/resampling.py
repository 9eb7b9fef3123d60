"""Spectra brought onto other pixels by a matrix, and the noise that neighbours then share."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.observed import Observed

__all__ = ["METHODS", "Resampled", "arms_of", "pixel_edges", "resample", "resampling_matrix"]

METHODS = ("quintic", "linear", "conserving")
"""How flux is brought onto other pixels: Lagrange's polynomial through six neighbours, a straight
line through two, or the mean over each new pixel of pixels with sharp edges."""

GAP = 3.0  # median pixels; wider steps of wavelength lie between arms
MOST_BAD = 0.05  # share of a pixel's weight on unusable pixels, above which it is unusable too
LEAST_COVERED = 0.999  # of a new pixel, by pixels with sharp edges


@dataclass(frozen=True, kw_only=True)
class Resampled(Observed):
    """One spectrum on other pixels, an `Observed` of shape (n_wave,).

    Attributes
    ----------
    neighbour_covariance : float64, shape (n_wave - 1,), or None
        Of each pixel's noise with the next one's [flux²]; None without an error.
    correlation_length : float64, shape (n_wave,)
        Σ_k C_jk / C_jj [pixel], C the covariance of the noise: 1 where pixels are independent. The
        mean of many pixels has √length times the error that independent ones would give it.
    """

    neighbour_covariance: np.ndarray | None = None
    correlation_length: np.ndarray | None = None


def arms_of(wave: np.ndarray) -> list[np.ndarray]:
    """Indices of the pixels of each arm: between them wavelengths jump, or go back."""
    step = np.diff(wave)
    wide = step > GAP * np.median(step[step > 0]) if (step > 0).any() else step > 0
    return np.split(np.arange(wave.size), np.flatnonzero((step <= 0) | wide) + 1)


def pixel_edges(wave: np.ndarray) -> np.ndarray:
    """Edges of the pixels of one arm, midway between their centres, float64 (n_wave + 1,)."""
    middle = 0.5 * (wave[1:] + wave[:-1])
    return np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])


def resampling_matrix(source: np.ndarray, wave: np.ndarray, method: str) -> csr_array:
    """Matrix from flux densities on the pixels of one arm to those on others.

    Rows sum to 1: a flat spectrum stays flat. With ``conserving``, A_ji is the share of new pixel
    j that old pixel i covers, so Σ f Δλ is that of what both cover. A row of a wavelength outside
    the source is empty.

    Parameters
    ----------
    source : float64 array, shape (n_source,)
        Increasing [Å].
    wave : float64 array, shape (n_wave,)
        In any order for interpolation; arm after arm, each increasing, for ``conserving`` [Å].
    method : str
        One of `METHODS`.
    """
    if method not in METHODS:
        raise DataError(f"resampling {method!r} is not one of {', '.join(METHODS)}")
    if method == "conserving":
        return _overlaps(source, wave)
    n_tap = min(6 if method == "quintic" else 2, source.size)
    inside = np.flatnonzero((wave >= source[0]) & (wave <= source[-1]))
    right = np.searchsorted(source, wave[inside], side="right")
    first = np.clip(right - n_tap // 2, 0, source.size - n_tap)
    column = first[:, None] + np.arange(n_tap)
    weight = _lagrange(source[column], wave[inside])
    start = np.zeros(wave.size + 1, dtype=np.int64)
    start[inside + 1] = n_tap
    return csr_array(
        (weight.ravel(), column.ravel(), np.cumsum(start)), shape=(wave.size, source.size)
    )


def _lagrange(nodes: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Weights Π_m (x - x_m) / (x_k - x_m) of nodes (n, n_tap) for the polynomial's value there."""
    weight = np.ones(nodes.shape)
    for k in range(nodes.shape[1]):
        for m in range(nodes.shape[1]):
            if m != k:
                weight[:, k] *= (at - nodes[:, m]) / (nodes[:, k] - nodes[:, m])
    return weight


def _overlaps(source: np.ndarray, wave: np.ndarray) -> csr_array:
    """Share of each new pixel that each old one covers; rows not wholly covered are empty."""
    edge = pixel_edges(source)
    parts = [pixel_edges(wave[arm]) for arm in arms_of(wave)]
    low, high = (np.concatenate([p[s] for p in parts]) for s in (slice(None, -1), slice(1, None)))
    covered = np.minimum(high, edge[-1]) - np.maximum(low, edge[0])
    inside = covered >= LEAST_COVERED * (high - low)
    low, high = (np.clip(e, edge[0], edge[-1]) for e in (low, high))
    first = np.clip(np.searchsorted(edge, low, side="right") - 1, 0, source.size - 1)
    last = np.clip(np.searchsorted(edge, high, side="left"), first + 1, source.size)
    count = np.where(inside, last - first, 0)
    start = np.concatenate([[0], np.cumsum(count)])
    row = np.repeat(np.arange(wave.size), count)
    column = np.arange(start[-1]) - start[row] + first[row]
    share = np.minimum(high[row], edge[column + 1]) - np.maximum(low[row], edge[column])
    share /= (high - low)[row]
    return csr_array((share, column, start), shape=(wave.size, source.size))


@dataclass(frozen=True, eq=False)
class Operator:
    """A matrix from the pixels of an arm to others, and what follows from it alone.

    Attributes
    ----------
    matrix, squared, weight : csr_array, shape (n_wave, n_source)
        A, its elements squared, and their absolute values.
    total : float64, shape (n_wave,)
        Σ_i of the weights.
    handed : float64, shape (n_source,)
        Σ_j A_ji: what each old pixel hands on.
    """

    matrix: csr_array
    squared: csr_array
    weight: csr_array
    total: np.ndarray
    handed: np.ndarray

    @classmethod
    def of(cls, matrix: csr_array) -> "Operator":
        """What follows from a matrix."""
        weight = abs(matrix)
        return cls(matrix, matrix.power(2), weight, weight.sum(axis=1), matrix.sum(axis=0))


def resample(
    seen: Observed, wave: np.ndarray, method: str = "quintic", operator: Operator | None = None
) -> Resampled:
    """Bring one arm of one spectrum onto other pixels, and its noise with it.

    Flux is A f, its covariance A diag(σ²) Aᵀ. Unusable pixels are bridged by a straight line;
    a new pixel is unusable where more than 5 % of its weight lies on such, or beyond the arm.

    Parameters
    ----------
    seen : Observed
        Shape (n_source,), wavelengths increasing.
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].
    method : str
        One of `METHODS`.
    operator : Operator, optional
        A, instead of that of the method.

    Raises
    ------
    DataError
        If the method is unknown.
    """
    if operator is None:
        operator = Operator.of(resampling_matrix(seen.wave, wave, method))
    good = seen.usable
    bad = operator.weight @ (~good).astype(np.float64)
    usable = (operator.total > 0) & (bad <= MOST_BAD * operator.total) & (good.sum() > 1)
    flux, error, neighbour = np.zeros(wave.size), None, None
    variance = np.ones(seen.wave.size)
    if usable.any():
        flux = operator.matrix @ np.interp(seen.wave, seen.wave[good], seen.flux[good])
        if seen.error is not None:
            sigma = seen.error[good].astype(np.float64)
            variance = np.interp(seen.wave, seen.wave[good], sigma) ** 2
    own = operator.squared @ variance
    shared = operator.matrix @ (variance * operator.handed)
    if seen.error is not None:
        error = np.where(usable, np.sqrt(own), 1.0)
        neighbour = _neighbours(operator.matrix, np.sqrt(variance))
    return Resampled(
        wave=np.asarray(wave, np.float64),
        flux=np.where(usable, flux, 0.0),
        error=error,
        mask=np.where(usable, 0, mask_value("NO_DATA")).astype(np.uint32),
        neighbour_covariance=neighbour,
        correlation_length=np.where(usable, shared / np.where(usable, own, 1.0), 1.0),
    )


def _neighbours(matrix: csr_array, sigma: np.ndarray) -> np.ndarray:
    """Elements next to the diagonal of A diag(σ²) Aᵀ."""
    scaled = csr_array(
        (matrix.data * sigma[matrix.indices], matrix.indices, matrix.indptr), shape=matrix.shape
    )
    return scaled[:-1].multiply(scaled[1:]).sum(axis=1)
