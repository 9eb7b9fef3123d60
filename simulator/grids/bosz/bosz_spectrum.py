"""Wavelengths and sizes of the BOSZ archives' files."""

import numpy as np

from starsmith.data_contract.errors import GridError
from starsmith.simulator.grids.importing.model_spectrum import wave_tolerance

__all__ = ["geometric_wave", "most_text"]

FINEST = 300_000  # R of the finest spectra that any release has
STEP_TOLERANCE = 1e-3


def most_text(resolution: float) -> int:
    """Size that no text of a spectrum exceeds, unpacked [bytes]: it has at most 15 R samples."""
    return 2**16 + int(2000 * min(resolution, FINEST))


def geometric_wave(stored: np.ndarray, resolution: float) -> np.ndarray:
    """Recover the exact geometric wavelengths that a file stores rounded.

    ln(wave) is a straight line in the sample number with a slope near 1/(2 R). The line is
    fitted rather than assumed, because the release samples every 150000/R-th point of
    10 (1 + 1/300000)^k Å: its steps are 1.7e-6 below nominal, 3 km/s at the far end.

    Parameters
    ----------
    stored : float64 array, shape (n_wave,)
        Rounded wavelengths [Å].
    resolution : float
        R the samples are spaced for, two per wave / R.

    Returns
    -------
    wave : float64 array, shape (n_wave,)

    Raises
    ------
    GridError
        If the samples are not geometric, or their spacing belongs to another resolution.
    """
    if stored.size < 3 or not (np.all(np.isfinite(stored)) and stored[0] > 0):
        raise GridError(f"has no wavelengths to speak of ({stored.size} samples)")
    sample = np.arange(stored.size) - (stored.size - 1) / 2.0
    log_wave = np.log(stored)
    step = sample @ log_wave / (sample @ sample)
    if not abs(2.0 * resolution * step - 1.0) < STEP_TOLERANCE:
        raise GridError(
            f"samples are {step:.4g} apart in ln(wave), expected {1 / (2 * resolution):.4g} "
            f"for R = {resolution:g}"
        )
    wave = np.exp(log_wave.mean() + step * sample)
    excess = np.abs(wave - stored) - wave_tolerance(wave, resolution)
    if np.any(excess > 0):
        worst = int(np.argmax(excess))
        raise GridError(
            f"sample {worst} is at {stored[worst]:.4f} Å, expected {wave[worst]:.4f} Å of its "
            "geometric wavelengths"
        )
    return wave
