"""Spectra of any file: a survey's, recognised by its content, or a table of the user's."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from starsmith.data_contract.exchange.pfs_files import is_pfs_object
from starsmith.data_contract.exchange.spectrum_file import read_spectrum
from starsmith.data_contract.surveys.outside_file import open_outside
from starsmith.data_contract.surveys.registry import open_spectra, recognise
from starsmith.data_contract.surveys.spectrum import (
    RELATIVE,
    SpectrumArm,
    SurveySpectrum,
    Velocity,
)
from starsmith.data_contract.tables.user_table import read_table

__all__ = ["read_any", "spectrum_of_table"]

WIDTHS = ("fwhm", "lsf_fwhm", "fwhm_angstrom")
POWERS = ("resolution", "resolving_power", "specres", "spec_rp")
VELOCITIES = ("rv", "vrad", "radial_velocity", "rv_km_s")


def read_any(path: Path | str, air: bool = False) -> Iterator[SurveySpectrum]:
    """Read the spectra of a file, one after the other.

    Parameters
    ----------
    path : path
        Of a survey, or a table with a row per pixel.
    air : bool
        Wavelengths of a table are those of air; also where it says so.

    Raises
    ------
    DataError
        If nothing can be read, or a column or spectrum cannot be used.
    """
    path = Path(path)
    if not air and not is_pfs_object(path):
        with open_outside(path) as file:
            if recognise(file):
                yield from open_spectra(file)
                return
    yield spectrum_of_table(path, air)


def spectrum_of_table(path: Path | str, air: bool = False) -> SurveySpectrum:
    """Read one spectrum from a table, with what its metadata say of resolution and velocity.

    ``fwhm`` [Å], or ``resolution`` (λ / FWHM), and ``rv`` [km/s] are understood.

    Raises
    ------
    DataError
        As `read_spectrum`.
    """
    path = Path(path)
    seen = read_spectrum(path, air)
    meta: Mapping[str, object] = {}
    if not is_pfs_object(path):
        meta = read_table(path, ("wave", "flux")).meta
    width, power = _number(meta, WIDTHS), _number(meta, POWERS)
    fwhm = width if width else seen.wave / power if power else None
    arm = SpectrumArm(wave=seen.wave, flux=seen.flux, error=seen.error, mask=seen.mask, fwhm=fwhm)
    rest = str(meta.get("frame", "")).lower() == "rest"
    velocity = Velocity(frame="rest") if rest else Velocity(rv=_number(meta, VELOCITIES))
    return SurveySpectrum(
        survey="table",
        arms=(arm,),
        ids={"file": path.name},
        unit=RELATIVE,
        velocity=velocity,
    )


def _number(meta: Mapping[str, object], names: tuple[str, ...]) -> float | None:
    """First of some metadata that is a number above zero, or any for a velocity."""
    for name in names:
        try:
            value = float(meta[name])  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError):
            continue
        if value == value and (value > 0 or names is VELOCITIES):
            return value
    return None
