"""Fibre aperture: field-dependent geometry and the share of a star's light that enters."""

import numpy as np
import scipy

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.constants import ARCSEC_PER_RADIAN
from starsmith.simulator.instruments.parts import Fibre, Telescope

__all__ = ["collecting_area", "encircled_energy", "fibre_radius"]

# The exposure-time calculator's Hankel sum. Its last frequency, 1.19 cycles/arcsec, cuts
# into the seeing below 0.6 arcsec: at 0.5 arcsec the sum is 4 % above the converged integral.
FREQUENCY_STEP = 0.024
FREQUENCY = (np.arange(50) + 0.5) * FREQUENCY_STEP  # [cycles/arcsec]

MICRON = 1.0e-6
SEEING_SCALE = 0.465  # 1/e frequency of the seeing times its FWHM at 800 nm
HALF_LIGHT_PER_SCALE = 1.67834  # half-light radius of an exponential disc over its scale length


def _at(field_angle: np.ndarray, telescope: Telescope, values: tuple[float, ...]) -> np.ndarray:
    return np.interp(field_angle, telescope.field_angle_deg, values)


def _angle_arcsec(length_um: float | np.ndarray, focal_length_m: float | np.ndarray):
    return length_um * MICRON / focal_length_m * ARCSEC_PER_RADIAN


def fibre_radius(telescope: Telescope, fibre: Fibre, field_angle: np.ndarray) -> np.ndarray:
    """Radius of the fibre on the sky [arcsec] at ``field_angle`` [deg], same shape."""
    return _angle_arcsec(fibre.radius_um, _at(field_angle, telescope, telescope.focal_length_m))


def collecting_area(telescope: Telescope, field_angle: np.ndarray) -> np.ndarray:
    """Mirror area less obscuration, vignetting and the camera's shadow.

    Parameters
    ----------
    telescope : Telescope
    field_angle : float64 array, shape (n_field,)
        [deg].

    Returns
    -------
    area : float64 array, shape (n_field,)
        [m²].
    """
    area = np.pi / 4.0 * telescope.diameter_m**2 * (1.0 - telescope.central_obscuration**2)  # [m²]
    # 0 on axis, 1 at the edge of the field
    edge = field_angle / telescope.camera_obscuration_edge_deg
    centre = telescope.camera_obscuration_centre
    obscured = centre + (telescope.camera_obscuration_edge - centre) * edge
    # relative to where vignetting was measured
    shadow = (1.0 - obscured) / (1.0 - telescope.camera_obscuration_reference)
    return area * _at(field_angle, telescope, telescope.vignetting) * shadow


def encircled_energy(
    telescope: Telescope,
    fibre: Fibre,
    seeing: np.ndarray,
    field_angle: np.ndarray,
    wave_nm: np.ndarray,
) -> np.ndarray:
    """Fraction of a source's light entering the fibre.

    The overlap of fibre and image as a Hankel transform: Kolmogorov seeing, telescope spot,
    leading-order diffraction, displacement of the source, its exponential disc.

    Parameters
    ----------
    telescope : Telescope
    fibre : Fibre
    seeing : float64 array, shape (n_seeing,)
        FWHM at 800 nm [arcsec].
    field_angle : float64 array, shape (n_field,)
        [deg].
    wave_nm : float64 array, shape (n_wave,)
        [nm].

    Returns
    -------
    fraction : float64 array, shape (n_seeing, n_field, n_wave)
    """
    focal_length = _at(field_angle, telescope, telescope.focal_length_m)
    # [arcsec rms]
    spot = _angle_arcsec(_at(field_angle, telescope, telescope.spot_rms_um), focal_length)
    radius = fibre_radius(telescope, fibre, field_angle)
    wavenumber = 2.0 * np.pi * FREQUENCY  # [rad/arcsec]
    # light in a disc: transform of the disc, J1
    disc = scipy.special.j1(radius[:, None] * wavenumber)
    aperture = radius[:, None] * 2.0 * np.pi * FREQUENCY_STEP * disc
    # Gaussian spot of the telescope
    aperture *= fixed.exp(-0.5 * (spot[:, None] * wavenumber) ** 2)
    aperture *= scipy.special.j0(fibre.offset_arcsec * wavenumber)  # a decentred source
    disc_scale = fibre.reff_arcsec / HALF_LIGHT_PER_SCALE
    aperture *= fixed.power(1.0 + (wavenumber * disc_scale) ** 2, -1.5)  # exponential disc

    # width of the annulus of the mirror
    unobscured_m = telescope.diameter_m * (1.0 - telescope.central_obscuration)
    diffraction = _angle_arcsec(1e-3 * wave_nm, unobscured_m)
    # Kolmogorov: FWHM falls as λ^-0.2
    scale = SEEING_SCALE / seeing[:, None] * fixed.power(wave_nm / 800.0, 0.2)
    # long-exposure transfer function (Fried 1966)
    image = fixed.exp(-(fixed.power(FREQUENCY / scale[..., None], 5.0 / 3.0)))
    image *= fixed.exp(-4.0 / np.pi * np.outer(diffraction, FREQUENCY))
    fractions = fixed.matmul(aperture, image.reshape(-1, FREQUENCY.size).T)
    return np.moveaxis(fractions.reshape(len(aperture), *image.shape[:2]), 0, 1)
