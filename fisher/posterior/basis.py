"""Spectra as a few numbers each: a basis in which sums over pixels become short.

A template m is projected on modes B (from a singular value decomposition of sample spectra,
whitened by the brightest star's noise), so that m = c B. Its inner products with any star
become short sums,

    S1 = Σ y m / v = (B y/v) · c,      S2 = Σ m² / v = (Q 1/v) · (Q m²),

where Q is a basis of squared templates and of the stars' inverse variances: what S2 loses is
the product of both remainders. The loss is measured on templates the bases have not seen.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from threadpoolctl import threadpool_limits

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import DataError
from starsmith.fisher.information.jacobian import median_slope
from starsmith.fisher.posterior.spline_cells import combine_nodes, find_cells
from starsmith.simulator.observe import draw_stars
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import interpolate

__all__ = ["Basis", "Stars", "build_basis", "leading_modes", "template_draws"]

FIRST_INDEX = 2**31  # templates are prior draws no data set reaches: rows 2^31 and up
N_SAMPLE = 1200  # prior draws that the modes are made from
N_CHECK = 200  # others that their loss is measured on
MODE_LOSS = 0.05  # of the brightest star's σ, root mean square over sample templates
SQUARE_LOSS = 3.0  # the same of squared templates; the stars' own modes take most of the rest
MAX_MODES = 320
SKETCHES = (128, 360)  # random directions: a range finder (Halko et al. 2011), and a larger one
ENOUGH = 0.7  # of the directions, as modes: the others find what the first miss
NODES = 256  # projected at a time
N_VARIANCE_MODES = 40  # of the stars' own inverse variances


def template_draws(bank: Bank, prior: Prior, seed: int, first: int, n: int) -> Draws:
    """Draws ``first..first+n`` of the prior's template sequence."""
    return draw_stars(bank, prior, seed, "train", FIRST_INDEX + np.arange(first, first + n))


@dataclass(frozen=True)
class Basis:
    """Short representation of spectra for sums weighted by inverse variance.

    Attributes
    ----------
    whiten : float64, shape (n_wave,)
        1 / σ of the brightest star, at unit amplitude [1/flux].
    modes : float64, shape (n_mode, n_wave)
        Orthonormal rows: whitened template = c @ modes.
    squares : float64, shape (n_square, n_wave)
        Orthonormal rows for squared whitened templates and inverse variances.
    node_modes : float32, shape (n_node, n_mode + 1)
        Bank coefficients, whitened and projected; last those of the band. Rounding is below
        1e-3 of the brightest star's σ.
    mag : float
        Magnitude at which a template has unit amplitude.
    normalise : str
        ``known``: templates divided by their median; else at ``mag``.
    loss : float
        Largest error of a template among those checked [σ of the brightest star].
    square_loss : float
        Largest error of A² S2 / 2 among the templates checked, for any of the stars.
    """

    whiten: np.ndarray
    modes: np.ndarray
    squares: np.ndarray
    node_modes: np.ndarray
    mag: float
    normalise: str
    loss: float
    square_loss: float

    def star_sums(self, stars: "Stars") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Star halves of S1 and S2 = Σ m²/v - |K c|².

        Returns
        -------
        cross : float64 array, shape (n_spec, n_mode)
        square : float64 array, shape (n_spec, n_square)
        shared : float64 array, shape (n_spec, n_shared, n_mode)
            K, from what errs in many pixels at once; n_shared is 0 for independent noise.
        """
        inverse = 1.0 / (stars.variance * self.whiten**2)  # in whitened flux
        shared = stars.shared_precision()  # Woodbury: U L⁻ᵀ of the modes all pixels share
        cross = stars.weighted_flux(shared) / self.whiten
        return (
            cross @ self.modes.T,
            inverse @ self.squares.T,
            (shared / self.whiten) @ self.modes.T,
        )

    @cached_property
    def square_modes(self) -> np.ndarray:
        """Inner products of modes weighted by each row of ``squares``.

        float64, shape (n_square, n_mode, n_mode): with a star's half p of S2, the sum
        p · square_modes is the matrix G for which S2 = c G c.
        """
        return np.stack([(self.modes * row) @ self.modes.T for row in self.squares])

    def project(self, bank: Bank, labels: np.ndarray) -> np.ndarray:
        """Coordinates c of templates, float64 (n_template, n_mode)."""
        return self.coordinates(bank, labels, ())[0]

    def coordinates(
        self, bank: Bank, labels: np.ndarray, names: tuple[str, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of templates and of their derivatives.

        Parameters
        ----------
        bank : Bank
        labels : float64 array, shape (n_template, n_label)
        names : tuple of str
            Labels to differentiate with respect to.

        Returns
        -------
        short : float64 array, shape (n_template, n_mode)
        slopes : float64 array, shape (n_template, n_name, n_mode)
        """
        cells = find_cells(bank, labels)
        found = combine_nodes(bank, cells, self.node_modes, labels)
        maggies = found[:, -1:]  # the last column is the band's
        unit = 10.0 ** (-0.4 * self.mag) / maggies  # of one star at the basis' magnitude
        short = unit * found[:, :-1]
        slopes = np.empty((len(labels), len(names), len(self.modes)))
        for k, name in enumerate(names):
            along = combine_nodes(bank, cells, self.node_modes, labels, name)
            # quotient rule: flux over band
            slopes[:, k] = unit * along[:, :-1] - (along[:, -1:] / maggies) * short
        if self.normalise == "known":
            flux = (short @ self.modes) / self.whiten
            median = np.median(flux, axis=1)[:, None]
            if names:
                # a known amplitude: normalised by the median
                change = median_slope(flux, (slopes @ self.modes) / self.whiten) / median
                slopes = slopes - short[:, None, :] * change[:, :, None]
            short, slopes = short / median, slopes / median[:, :, None]
        return short, slopes

    def square_sums(self, short: np.ndarray) -> np.ndarray:
        """Template half of S2, float64 (n_template, n_square)."""
        whitened = short @ self.modes
        np.square(whitened, out=whitened)  # in place: (n_template, n_wave) is large
        return whitened @ self.squares.T


@dataclass(frozen=True)
class Stars:
    """Observed stars.

    Attributes
    ----------
    flux : float array, shape (n_spec, n_wave)
    variance : float64, shape (n_spec, n_wave)
        Infinite where a pixel is masked.
    limits : float64, shape (n_spec, 3)
        Least, largest and known amplitude relative to a template; known is NaN if it is not.
    shared : float32, shape (n_spec, n_shared, n_wave), optional
        Modes U of noise that errs in many pixels at once: covariance is v + U U'.
    """

    flux: np.ndarray
    variance: np.ndarray
    limits: np.ndarray
    shared: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.flux)

    def take(self, rows: np.ndarray | slice) -> "Stars":
        """Return some of the stars."""
        shared = None if self.shared is None else self.shared[rows]
        return Stars(self.flux[rows], self.variance[rows], self.limits[rows], shared)

    def shared_precision(self) -> np.ndarray:
        """Whitened modes K with C⁻¹ = 1/v - K' K, float64 (n_spec, n_shared, n_wave).

        K = L⁻¹ U' / v, with L L' = 1 + U' U / v: no covariance of pixels is formed (Woodbury).
        """
        if self.shared is None or not self.shared.shape[1]:
            return np.zeros((len(self), 0, self.flux.shape[1]))
        shared = self.shared.astype(np.float64)
        inverse = shared / self.variance[:, None, :]
        small = np.eye(shared.shape[1]) + inverse @ shared.transpose(0, 2, 1)  # 1 + Uᵀ D⁻¹ U
        return np.linalg.solve(np.linalg.cholesky(small), inverse)

    def weighted_flux(self, shared: np.ndarray) -> np.ndarray:
        """C⁻¹ y of every star, float64 (n_spec, n_wave), with `shared_precision`."""
        seen = (shared @ self.flux[:, :, None])[:, :, 0]
        return self.flux / self.variance - np.einsum("ns,nsw->nw", seen, shared)


def leading_modes(rows: np.ndarray, tolerance: float) -> np.ndarray:
    """Orthonormal rows spanning ``rows`` (n, n_wave) to a root-mean-square remainder.

    Random combinations of the rows span their leading directions (Halko, Martinsson & Tropp
    2011); the eigenvectors of the small Gram matrix in that span put them in order. Singular
    values are good to 1e-8 of the first, well below any tolerance asked for here.
    """
    for n_sketch in SKETCHES if tolerance else SKETCHES[-1:]:
        modes = _modes_inside(rows, tolerance, n_sketch)
        if len(modes) <= ENOUGH * n_sketch or n_sketch >= min(rows.shape):
            break
    return modes


def _modes_inside(rows: np.ndarray, tolerance: float, n_sketch: int) -> np.ndarray:
    """Leading modes within the span of so many random combinations of the rows."""
    n, n_wave = rows.shape
    # fixed seed: the same basis every time
    mix = np.random.default_rng(0).standard_normal((n, min(n, n_wave, n_sketch)))
    span, _ = np.linalg.qr(rows.T @ mix)
    inside = rows @ span  # (n, n_sketch)
    values, vectors = np.linalg.eigh(inside.T @ inside)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    # what the first k modes leave, root mean square
    left = np.sqrt(np.maximum(np.sum(rows**2) - np.cumsum(values), 0.0) / n)
    n_mode = min(int(np.searchsorted(-left, -tolerance)) + 1, MAX_MODES, len(values))
    return np.ascontiguousarray((span @ vectors[:, :n_mode]).T)


def _sample_spectra(bank: Bank, prior: Prior, seed: int, mag: float, normalise: str) -> np.ndarray:
    draws = template_draws(bank, prior, seed, FIRST_INDEX // 2, N_SAMPLE + N_CHECK)
    spectra = interpolate(bank, draws.labels, np.full(len(draws), mag)).astype(np.float64)
    if normalise == "known":
        spectra /= np.median(spectra, axis=1)[:, None]
    return spectra


def _node_modes(bank: Bank, whiten: np.ndarray, modes: np.ndarray) -> np.ndarray:
    onto = (modes * whiten).T
    columns = np.empty((len(bank.pixel_coef), len(modes) + 1), dtype=np.float32)
    for start in range(0, len(columns), NODES):  # in float64, without a copy of the whole bank
        some = slice(start, start + NODES)
        columns[some, :-1] = bank.pixel_coef[some].astype(np.float64) @ onto
    columns[:, -1] = bank.band_coef
    return columns


@threadpool_limits.wrap(limits=1, user_api="blas")  # eight times the CPU time with two
def build_basis(
    bank: Bank,
    prior: Prior,
    stars: Stars,
    normalise: str = "free",
    seed: int = 0,
) -> Basis:
    """Find a basis good enough for the brightest of some stars.

    Parameters
    ----------
    bank : Bank
    prior : Prior
    stars : Stars
        Some hundreds are enough.
    normalise : str
        ``free``, ``absolute`` or ``known``.
    seed : int

    Returns
    -------
    basis : Basis

    Raises
    ------
    DataError
        If no star has a good pixel.
    """
    stars = stars.take(np.isfinite(stars.variance).any(axis=1))
    if not len(stars):
        raise DataError("every pixel of every star is masked: there is nothing to weigh")
    mag = float(np.mean(prior.ranges["mag"]))
    spectra = _sample_spectra(bank, prior, seed, mag, normalise)
    reference = spectra[:N_SAMPLE].mean(axis=0)
    inverse = 1.0 / stars.variance
    # of each star against the mean spectrum
    amplitude = np.sum(stars.flux * inverse * reference, axis=1) / np.sum(
        inverse * reference**2, axis=1
    )
    inverse *= amplitude[:, None] ** 2
    # weights of pixels follow the star that needs most
    brightest = int(np.argmax(np.sum(inverse * reference**2, axis=1)))
    # 1e-6: dead pixels keep a finite weight
    whiten = np.sqrt(np.maximum(inverse[brightest], 1e-6 * inverse[brightest].max()))
    spectra *= whiten
    modes = leading_modes(spectra[:N_SAMPLE], MODE_LOSS)
    check = spectra[N_SAMPLE:]
    # worst of the spectra no mode was made from
    loss = np.linalg.norm(check - (check @ modes.T) @ modes, axis=1).max()
    squared = leading_modes(spectra[:N_SAMPLE] ** 2, SQUARE_LOSS)
    shapes = inverse / whiten**2  # how stars weigh pixels otherwise than the brightest
    few = leading_modes(shapes / np.linalg.norm(shapes, axis=1)[:, None], 0.0)
    squares, _ = np.linalg.qr(np.vstack([few[:N_VARIANCE_MODES], squared]).T)
    left = check**2 - (check**2 @ squares) @ squares.T
    return Basis(
        whiten=whiten,
        modes=modes,
        squares=np.ascontiguousarray(squares.T),
        node_modes=_node_modes(bank, whiten, modes),
        mag=mag,
        normalise=normalise,
        loss=float(loss),
        square_loss=float(0.5 * np.abs(shapes @ left.T).max()),
    )
