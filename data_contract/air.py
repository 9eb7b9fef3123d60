"""Wavelengths of standard air and vacuum (Ciddor 1996, Applied Optics 35, 1566)."""

import numpy as np

from starsmith.data_contract.unit_conversion import plain_value

__all__ = ["air_to_vacuum", "vacuum_to_air"]


def _refraction(wave_vacuum: np.ndarray) -> np.ndarray:
    """Refractive index of standard air (15 °C, 101325 Pa, 450 ppm CO2) less one."""
    wavenumber2 = (1e4 / wave_vacuum) ** 2  # [1/µm²]
    return 1e-8 * (5792105.0 / (238.0185 - wavenumber2) + 167917.0 / (57.362 - wavenumber2))


def vacuum_to_air(wave: np.ndarray) -> np.ndarray:
    """Wavelength in standard air of a vacuum wavelength [Å], any shape."""
    wave = np.asarray(plain_value("wave", wave), dtype=np.float64)
    return wave / (1.0 + _refraction(wave))


def air_to_vacuum(wave: np.ndarray) -> np.ndarray:
    """Vacuum wavelength of a wavelength in standard air [Å], any shape.

    The inverse of `vacuum_to_air` by fixed point; three steps leave less than 1e-9 Å.
    """
    wave = np.asarray(plain_value("wave", wave), dtype=np.float64)
    vacuum = wave
    for _ in range(3):
        vacuum = wave * (1.0 + _refraction(vacuum))
    return vacuum
