"""Simulated stars as a star library would show them: any pixels, lines of one width."""

import numpy as np

from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.domains.seen_grid import see_grid

__all__ = ["library_stars"]


def library_stars(
    grid: GridData, wave: np.ndarray, fwhm: float, n: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Noiseless spectra of stars drawn uniformly over a grid.

    Parameters
    ----------
    grid : GridData
    wave : float64 array, shape (n_wave,)
        Centres of the pixels [vacuum Å].
    fwhm : float
        Of lines [Å].
    n, seed : int

    Returns
    -------
    labels : float64 array, shape (n, n_label)
        In the order of the grid's axes.
    flux : float64 array, shape (n, n_wave)

    Raises
    ------
    GridError
        If the grid does not cover the pixels.
    """
    seen = see_grid(grid, wave, np.full(wave.size, float(fwhm)))
    low, high = (np.array([axis[end] for axis in seen.axes]) for end in (0, -1))
    labels = np.random.default_rng([seed, 3]).uniform(low, high, (n, len(seen.axes)))
    return labels, seen.flux(labels)
