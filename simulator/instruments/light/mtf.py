"""Line profile of an arm from its optics: modulation transfer, pixel response, trace fraction.

The profile is the product of its causes in Fourier space: fibre image, pixel, camera, defocus
within the silicon, scattering by the grating (Lorentz wings). Frequencies are in cycles per
pixel; the inverse transform is a midpoint sum, as in the PFS exposure-time calculator.
"""

import numpy as np
import scipy

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.constants import ELECTRONVOLT_NM
from starsmith.simulator.instruments.parts import Arm

__all__ = [
    "FREQUENCY",
    "WIDTH_REACH_PIXEL",
    "WIDTH_STEP_PIXEL",
    "half_maximum_width",
    "modulation",
    "optics_modulation",
    "pixel_free_fwhm",
    "pixel_response",
    "profile_knots",
    "trace_fraction",
]

FREQUENCY_STEP = 0.005
FREQUENCY = (np.arange(1000) + 0.5) * FREQUENCY_STEP
"""Midpoints of the Fourier sum [cycle/pixel], shape (n_frequency,)."""

KNOT_STEP_NM = 5.0
"""Over this the profile changes by less than linear interpolation shows (1e-5)."""

WIDTH_STEP_PIXEL = 0.02  # between steps the profile is a straight line to 1e-5
WIDTH_REACH_PIXEL = 12.0

SILICON_SLABS = 3
REFLECTED_WEIGHT = 0.3  # of light absorbed on its way back from the rear face

# Real refractive index of silicon; D. Groom's table of optical constants (SPIE 1999).
SILICON_INDEX_NM = (
    *(350.0, 360.0, 370.0, 380.0, 390.0, 400.0, 410.0, 420.0, 440.0, 460.0, 480.0),
    *(500.0, 550.0, 600.0, 650.0, 700.0, 750.0, 800.0, 850.0, 900.0, 950.0, 1000.0),
)
SILICON_INDEX = (
    *(5.4358, 6.0519, 6.8110, 6.4693, 5.9438, 5.5700, 5.2960, 5.0890, 4.7873, 4.5759, 4.4202),
    *(4.2975, 4.0844, 3.9473, 3.8512, 3.7831, 3.7333, 3.6925, 3.6654, 3.6482, 3.6269, 3.6106),
)


def silicon_absorption_length_um(wave_nm: np.ndarray, temperature_k: float) -> np.ndarray:
    """Absorption length of silicon [um]; Rajkanan, Singh & Shewchun (1979), SSE 22, 793."""
    boltzmann, beta, gamma = 8.617e-5, 7.021e-4, 1108.0  # eV/K, eV/K, K
    energy = ELECTRONVOLT_NM / wave_nm
    gap_shift = beta * temperature_k**2 / (temperature_k + gamma)
    absorption_per_cm = 1.052e6 * np.sqrt(np.maximum(energy - (3.2 - gap_shift), 0.0))
    for gap, gap_weight in ((1.1557, 323.1), (2.5, 7237.0)):
        for phonon, phonon_weight in ((1.827e-2, 5.5), (5.773e-2, 4.0)):
            occupation = fixed.exp(phonon / (boltzmann * temperature_k))
            absorbed = np.maximum(energy - (gap - gap_shift) + phonon, 0.0) ** 2
            emitted = np.maximum(energy - (gap - gap_shift) - phonon, 0.0) ** 2
            by_phonons = absorbed / (occupation - 1.0) + emitted / (1.0 - 1.0 / occupation)
            absorption_per_cm = absorption_per_cm + gap_weight * phonon_weight * by_phonons
    return 1e4 / absorption_per_cm


def _defocus(arm: Arm, wave_nm: np.ndarray) -> np.ndarray:
    """Mean over absorption depths of the blur of a converging beam, (n_wave, n_frequency)."""
    optics = arm.optics
    slab = optics.silicon_thickness_um / SILICON_SLABS
    length = silicon_absorption_length_um(wave_nm, optics.silicon_temperature_k)
    survived = fixed.exp(-slab / length)
    mean_depth = length * (1.0 - (1.0 + slab / length) * survived) / (1.0 - survived)
    index = np.interp(wave_nm, SILICON_INDEX_NM, SILICON_INDEX)
    blurred = np.zeros((wave_nm.size, FREQUENCY.size))
    total = np.zeros(wave_nm.size)
    for k in range(2 * SILICON_SLABS):  # down through the slabs and back again
        depth = mean_depth + slab * k
        reflected = depth > optics.silicon_thickness_um
        weight = fixed.power(survived, k) * np.where(reflected, REFLECTED_WEIGHT, 1.0)
        radius = depth / (2.0 * index * optics.camera_focal_ratio * optics.pixel_um)
        phase = 2.0 * np.pi * radius[:, None] * FREQUENCY
        # Uniform disc, averaged over six directions.
        disc = np.cos(np.sqrt(0.75) * phase) / 6.0 + np.cos(0.5 * phase) / 2.0 + 1.0 / 3.0
        blurred += weight[:, None] * disc
        total += weight
    return blurred / total[:, None]


def modulation(arm: Arm, wave_nm: np.ndarray, smoothed_nm: float = 0.0) -> np.ndarray:
    """Fourier transform of the line profile, pixel included.

    Parameters
    ----------
    arm : Arm
    wave_nm : float64 array, shape (n_wave,)
        Vacuum wavelengths [nm].
    smoothed_nm : float
        Gaussian sigma the data were smoothed with before, divided out here [nm].

    Returns
    -------
    modulation : float64 array, shape (n_wave, n_frequency)
        Real transform at `FREQUENCY`; 1 at frequency 0.

    Raises
    ------
    ConfigError
        If the data were smoothed more than the profile would.
    """
    wave_nm = np.asarray(wave_nm, dtype=np.float64)
    smoothed = (smoothed_nm / arm.dispersion_nm) ** 2
    sigma = FWHM_TO_SIGMA * np.interp(wave_nm, arm.lsf_wave_nm, arm.lsf_fwhm_pixel)
    camera = arm.optics.camera_spot_um / arm.optics.pixel_um
    if smoothed >= (camera if arm.profile == "optics" else sigma.min()) ** 2:
        raise ConfigError(
            f"a table smoothed by {smoothed_nm} nm is blurred more than arm {arm.name!r} would; "
            "lower telluric_smoothing_sigma_nm and use a sharper telluric_table"
        )
    if arm.profile == "optics":
        return optics_modulation(arm, wave_nm, smoothed)
    return _gaussian(sigma[:, None] ** 2 - smoothed) * np.sinc(FREQUENCY)


def _gaussian(variance: float | np.ndarray) -> np.ndarray:
    return fixed.exp(-2.0 * (np.pi * FREQUENCY) ** 2 * variance)


def optics_modulation(arm: Arm, wave_nm: np.ndarray, smoothed: float = 0.0) -> np.ndarray:
    """Transform of the profile from the optics alone, pixel included, whatever the arm's choice.

    ``smoothed`` is a variance divided out [pixel²]; others as in `modulation`.
    """
    optics = arm.optics
    disc_phase = np.pi * optics.fibre_image_um / optics.pixel_um * FREQUENCY
    camera = _gaussian((optics.camera_spot_um / optics.pixel_um) ** 2 - smoothed)
    common = 2.0 * scipy.special.j1(disc_phase) / disc_phase * np.sinc(FREQUENCY) * camera
    scatter = wave_nm / arm.dispersion_nm / optics.grating_line_count
    scattered = common * fixed.exp(-scatter[:, None] * FREQUENCY)
    return scattered * _defocus(arm, wave_nm) if optics.detector == "silicon" else scattered


def pixel_response(modulation: np.ndarray, offset_pixel: np.ndarray) -> np.ndarray:
    """Fraction of a line's light in the pixel whose centre is ``offset_pixel`` away.

    Parameters
    ----------
    modulation : float64 array, shape (n_wave, n_frequency)
        From `modulation`.
    offset_pixel : float64 array, shape (n_wave, n_offset) or (n_offset,)
        Pixel centre minus line [pixel].

    Returns
    -------
    response : float64 array, shape (n_wave, n_offset)
        Sums to 1 over all pixels.
    """
    if np.ndim(offset_pixel) == 1:
        waves = np.cos(2.0 * np.pi * np.outer(FREQUENCY, offset_pixel))
        return 2.0 * FREQUENCY_STEP * fixed.matmul(modulation, waves)
    response = np.empty(offset_pixel.shape)
    for i in range(len(offset_pixel)):
        waves = np.cos(2.0 * np.pi * np.outer(FREQUENCY, offset_pixel[i]))
        response[i] = 2.0 * FREQUENCY_STEP * fixed.matmul(modulation[i], waves)
    return response


def profile_knots(arm: Arm) -> np.ndarray:
    """Wavelengths [nm] the profile is computed at, to be interpolated between: (n_knot,)."""
    n_step = int(np.ceil((arm.wave_max_nm - arm.wave_min_nm) / KNOT_STEP_NM))
    return np.linspace(arm.wave_min_nm, arm.wave_max_nm, n_step + 1)


def half_maximum_width(profile: np.ndarray, step: float) -> np.ndarray:
    """Full widths at half maximum of symmetric profiles sampled from their centre on.

    Parameters
    ----------
    profile : float64 array, shape (n_profile, n_offset)
        At offsets 0, step, 2 step, ...
    step : float

    Returns
    -------
    width : float64 array, shape (n_profile,) [unit of ``step``]
    """
    low = profile / profile[:, :1] - 0.5
    after = np.argmax(low < 0, axis=1)
    row = np.arange(len(profile))
    step_back = low[row, after] / (low[row, after] - low[row, after - 1])
    return 2.0 * step * (after - step_back)


def pixel_free_fwhm(arm: Arm, wave_nm: np.ndarray) -> np.ndarray:
    """Half-maximum width of the optics' profile without its pixel.

    Parameters
    ----------
    arm : Arm
    wave_nm : float64 array, shape (n_wave,)
        [nm].

    Returns
    -------
    width : float64 array, shape (n_wave,) [pixel]
    """
    offset = np.arange(0.0, WIDTH_REACH_PIXEL, WIDTH_STEP_PIXEL)
    transform = optics_modulation(arm, wave_nm) / np.sinc(FREQUENCY)
    return half_maximum_width(pixel_response(transform, offset), WIDTH_STEP_PIXEL)


def trace_fraction(arm: Arm, wave_nm: np.ndarray, n_neighbour: int = 0) -> np.ndarray:
    """Fraction of a fibre's light in the extracted pixels across the trace.

    Parameters
    ----------
    arm : Arm
    wave_nm : float64 array, shape (n_wave,)
        Vacuum wavelengths within the arm [nm].
    n_neighbour : int
        Traces on either side whose wings are counted in (1 for sky, which all fibres see).

    Returns
    -------
    fraction : float64 array, shape (n_wave,)
    """
    separation = arm.optics.trace_separation_um / arm.optics.pixel_um
    across = np.arange(arm.trace_width_pixel) - (arm.trace_width_pixel - 1) / 2
    traces = separation * np.arange(-n_neighbour, n_neighbour + 1)
    offset = (across[:, None] - traces).ravel()
    knot = profile_knots(arm)
    across_trace = pixel_response(optics_modulation(arm, knot), offset)
    return np.interp(wave_nm, knot, across_trace.sum(axis=1))
