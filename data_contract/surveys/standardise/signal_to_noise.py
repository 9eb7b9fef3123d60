"""Signal-to-noise of a spectrum from its flux alone."""

import numpy as np

from starsmith.data_contract.constants import MAD_TO_SIGMA
from starsmith.data_contract.errors import DataError

__all__ = ["measure_snr"]

SIXTH = np.array([1.0, -6.0, 15.0, -20.0, 15.0, -6.0, 1.0])


def measure_snr(flux: np.ndarray, usable: np.ndarray, native: bool) -> float:
    r"""Median flux over the noise that neighbouring pixels do not share [per pixel].

    .. math:: \sigma = 1.4826\,\mathrm{median}|\Delta^6 f| / \sqrt{924}

    The sixth difference is Stoehr et al.'s (2008, ADASS XVII, 505) second one three times over:
    lines as wide as 2 pixels leave little in it. 924 is the sum of its squared coefficients.

    Parameters
    ----------
    flux : float array, shape (n_wave,)
    usable : bool array, shape (n_wave,)
    native : bool
        Whether these are the detector's own pixels.

    Raises
    ------
    DataError
        If they are not, or too few can be used: resampled pixels share their noise, and the S/N
        would be several times too high.
    """
    if not native:
        raise DataError(
            "S/N from the flux needs native pixels: resampled ones share their noise, and it would "
            "be several times too high; measure it before, or use the errors"
        )
    whole = np.convolve(usable, np.ones(SIXTH.size), mode="valid") == SIXTH.size
    if flux.size < SIXTH.size or not whole.any():
        raise DataError(f"S/N needs {SIXTH.size} usable pixels in a row")
    rough = np.convolve(np.where(usable, flux, 0.0).astype(np.float64), SIXTH, mode="valid")
    sigma = MAD_TO_SIGMA * np.median(np.abs(rough[whole])) / np.sqrt((SIXTH**2).sum())
    level = float(np.median(flux[usable]))
    return level / float(sigma) if sigma > 0 else np.inf
