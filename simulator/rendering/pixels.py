"""From spectra of a grid to an instrument's pixels: line profile and pixel in one matrix."""

import numpy as np
import scipy

from starsmith.data_contract.constants import ANGSTROM_PER_NM, FWHM_TO_SIGMA
from starsmith.data_contract.errors import GridError
from starsmith.data_contract.kernels.lsf import N_SIGMA, fill_pixel_weights
from starsmith.simulator.instruments import Instrument, JoinedInstrument
from starsmith.simulator.instruments.light.extinction import REACH_PIXEL
from starsmith.simulator.instruments.light.lsf import (
    KERNEL_REACH_PIXEL,
    kernel_weights,
    pixel_kernel,
)

__all__ = ["pixel_operator", "remaining_sigma"]


def pixel_operator(
    grid_wave: np.ndarray, grid_resolution: float, instrument: Instrument | JoinedInstrument
) -> "scipy.sparse.csr_array":
    """Matrix from flux density at grid wavelengths to its mean over each pixel.

    Each row is the arm's line profile, less the Gaussian the grid's spectra already have
    (divided out in Fourier space; of two Gaussians, in quadrature), convolved with the pixel.
    Rows sum to one: a flat spectrum stays flat up to the edges.

    Parameters
    ----------
    grid_wave : float64 array, shape (n_grid,)
        Increasing vacuum wavelengths, any spacing [Å].
    grid_resolution : float
        wave / FWHM of the Gaussian profile the grid's spectra carry.
    instrument : Instrument or JoinedInstrument

    Returns
    -------
    operator : float64 csr_array, shape (n_wave, n_grid)

    Raises
    ------
    GridError
        If the grid is coarser than the instrument or does not cover it.
    """
    grid_wave = np.asarray(grid_wave, dtype=np.float64)
    _check_covered(grid_wave, instrument)
    rows = [_arm_operator(grid_wave, grid_resolution, one) for one in instrument.by_arm]
    if len(rows) == 1:
        return rows[0]
    return scipy.sparse.csr_array(scipy.sparse.vstack(rows, format="csr"))


def _check_covered(grid_wave: np.ndarray, instrument: Instrument | JoinedInstrument) -> None:
    """Refuse arms the grid does not reach around, all named at once."""
    outside = []
    for one in instrument.by_arm:
        low, high = _needed(one)
        if grid_wave[0] > low or grid_wave[-1] < high:
            outside.append(f"arm {one.arm.name!r} needs {low:.1f}-{high:.1f} Å")
    if outside:
        raise GridError(
            f"the grid covers {grid_wave[0]:.1f}-{grid_wave[-1]:.1f} Å, but of instrument "
            f"{instrument.name!r} {', '.join(outside)}; use arms the grid covers (the "
            "demonstration grid covers pfs_mr), or fetch and import a wider one: specsim grid "
            "fetch bosz2024, then specsim grid import"
        )


def _needed(one: Instrument) -> tuple[float, float]:
    """Wavelengths an arm's pixels see of a grid, at least [Å]."""
    arm = one.arm
    if arm.lsf == "gaussian":
        reach = N_SIGMA * FWHM_TO_SIGMA * one.lsf_fwhm(one.wave[[0, -1]])
    else:
        reach = np.full(2, REACH_PIXEL * arm.dispersion_nm * ANGSTROM_PER_NM)
    edge = arm.edge_nm * ANGSTROM_PER_NM
    return edge[0] - reach[0], edge[-1] + reach[1]


def _arm_operator(
    grid_wave: np.ndarray, grid_resolution: float, one: Instrument
) -> "scipy.sparse.csr_array":
    arm = one.arm
    edge = arm.edge_nm * ANGSTROM_PER_NM
    sigma = remaining_sigma(grid_resolution, one)
    step = np.diff(grid_wave)
    _check_sampled(grid_wave, step, sigma, one)
    gaussian = arm.lsf == "gaussian"
    reach = N_SIGMA * sigma if gaussian else KERNEL_REACH_PIXEL * np.diff(edge)
    first = np.searchsorted(grid_wave, edge[:-1] - reach)
    count = np.searchsorted(grid_wave, edge[1:] + reach, side="right") - first
    cell = 0.5 * (np.append(step, 0.0) + np.insert(step, 0, 0.0))
    row_start = np.concatenate([[0], np.cumsum(count)])
    if gaussian:
        weight = np.empty(row_start[-1])
        fill_pixel_weights(weight, first, count, row_start[:-1], edge, sigma, grid_wave, cell)
    else:
        kernel = pixel_kernel(one, grid_resolution)
        wave_nm, cell_nm = grid_wave / ANGSTROM_PER_NM, cell / ANGSTROM_PER_NM
        weight = kernel_weights(one, kernel, (first, count), wave_nm, cell_nm)
    column = np.arange(row_start[-1]) - np.repeat(row_start[:-1] - first, count)
    return scipy.sparse.csr_array((weight, column, row_start), shape=(arm.n_pixel, grid_wave.size))


def _check_sampled(
    grid_wave: np.ndarray, step: np.ndarray, sigma: np.ndarray, one: Instrument
) -> None:
    """Refuse a grid whose samples are wider apart than what is left of the profile."""
    nearest = np.searchsorted(grid_wave[1:-1], one.wave)
    if np.any(step[nearest] > sigma):
        worst = np.argmax(step[nearest] / sigma)
        raise GridError(
            f"the grid is sampled every {step[nearest][worst]:.3f} Å near "
            f"{one.wave[worst]:.1f} Å, but instrument {one.name!r} needs "
            f"{sigma[worst]:.3f} Å or finer; import the grid with more samples per line width"
        )


def remaining_sigma(grid_resolution: float, one: Instrument) -> np.ndarray:
    """Gaussian width still to be applied at each pixel of an arm [Å].

    Raises
    ------
    GridError
        If the grid's spectra are blurred more than the instrument would.
    """
    fwhm = one.lsf_fwhm(one.wave)
    grid_fwhm = one.wave / grid_resolution
    if np.any(grid_fwhm >= fwhm):
        finest = np.max(one.wave / fwhm)
        raise GridError(
            f"the grid's resolution is {grid_resolution:g}, but instrument {one.name!r} "
            f"reaches {finest:.0f} without its pixels; use a grid of higher resolution"
        )
    return FWHM_TO_SIGMA * np.sqrt(fwhm**2 - grid_fwhm**2)
