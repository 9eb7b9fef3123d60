"""Parts of an instrument as frozen dataclasses, every figure checked by name."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.tables.user_table import READABLE, is_readable
from starsmith.simulator.instruments.figure_checks import (
    covers,
    fraction,
    increasing,
    one_of,
    positive,
    same_length,
)

__all__ = ["Arm", "Atmosphere", "Fibre", "Optics", "Sky", "Telescope"]

PROFILES = ("optics", "gaussian")
LSF_MODELS = ("mtf", "gaussian")
TELLURIC_SAMPLINGS = ("centred", "calculator")
DETECTORS = ("silicon", "hgcdte")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telescope:
    """Mirror, corrector and field; lists run over ``field_angle_deg``."""

    diameter_m: float
    central_obscuration: float
    field_angle_deg: tuple[float, ...]
    focal_length_m: tuple[float, ...]
    spot_rms_um: tuple[float, ...]
    vignetting: tuple[float, ...]
    camera_obscuration_centre: float
    camera_obscuration_edge: float
    camera_obscuration_edge_deg: float
    camera_obscuration_reference: float

    def __post_init__(self):
        positive(self, "diameter_m", "focal_length_m", "spot_rms_um", "camera_obscuration_edge_deg")
        fraction(self, "central_obscuration", "vignetting", "camera_obscuration_centre")
        fraction(self, "camera_obscuration_edge", "camera_obscuration_reference")
        increasing(self, "field_angle_deg")
        same_length(self, "field_angle_deg", "focal_length_m", "spot_rms_um", "vignetting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fibre:
    """Entrance of a fibre in the focal plane, and the source in front of it.

    The source is ``offset_arcsec`` from the fibre's centre: a star, or an exponential disc of
    half-light radius ``reff_arcsec``.
    """

    radius_um: float
    offset_arcsec: float
    reff_arcsec: float = 0.0

    def __post_init__(self):
        positive(self, "radius_um")
        positive(self, "offset_arcsec", "reff_arcsec", zero=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Atmosphere:
    """Continuum extinction, telluric lines, and how seeing grows with airmass.

    ``telluric_sampling`` is ``centred`` on each pixel, or the ``calculator``'s: five samples
    per pixel of a profile that is constant over each, 0.4 pixel redward in the mean.
    """

    extinction_wave_nm: tuple[float, ...]
    extinction_mag_per_airmass: tuple[float, ...]
    telluric_table: str
    telluric_smoothing_sigma_nm: float
    telluric_sampling: str = "centred"
    seeing_airmass_power: float = 0.0

    def __post_init__(self):
        increasing(self, "extinction_wave_nm")
        positive(self, "extinction_mag_per_airmass", "telluric_smoothing_sigma_nm", zero=True)
        positive(self, "seeing_airmass_power", zero=True)
        same_length(self, "extinction_wave_nm", "extinction_mag_per_airmass")
        one_of(self, "telluric_sampling", TELLURIC_SAMPLINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sky:
    """Night sky, and what its subtraction leaves."""

    line_table: str
    line_airmass: float
    line_shift_pixel: float
    continuum_scale: float
    floor_fraction: float
    stray_fraction: float

    def __post_init__(self):
        positive(self, "line_airmass")
        positive(self, "continuum_scale", zero=True)
        fraction(self, "floor_fraction", "stray_fraction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    """Camera, detector and grating figures that shape the line profile.

    A ``detector`` of silicon is thick and blurs; hgcdte does not.
    """

    pixel_um: float
    fibre_image_um: float
    camera_spot_um: float
    camera_focal_ratio: float
    trace_separation_um: float
    silicon_thickness_um: float
    silicon_temperature_k: float
    grating_line_count: float
    detector: str = "silicon"

    def __post_init__(self):
        positive(self, *(field.name for field in fields(self) if field.name != "detector"))
        one_of(self, "detector", DETECTORS)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One spectrograph arm: pixels, line profile, throughput, detector.

    ``star_shift_pixel`` is where within a pixel the star's light is evaluated: 0 at its centre,
    -0.5 at its blue edge. ``lsf`` is the profile spectra of stars are rendered with: ``mtf``
    from the optics, ``gaussian`` of width ``lsf_fwhm_pixel``, or the name of a table, with
    ``lsf_coefficients`` another one where it holds components (see `lsf_table.read_lsf`).
    """

    name: str
    wave_min_nm: float
    wave_max_nm: float
    n_pixel: int
    trace_width_pixel: int
    lsf_wave_nm: tuple[float, ...]
    lsf_fwhm_pixel: tuple[float, ...]
    profile: str
    throughput_wave_nm: tuple[float, ...]
    throughput: tuple[float, ...]
    throughput_factor: float
    variance_factor: float
    sample_factor: float
    dark_electron_per_s: float
    read_noise_electron: float
    optics: Optics
    star_shift_pixel: float = 0.0
    lsf: str = "gaussian"
    lsf_coefficients: str = ""

    def __post_init__(self):
        positive(self, "wave_min_nm", "n_pixel", "trace_width_pixel", "lsf_fwhm_pixel")
        positive(self, "throughput_factor", "variance_factor", "sample_factor")
        positive(self, "dark_electron_per_s", "read_noise_electron", zero=True)
        fraction(self, "throughput")
        increasing(self, "lsf_wave_nm")
        increasing(self, "throughput_wave_nm")
        same_length(self, "lsf_wave_nm", "lsf_fwhm_pixel")
        same_length(self, "throughput_wave_nm", "throughput")
        if not self.wave_min_nm < self.wave_max_nm:
            raise ConfigError(
                f"wave_min_nm ({self.wave_min_nm}) must be below wave_max_nm ({self.wave_max_nm})"
            )
        covers(self, "lsf_wave_nm", self.wave_min_nm, self.wave_max_nm)
        covers(self, "throughput_wave_nm", self.wave_min_nm, self.wave_max_nm)
        one_of(self, "profile", PROFILES)
        if not -0.5 <= self.star_shift_pixel <= 0.5:
            raise ConfigError(f"star_shift_pixel is {self.star_shift_pixel}, expected -0.5 to 0.5")
        if self.lsf not in LSF_MODELS and not is_readable(self.lsf):
            raise ConfigError(
                f"lsf is {self.lsf!r}; choose one of {LSF_MODELS}, or name a table that ends in "
                f"{', '.join(READABLE)}"
            )

    @property
    def dispersion_nm(self) -> float:
        """Width of a pixel along the dispersion."""
        return (self.wave_max_nm - self.wave_min_nm) / self.n_pixel

    @cached_property
    def wave_nm(self) -> np.ndarray:
        """Pixel centres, shape (n_pixel,)."""
        return self.wave_min_nm + self.dispersion_nm * (np.arange(self.n_pixel) + 0.5)

    @cached_property
    def edge_nm(self) -> np.ndarray:
        """Pixel edges, shape (n_pixel + 1,)."""
        return np.linspace(self.wave_min_nm, self.wave_max_nm, self.n_pixel + 1)
