"""Instrument files: TOML tables read into frozen dataclasses, every figure checked by name."""

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.constants import ANGSTROM_PER_NM
from starsmith.simulator.instruments.figures import (
    covers,
    fraction,
    increasing,
    positive,
    same_length,
)

__all__ = [
    "Arm",
    "Atmosphere",
    "Fibre",
    "Instrument",
    "Optics",
    "Sky",
    "Telescope",
    "list_instruments",
    "load_instrument",
]

SCHEMA = 1
BUILTIN = Path(__file__).parent
PROFILES = ("optics", "gaussian")


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
    """Entrance of a fibre in the focal plane, and how far the star is from its centre."""

    radius_um: float
    offset_arcsec: float

    def __post_init__(self):
        positive(self, "radius_um")
        positive(self, "offset_arcsec", zero=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Atmosphere:
    """Continuum extinction and telluric lines."""

    extinction_wave_nm: tuple[float, ...]
    extinction_mag_per_airmass: tuple[float, ...]
    telluric_table: str
    telluric_smoothing_sigma_nm: float

    def __post_init__(self):
        increasing(self, "extinction_wave_nm")
        positive(self, "extinction_mag_per_airmass", "telluric_smoothing_sigma_nm", zero=True)
        same_length(self, "extinction_wave_nm", "extinction_mag_per_airmass")


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
    """Camera, detector and grating figures that shape the line profile."""

    pixel_um: float
    fibre_image_um: float
    camera_spot_um: float
    camera_focal_ratio: float
    trace_separation_um: float
    silicon_thickness_um: float
    silicon_temperature_k: float
    grating_line_count: float

    def __post_init__(self):
        positive(self, *(field.name for field in fields(self)))


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One spectrograph arm: pixels, line profile, throughput, detector."""

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
        if self.profile not in PROFILES:
            raise ConfigError(f"profile is {self.profile!r}; choose one of {PROFILES}")

    @property
    def dispersion_nm(self) -> float:
        """Width of a pixel along the dispersion."""
        return (self.wave_max_nm - self.wave_min_nm) / self.n_pixel

    @cached_property
    def wave_nm(self) -> np.ndarray:
        """Pixel centres, shape (n_pixel,)."""
        return self.wave_min_nm + self.dispersion_nm * (np.arange(self.n_pixel) + 0.5)


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """A complete instrument, as read from one file.

    Attributes
    ----------
    name, description : str
    telescope, fibre, atmosphere, sky : dataclasses
        What all arms share.
    arms : tuple of Arm
        One arm in this version of the schema.
    folder : Path
        Where the tables named in the file lie, unless they are built in.
    """

    name: str
    description: str
    telescope: Telescope
    fibre: Fibre
    atmosphere: Atmosphere
    sky: Sky
    arms: tuple[Arm, ...]
    folder: Path

    def __post_init__(self):
        for arm in self.arms:
            covers(self.atmosphere, "extinction_wave_nm", arm.wave_min_nm, arm.wave_max_nm)

    @property
    def arm(self) -> Arm:
        """The only arm."""
        return self.arms[0]

    @cached_property
    def wave(self) -> np.ndarray:
        """Pixel centres, vacuum, shape (n_wave,) [Å]."""
        return self.arm.wave_nm * ANGSTROM_PER_NM

    def lsf_fwhm(self, wave: np.ndarray) -> np.ndarray:
        """Full width at half maximum of the pixel-free line profile at ``wave`` [both Å]."""
        arm = self.arm
        fwhm_pixel = np.interp(wave / ANGSTROM_PER_NM, arm.lsf_wave_nm, arm.lsf_fwhm_pixel)
        return fwhm_pixel * arm.dispersion_nm * ANGSTROM_PER_NM

    def table(self, name: str) -> np.ndarray:
        """Columns of a CSV table beside the instrument file, or built in.

        Parameters
        ----------
        name : str
            File of one header line and rows ``wave_nm,value``; lines with ``#`` are comments.

        Returns
        -------
        columns : float64 array, shape (2, n_row)
            Wavelength, increasing [nm], and value.
        """
        rows = [row for row in self._table_bytes(name).decode().splitlines() if row[:1] != "#"]
        try:
            columns = np.loadtxt(rows, delimiter=",", skiprows=1, ndmin=2).T
        except ValueError as error:
            raise ConfigError(f"table {name!r} is not columns of numbers: {error}") from None
        if len(columns) != 2 or not np.all(np.diff(columns[0]) > 0):
            raise ConfigError(f"table {name!r} needs rows wave_nm,value with wave_nm increasing")
        return columns

    def _table_bytes(self, name: str) -> bytes:
        for folder in (self.folder, BUILTIN):
            if (source := folder / name).is_file():
                return source.read_bytes()
        raise ConfigError(
            f"instrument {self.name!r} names the table {name!r}, which is neither in "
            f"{self.folder} nor built in; put the file there"
        )

    def resolved(self) -> dict:
        """Every figure as a JSON-able dict, with the SHA-256 of figures and tables together."""
        figures = {f.name: getattr(self, f.name) for f in fields(self)}
        del figures["folder"]
        plain = {
            key: asdict(value) if hasattr(value, "__dataclass_fields__") else value
            for key, value in figures.items()
        }
        plain["arms"] = [asdict(arm) for arm in self.arms]
        total = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
        for name in (self.atmosphere.telluric_table, self.sky.line_table):
            total.update(self._table_bytes(name))
        return {**plain, "sha256": total.hexdigest()}


def _build(kind: type, table: dict, where: str):
    """Dataclass from a TOML table; unknown, missing and impossible keys refused by name."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is {table!r}, expected a table; see pfs_mr.toml")
    known = {field.name for field in fields(kind)}
    if unknown := sorted(set(table) - known):
        raise ConfigError(f"{where} has unknown key(s) {unknown}; known are {sorted(known)}")
    if missing := sorted(known - set(table)):
        raise ConfigError(f"{where} lacks key(s) {missing}; copy them from pfs_mr.toml")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    for field in fields(kind):
        _check_type(field, values[field.name], where)
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _check_type(field, value, where: str) -> None:
    kinds: dict[type, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float)}
    if field.type in kinds:
        fits, expected = isinstance(value, kinds[field.type]), field.type.__name__
    elif field.type is Optics:
        return
    else:
        numbers = value if isinstance(value, tuple) else ("",)
        fits, expected = all(isinstance(v, (int, float)) for v in numbers), "a list of numbers"
    if not fits or isinstance(value, bool):
        raise ConfigError(f"{where}: {field.name} is {value!r}, expected {expected}")


def _build_arm(table: dict, where: str) -> Arm:
    where = f"{where}: [[arm]] {table.get('name', '?')!r}"
    if "optics" not in table:
        raise ConfigError(f"{where} lacks its table [arm.optics]; copy it from pfs_mr.toml")
    optics = _build(Optics, table["optics"], f"{where} [arm.optics]")
    return _build(Arm, {**table, "optics": optics}, where)


def list_instruments() -> tuple[str, ...]:
    """Names of the built-in instruments."""
    return tuple(sorted(path.stem for path in BUILTIN.glob("*.toml")))


def load_instrument(name: str | Path) -> Instrument:
    """Read a built-in instrument by name, or an instrument file by path.

    Parameters
    ----------
    name : str or Path
        One of `list_instruments`, or a file ending in ``.toml``. Tables it names lie beside
        it, or are those of the built-in instruments.

    Returns
    -------
    instrument : Instrument

    Raises
    ------
    ConfigError
        If the file is missing or a key is unknown, missing or impossible; names the key.
    """
    path = BUILTIN / f"{name}.toml" if str(name) in list_instruments() else Path(name)
    if not path.is_file():
        raise ConfigError(
            f"instrument {str(name)!r} is neither built in ({', '.join(list_instruments())}) "
            "nor a file; give one of these names or the path of a .toml file"
        )
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    return _build_instrument(document, path)


def _build_instrument(document: dict, path: Path) -> Instrument:
    parts = {"telescope": Telescope, "fibre": Fibre, "atmosphere": Atmosphere, "sky": Sky}
    known = {"schema", "name", "description", "arm", *parts}
    if problems := sorted(known ^ set(document)):
        raise ConfigError(f"{path} has unknown or missing key(s) {problems}; see pfs_mr.toml")
    if document["schema"] != SCHEMA:
        raise ConfigError(f"{path}: schema is {document['schema']!r}, this version reads {SCHEMA}")
    for key in ("name", "description"):
        if not isinstance(document[key], str):
            raise ConfigError(f"{path}: {key} is {document[key]!r}, expected str")
    arm = document["arm"]
    if not isinstance(arm, list) or len(arm) != 1 or not isinstance(arm[0], dict):
        raise ConfigError(f"{path}: expected exactly one [[arm]] table; keep one arm per file")
    shared = {key: _build(kind, document[key], f"{path}: [{key}]") for key, kind in parts.items()}
    arms = tuple(_build_arm(table, str(path)) for table in arm)
    figures = {**document, **shared, "arms": arms, "folder": path.parent}
    try:
        return Instrument(**{field.name: figures[field.name] for field in fields(Instrument)})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
