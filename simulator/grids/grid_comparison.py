"""Single stars out of a grid, and spectra brought to one resolution to be compared."""

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import gaussian_filter1d

from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.data_contract.errors import GridError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.rendering.interpolate import cardinal_weights

__all__ = ["interpolate_grid", "smooth_to_resolution"]

SAMPLES_PER_FWHM = 10.0


def interpolate_grid(
    grid: GridData, labels: Mapping[str, float], continuum: bool = False
) -> np.ndarray:
    """Spectrum of one star at the grid's own wavelengths.

    Parameters
    ----------
    grid : GridData
    labels : mapping of str to float
        A value on every axis of the grid [K, dex, ...].
    continuum : bool
        The line-free flux instead.

    Returns
    -------
    flux : float64, shape (n_wave,)
        Surface flux [erg/s/cm²/Å], by the tensor-product cubic spline of a bank.

    Raises
    ------
    GridError
        If a label is missing or outside, the grid has holes, or no continuum is stored.
    """
    if set(labels) != set(grid.axes):
        raise GridError(f"grid {grid.name}: labels {sorted(labels)}, expected {list(grid.axes)}")
    if not grid.valid.all():
        raise GridError(f"grid {grid.name} has holes; cut a box without them, or render a bank")
    values = grid.continuum if continuum else grid.flux
    if values is None:
        raise GridError(f"grid {grid.name} stores no continuum")
    for name, nodes in grid.axes.items():
        if not nodes[0] <= labels[name] <= nodes[-1]:
            raise GridError(
                f"grid {grid.name}: {name} {labels[name]:g} is outside {nodes[0]:g}..{nodes[-1]:g}"
            )
        values = np.tensordot(cardinal_weights(nodes, labels[name]), values, axes=1)
    return values


def smooth_to_resolution(wave: np.ndarray, flux: np.ndarray, resolution: float) -> np.ndarray:
    """Smooth a spectrum by a Gaussian of FWHM wave / resolution.

    Parameters
    ----------
    wave : float64, shape (n_wave,)
        Increasing, any sampling [Å].
    flux : float64, shape (n_wave,)
    resolution : float

    Returns
    -------
    smoothed : float64, shape (n_wave,)
    """
    n = int(np.ceil(np.log(wave[-1] / wave[0]) * resolution * SAMPLES_PER_FWHM))
    even = np.linspace(np.log(wave[0]), np.log(wave[-1]), max(n, wave.size))
    sigma = FWHM_TO_SIGMA / resolution / (even[1] - even[0])
    smoothed = gaussian_filter1d(np.interp(even, np.log(wave), flux), sigma, mode="nearest")
    return np.interp(np.log(wave), even, smoothed)
