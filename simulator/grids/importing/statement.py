"""What is said of spectra: medium, kind of flux, units and resolution; and how they convert."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import pi

import numpy as np

from starsmith.data_contract.air import air_to_vacuum
from starsmith.data_contract.errors import GridError
from starsmith.data_contract.unit_conversion import flux_factor, parse_unit, to_angstrom
from starsmith.simulator.grids.importing.model_spectrum import ModelSpectrum

__all__ = [
    "FLUX_KINDS",
    "MEDIA",
    "NOTHING_SAID",
    "RawSpectrum",
    "Statement",
    "settle",
    "surface_flux",
]

MEDIA = ("vacuum", "air")
FLUX_KINDS = {
    "F_lambda": 1.0,
    "F_nu": 1.0,
    "H_lambda": 4.0 * pi,
    "H_nu": 4.0 * pi,
    "F_lambda/pi": pi,
    "F_nu/pi": pi,
}
"""Kind of flux -> factor to the surface flux F: H is Eddington's, F/pi the mean intensity of the
disc, also written 4 H and called astrophysical flux."""

UNITS = {"lambda": "erg / (s cm2 Angstrom)", "nu": "erg / (s cm2 Hz)"}
LAST_VACUUM = 2000.0  # tables in air keep vacuum wavelengths up to here [Å]
PER_ANGSTROM = 1e-17  # erg/s/cm²/Å of the unit that `flux_factor` converts to


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What somebody says of spectra; None where nothing is said.

    Attributes
    ----------
    medium : str or None
        One of `MEDIA`; air means vacuum up to 2000 Å and air above, as all archives do.
    flux : str or None
        One of `FLUX_KINDS`.
    flux_unit, wave_unit : str or None
        As astropy spells them; erg/s/cm²/Å, erg/s/cm²/Hz and Å where nobody says.
    resolution : float or None
        wave / FWHM of the Gaussian LSF the spectra carry.
    """

    medium: str | None = None
    flux: str | None = None
    flux_unit: str | None = None
    wave_unit: str | None = None
    resolution: float | None = None

    def __post_init__(self):
        for name, known in (("medium", MEDIA), ("flux", tuple(FLUX_KINDS))):
            value = getattr(self, name)
            if value is not None and value not in known:
                said = str(value)[:40]
                raise GridError(f"{name} is {said!r}, expected one of {', '.join(known)}")
        if self.resolution is not None and not 0 < self.resolution < 1e7:
            raise GridError(f"resolution is {self.resolution}, expected wave / FWHM below 1e7")

    def or_else(self, other: "Statement") -> "Statement":
        """What is said here, completed by another where it says nothing."""
        mine = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(other, **{name: value for name, value in mine.items() if value is not None})

    @classmethod
    def of_meta(cls, meta: Mapping[str, object]) -> "Statement":
        """What the metadata of a table say, by the names of the attributes, in any case."""
        said: dict[str, object] = {}
        for name, value in meta.items():
            if (key := str(name).lower()) in {f.name for f in fields(cls)} and value is not None:
                said[key] = str(value).strip()
        if "resolution" in said:
            try:
                said["resolution"] = float(said["resolution"])  # type: ignore[arg-type]
            except ValueError:
                raise GridError(
                    f"metadata say resolution = {str(said['resolution'])[:40]!r}, expected a number"
                ) from None
        return cls(**said)  # type: ignore[arg-type]


NOTHING_SAID = Statement()


@dataclass(frozen=True, kw_only=True)
class RawSpectrum:
    """One model's numbers as a file holds them.

    Attributes
    ----------
    wave, value : float arrays, shape (n_wave,)
        Wavelengths and flux, in what `says` or the layout's statement tells.
    continuum : float array, shape (n_wave,), or None
    says : Statement
        What this file tells of itself.
    """

    wave: np.ndarray
    value: np.ndarray
    continuum: np.ndarray | None = None
    says: Statement = NOTHING_SAID


def settle(*statements: Statement) -> Statement:
    """One statement out of several that must not contradict each other.

    Raises
    ------
    GridError
        If two say different things.
    """
    settled: dict[str, object] = {}
    for field in fields(Statement):
        said = [v for s in statements if (v := getattr(s, field.name)) is not None]
        if len({_comparable(field.name, value) for value in said}) > 1:
            raise GridError(
                f"{field.name.replace('_', ' ')} is stated as {' and as '.join(map(str, said))}; "
                f"correct --{field.name.replace('_', '-')}"
            )
        settled[field.name] = said[0] if said else None
    return Statement(**settled)  # type: ignore[arg-type]


def _comparable(name: str, value: object) -> object:
    if not name.endswith("unit"):
        return value
    try:
        return parse_unit(value)
    except ValueError as problem:
        raise GridError(f"{name.replace('_', ' ')}: {problem}") from None


def require(statement: Statement) -> None:
    """Refuse spectra of which nobody said what they are.

    Raises
    ------
    GridError
        If medium or flux is unknown, with the option that tells.
    """
    options = {
        "medium": f"--medium {' or --medium '.join(MEDIA)}",
        "flux": f"--flux, one of {', '.join(FLUX_KINDS)}",
    }
    for name, option in options.items():
        if getattr(statement, name) is None:
            what = "medium of the wavelengths" if name == "medium" else "kind of flux"
            raise GridError(f"the {what} is stated nowhere; add {option}")


def surface_flux(raw: RawSpectrum, statement: Statement) -> ModelSpectrum:
    """Spectrum in vacuum Å and surface flux [erg/s/cm²/Å], wavelengths increasing.

    Raises
    ------
    GridError
        If medium or flux is unknown, a unit is none of its kind, or wavelengths do not run one way.
    """
    require(statement)
    wave = _vacuum(raw.wave, statement)
    order = slice(None, None, -1) if wave[0] > wave[-1] else slice(None)
    wave = wave[order]
    if np.any(np.diff(wave) <= 0):
        first = int(np.argmax(np.diff(wave) <= 0))
        raise GridError(
            f"wavelengths do not run one way: {wave[first]:.4f} is followed by "
            f"{wave[first + 1]:.4f} Å; sort them and leave no value twice"
        )
    factor = _factor(wave, statement)
    flux, continuum = (
        None if values is None else (np.asarray(values)[order] * factor).astype(np.float32)
        for values in (raw.value, raw.continuum)
    )
    return ModelSpectrum(wave=wave, flux=flux, continuum=continuum)  # type: ignore[arg-type]


def _vacuum(stored: np.ndarray, statement: Statement) -> np.ndarray:
    """Wavelengths in vacuum [Å], in the order of the file."""
    try:
        wave = to_angstrom(stored, parse_unit(statement.wave_unit))
    except ValueError as problem:
        raise GridError(f"wave unit: {problem}; correct --wave-unit") from None
    if wave.ndim != 1 or wave.size < 3:
        raise GridError(f"has {wave.size} wavelengths, expected at least 3")
    if not np.all(np.isfinite(wave) & (wave > 0)):
        raise GridError("has wavelengths that are blank, not numbers or not positive")
    if statement.medium == "air":
        wave = np.where(wave > LAST_VACUUM, air_to_vacuum(np.maximum(wave, LAST_VACUUM)), wave)
    return wave


def _factor(wave: np.ndarray, statement: Statement) -> np.ndarray | float:
    """Surface flux per Å of one unit of what is stored."""
    from astropy import units

    kind = statement.flux or ""
    per = "nu" if "nu" in kind else "lambda"
    try:
        unit = parse_unit(statement.flux_unit or UNITS[per])
        if unit is not None and units.sr in unit.bases:
            unit = unit * units.sr
        if unit is None or not unit.is_equivalent(units.Unit(UNITS[per])):
            raise ValueError(f"{unit} is no unit of flux per {'Hz' if per == 'nu' else 'Å'}")
        scale = flux_factor(unit, wave)
    except ValueError as problem:
        raise GridError(f"flux {kind}: {problem}; correct --flux or --flux-unit") from None
    return FLUX_KINDS[kind] * PER_ANGSTROM * scale
