"""Radial velocity: a bank on a logarithmic wavelength grid, shifted before the pixels see it.

The line profile of the spectrograph acts on the shifted spectrum. Spectra are therefore kept
with a profile of constant R, which a shift leaves alone; what is left of the instrument's profile
is applied pixel by pixel, after the shift, together with the integration over the pixel.
"""

import numpy as np
import scipy

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.bank.velocity import VelocityTables
from starsmith.data_contract.constants import ANGSTROM_PER_NM, FWHM_TO_SIGMA, LIGHT_SPEED_KM_S
from starsmith.data_contract.errors import ConfigError, DataError, GridError
from starsmith.data_contract.kernels.lsf import N_SIGMA, fill_pixel_weights
from starsmith.data_contract.kernels.shift import collect_pixels
from starsmith.simulator.instruments import Instrument, JoinedInstrument
from starsmith.simulator.instruments.light.lsf import kernel_weights, pixel_kernel

__all__ = ["VELOCITY_STEP_KM_S", "VelocityGrid", "shift_to_pixels", "tables_for"]

VELOCITY_STEP_KM_S = 10.0  # of samples; 10 suits PFS
REACH_KM_S = 600.0  # velocities a bank is rendered for, as far as the grid covers them
N_PHASE = 32  # linear interpolation between phases errs by 1/(8 · 32²) of the curvature
SIGMA_SAMPLES = 1.1  # least width of a Gaussian on samples; aliasing is then exp(-12)
TAP_SIGMA = 4.5  # half-width of a Gaussian's pixel weights; the wings hold 7e-6
TAP_PIXEL = 16.0  # of other profiles; wings of the optics beyond hold 0.2 % of the light


class VelocityGrid:
    """Samples of constant velocity step for one stellar grid and instrument.

    Attributes
    ----------
    wave : float64 array, shape (n_sample,)
        [Å]
    resolution : float
        wave / FWHM of the profile the samples shall carry.
    operator : float64 csr_array, shape (n_sample, n_grid)
        From flux density at the grid's wavelengths to that at the samples.
    """

    def __init__(
        self,
        grid_wave: np.ndarray,
        grid_resolution: float,
        instrument: Instrument | JoinedInstrument,
        step_km_s: float,
    ):
        if not 0.1 <= step_km_s <= 100.0:
            raise ConfigError(f"velocity step {step_km_s:g} km/s is outside 0.1..100; 10 suits PFS")
        grid_wave = np.asarray(grid_wave, dtype=np.float64)
        self._name, self._arms = instrument.name, instrument.by_arm
        self.step = step_km_s / LIGHT_SPEED_KM_S  # in ln(wave): a velocity shifts all samples alike
        self.resolution = self._choose_resolution(grid_wave, grid_resolution)
        self.wave = self._choose_samples(grid_wave, grid_resolution)
        sigma = self.wave * np.sqrt(_variance(self.resolution) - _variance(grid_resolution))
        self.operator = _gaussian_operator(grid_wave, self.wave, sigma)

    def tables(self, coef: np.ndarray) -> VelocityTables:
        """Add prefiltered node spectra, float32 (n_node, n_sample), and the pixel weights."""
        first, weights = self._pixel_weights()
        return VelocityTables(
            step=self.step,
            resolution=self.resolution,
            wave=self.wave,
            coef=coef,
            first=first,
            weights=weights,
        )

    def _choose_resolution(self, grid_wave: np.ndarray, grid_resolution: float) -> float:
        """R of the samples: coarse enough for both samplings, fine enough for every arm."""
        step = fixed.log(grid_wave[-1] / grid_wave[0]) / (grid_wave.size - 1)
        # smooth enough to be sampled
        variance = max((SIGMA_SAMPLES * self.step) ** 2, _variance(grid_resolution) + step**2)
        finest = max(np.max(one.wave / one.lsf_fwhm(one.wave)) for one in self._arms)
        if variance + (SIGMA_SAMPLES * self.step) ** 2 > _variance(finest):
            raise GridError(
                f"a grid of resolution {grid_resolution:g} on steps of "
                f"{self.step * LIGHT_SPEED_KM_S:g} km/s is too coarse to shift spectra for "
                f"instrument {self._name!r} (R {finest:.0f} without its pixels); use "
                "a smaller velocity step, or a grid of higher resolution"
            )
        return float(FWHM_TO_SIGMA / np.sqrt(variance))

    def _choose_samples(self, grid_wave: np.ndarray, grid_resolution: float) -> np.ndarray:
        spans = [self._span(one) for one in self._arms]
        reach = 1.0 + REACH_KM_S / LIGHT_SPEED_KM_S
        # every pixel collects as many samples as the one that needs most
        most = max(np.max(fixed.log(last / first)) for first, last in spans) + 4 * self.step
        low = min(first[0] for first, _ in spans) / reach  # what the fastest approaching star shows
        high = max(first[-1] for first, _ in spans) * fixed.exp(most) * reach
        # the Gaussian must not feel the ends of the grid
        margin = 1.0 + N_SIGMA * FWHM_TO_SIGMA / self.resolution
        low = max(low, grid_wave[0] * margin)
        high = min(high, grid_wave[-1] / margin)
        n_sample = int(fixed.log(high / low) / self.step)
        return low * fixed.exp(self.step * np.arange(n_sample))

    def _span(self, one: Instrument) -> tuple[np.ndarray, np.ndarray]:
        """First and last wavelength that each pixel of an arm collects at rest [Å]."""
        edge = one.arm.edge_nm * ANGSTROM_PER_NM
        if one.arm.lsf == "gaussian":
            reach = TAP_SIGMA * self._left_sigma(one)
        else:
            reach = TAP_PIXEL * np.diff(edge)
        return edge[:-1] - reach, edge[1:] + reach

    def _left_sigma(self, one: Instrument) -> np.ndarray:
        """Gaussian width still to be applied at each pixel of an arm [Å]."""
        total = (FWHM_TO_SIGMA * one.lsf_fwhm(one.wave)) ** 2  # variance of the arm's profile [Å²]
        return np.sqrt(total - _variance(self.resolution) * one.wave**2)

    def _pixel_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """First sample at rest, and the weights of each phase; pixels of all arms."""
        per_arm = [self._arm_weights(one) for one in self._arms]
        n_tap = max(weights.shape[2] for _, weights in per_arm)
        first = np.concatenate([at for at, _ in per_arm])
        # arms that need fewer samples take more, of weight 0: on the red side while there are any
        surplus = np.maximum(first + n_tap - self.wave.size, 0)
        padded = np.zeros((N_PHASE + 1, first.size, n_tap), dtype=np.float32)
        pixel = 0
        for _, weights in per_arm:
            for j in range(weights.shape[1]):
                own = slice(surplus[pixel], surplus[pixel] + weights.shape[2])
                padded[:, pixel, own] = weights[:, j]
                pixel += 1
        return first - surplus, padded

    def _arm_weights(self, one: Instrument) -> tuple[np.ndarray, np.ndarray]:
        """First sample at rest and the weights of each phase, for the pixels of one arm."""
        place = fixed.log(np.array(self._span(one)))
        low, high = (place - fixed.log(self.wave[0])) / self.step
        first = np.floor(low).astype(np.int64) - 1  # a shift below one sample moves them by one
        n_tap = int(np.max(np.ceil(high) - first)) + 1
        if first[0] < 0 or first[-1] + n_tap > self.wave.size:
            raise GridError(
                f"the grid's {self.wave[0]:.0f}-{self.wave[-1]:.0f} Å leave no room to shift "
                f"spectra of instrument {self._name!r}, arm {one.arm.name!r}; import it over a "
                "wider range"
            )
        count = np.full(first.size, n_tap)
        start = n_tap * np.arange(first.size)
        edge, sigma = one.arm.edge_nm * ANGSTROM_PER_NM, self._left_sigma(one)
        kernel = None if one.arm.lsf == "gaussian" else pixel_kernel(one, self.resolution)
        weights = np.empty((N_PHASE + 1, first.size, n_tap), dtype=np.float32)
        flat = np.empty(first.size * n_tap)
        for phase in range(N_PHASE + 1):
            # a fraction of a step; whole steps only change the first sample
            moved = self.wave * fixed.exp(self.step * phase / N_PHASE)
            if kernel is None:
                fill_pixel_weights(flat, first, count, start, edge, sigma, moved, moved)
            else:
                moved_nm = moved / ANGSTROM_PER_NM
                flat = kernel_weights(one, kernel, (first, count), moved_nm, moved_nm)
            weights[phase] = flat.reshape(first.size, n_tap)
        return first, weights


def _variance(resolution: float) -> float:
    """Variance of the Gaussian of a resolution, in ln(wave)."""
    return (FWHM_TO_SIGMA / resolution) ** 2


def _gaussian_operator(
    grid_wave: np.ndarray, centres: np.ndarray, sigma: np.ndarray
) -> "scipy.sparse.csr_array":
    """Matrix from flux at grid wavelengths to its Gaussian mean around centres, rows of sum 1."""
    first = np.searchsorted(grid_wave, centres - N_SIGMA * sigma)
    count = np.searchsorted(grid_wave, centres + N_SIGMA * sigma, side="right") - first
    row_start = np.concatenate([[0], np.cumsum(count)])
    column = np.arange(row_start[-1]) - np.repeat(row_start[:-1] - first, count)
    offset = (grid_wave[column] - np.repeat(centres, count)) / np.repeat(sigma, count)
    weight = fixed.exp(-0.5 * offset**2) * np.gradient(grid_wave)[column]
    weight /= np.repeat(np.add.reduceat(weight, row_start[:-1]), count)  # rows of sum 1
    return scipy.sparse.csr_array((weight, column, row_start), shape=(centres.size, grid_wave.size))


def tables_for(bank: Bank, rv: np.ndarray) -> VelocityTables:
    """Velocity tables of a bank, checked to reach radial velocities [km/s].

    Raises
    ------
    DataError
        If the bank has no velocity tables, or they do not reach as far.
    """
    if bank.velocity is None:
        raise DataError(
            "this bank has no velocity tables, but --rv asks for radial velocities; render one "
            "with 'specsim bank --velocity-step 10', or drop --bank"
        )
    low, high = bank.velocity.limits_km_s
    if not (low <= np.min(rv) and np.max(rv) <= high):
        raise DataError(
            f"--rv {np.min(rv):g}..{np.max(rv):g} km/s leaves the bank's {low:.0f}..{high:.0f}; "
            "narrow it, or render from a grid of wider wavelength range"
        )
    return bank.velocity


def shift_to_pixels(tables: VelocityTables, samples: np.ndarray, rv: np.ndarray) -> np.ndarray:
    """Observe spectra given at the tables' samples, receding at ``rv``.

    Parameters
    ----------
    tables : VelocityTables
    samples : float32 array, shape (n_spec, n_sample)
        At rest.
    rv : float64 array, shape (n_spec,)
        [km/s]

    Returns
    -------
    flux : float32 array, shape (n_spec, n_wave)
        Flux density at wave is that at rest at wave / (1 + rv/c).
    """
    flux = np.empty((len(samples), tables.first.size), dtype=np.float32)
    # in samples
    shift = fixed.log1p(np.asarray(rv, dtype=np.float64) / LIGHT_SPEED_KM_S) / tables.step
    collect_pixels(flux, samples, tables.first, tables.weights, shift)
    return flux
