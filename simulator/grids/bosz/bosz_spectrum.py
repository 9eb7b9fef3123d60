"""One spectrum of an archive, in the units and medium of a grid."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.errors import GridError

__all__ = ["ArchiveSpectrum", "check_physical", "geometric_wave"]

# Archives print wavelengths with 4 decimals of a float32 whose own arithmetic left a few
# units in the last place; a twentieth of a sample is allowed on top.
PRINTED_ANGSTROM = 1e-4
FLOAT32_RELATIVE = 5e-7
FINEST = 300_000  # R of the finest spectra that any release has
SAMPLE_FRACTION = 0.05
STEP_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True)
class ArchiveSpectrum:
    """A model's spectrum as a grid stores it.

    Attributes
    ----------
    wave : float64, shape (n_wave,)
        Vacuum [Å].
    flux, continuum : float32, shape (n_wave,)
        Surface flux with and without lines [erg/s/cm²/Å].
    """

    wave: np.ndarray
    flux: np.ndarray
    continuum: np.ndarray

    def crop(self, wave_min: float, wave_max: float) -> "ArchiveSpectrum":
        """Return the samples in a closed range [Å].

        Raises
        ------
        GridError
            If the spectrum does not cover the range to within one sample.
        """
        first, last = self.wave[:2], self.wave[-2:]
        if np.isfinite(wave_min) and first[0] > wave_min + first[1] - first[0]:
            raise GridError(
                f"starts at {first[0]:.2f} Å, after the wave_min {wave_min:g} asked for"
            )
        if np.isfinite(wave_max) and last[1] < wave_max - last[1] + last[0]:
            raise GridError(f"ends at {last[1]:.2f} Å, before the wave_max {wave_max:g} asked for")
        kept = slice(*np.searchsorted(self.wave, [wave_min, np.nextafter(wave_max, np.inf)]))
        return ArchiveSpectrum(
            wave=self.wave[kept], flux=self.flux[kept], continuum=self.continuum[kept]
        )


def wave_tolerance(wave: np.ndarray, resolution: float) -> np.ndarray:
    """How far a stored wavelength may lie from its exact value [Å], same shape as ``wave``."""
    relative = max(FLOAT32_RELATIVE, SAMPLE_FRACTION / (2.0 * resolution))
    return PRINTED_ANGSTROM + relative * wave


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


def check_physical(spectrum: ArchiveSpectrum) -> None:
    """Refuse fluxes no star can have.

    Raises
    ------
    GridError
        If a flux or continuum is not a number or is negative.
    """
    for name in ("flux", "continuum"):
        values = getattr(spectrum, name)
        bad = ~(np.isfinite(values) & (values >= 0.0))
        if np.any(bad):
            first = int(np.argmax(bad))
            raise GridError(
                f"{name} is {values[first]:g} at {spectrum.wave[first]:.2f} Å "
                f"({np.count_nonzero(bad)} bad samples of {bad.size})"
            )
