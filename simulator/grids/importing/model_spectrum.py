"""One spectrum of a model, in the units and medium of a grid."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.errors import GridError

__all__ = ["ModelSpectrum", "check_physical", "wave_tolerance"]

# Archives print wavelengths with 4 decimals of a float32 whose own arithmetic left a few
# units in the last place; a twentieth of a sample is allowed on top.
PRINTED_ANGSTROM = 1e-4
FLOAT32_RELATIVE = 5e-7
SAMPLE_FRACTION = 0.05


@dataclass(frozen=True, kw_only=True)
class ModelSpectrum:
    """A model's spectrum as a grid stores it.

    Attributes
    ----------
    wave : float64, shape (n_wave,)
        Vacuum [Å].
    flux, continuum : float32, shape (n_wave,)
        Surface flux with and without lines [erg/s/cm²/Å]; no continuum where there is none.
    """

    wave: np.ndarray
    flux: np.ndarray
    continuum: np.ndarray | None

    def crop(self, wave_min: float, wave_max: float) -> "ModelSpectrum":
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
        continuum = None if self.continuum is None else self.continuum[kept]
        return ModelSpectrum(wave=self.wave[kept], flux=self.flux[kept], continuum=continuum)


def wave_tolerance(wave: np.ndarray, resolution: float) -> np.ndarray:
    """How far a stored wavelength may lie from its exact value [Å], same shape as ``wave``."""
    relative = max(FLOAT32_RELATIVE, SAMPLE_FRACTION / (2.0 * resolution))
    return PRINTED_ANGSTROM + relative * wave


def check_physical(spectrum: ModelSpectrum) -> None:
    """Refuse fluxes no star can have.

    Raises
    ------
    GridError
        If a flux or continuum is not a number or is negative.
    """
    for name in ("flux", "continuum"):
        if (values := getattr(spectrum, name)) is None:
            continue
        bad = ~(np.isfinite(values) & (values >= 0.0))
        if np.any(bad):
            first = int(np.argmax(bad))
            raise GridError(
                f"{name} is {values[first]:g} at {spectrum.wave[first]:.2f} Å "
                f"({np.count_nonzero(bad)} bad samples of {bad.size})"
            )
