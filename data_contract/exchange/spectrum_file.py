"""One spectrum from a table of the user's, or from a pfsObject file."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy import units

from starsmith.data_contract.air import air_to_vacuum
from starsmith.data_contract.errors import DataError, InputError
from starsmith.data_contract.exchange.pfs_files import is_pfs_object, read_pfs_object
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.observed import Observed, error_of_ivar
from starsmith.data_contract.tables.user_table import UserTable, read_table
from starsmith.data_contract.unit_conversion import to_angstrom

__all__ = ["read_spectrum"]

COLUMNS = ("wave", "flux")
IN_AIR = ("wave_air", "air_wave", "wavelength_air", "lambda_air", "awav")
LOGARITHM = ("log_wave", "log_lambda", "log_wavelength", "loglambda", "log10lam")
NOISE = {
    "error": (),
    "ivar": ("inv_var", "inverse_variance", "flux_ivar", "ivar_flux"),
    "variance": ("var", "flux_variance", "flux_var"),
}
MEDIUM = re.compile(r"(?i)\b(air|vacuum|vac)\b")
PER_FREQUENCY = re.compile(r"(?i)f(lux)?_?(nu\b|ν).*")


def read_spectrum(
    path: Path | str, air: bool = False, error: type[InputError] = DataError
) -> Observed:
    r"""Read wave, flux and, where they are there, error (or ivar, or variance) and mask.

    Parameters
    ----------
    path : path
        ECSV, CSV or FITS table, or a pfsObject file. Names of columns may be aliases, in any
        case; ``loglam`` is the logarithm of Å. Units that a column states are converted.
    air : bool
        Wavelengths are those of air; also where the file says so.
    error : type
        What is raised.

    Returns
    -------
    spectrum : Observed
        Of shape (n_wave,); blank and masked cells are NaN, flagged where flux is missing.

    Raises
    ------
    InputError
        If it is no table, ``wave`` or ``flux`` is missing, or a column cannot be used.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("star.csv").write_text("wave [nm],flux [uJy],mask\n800,3,0\n800.04,,0\n")
    >>> starsmith.read_spectrum("star.csv").usable.tolist()
    [True, False]
    """
    path = Path(path)
    if is_pfs_object(path):
        if air:
            raise error(f"{path}: a pfsObject file is in vacuum wavelengths; drop --air")
        return read_pfs_object(path)
    table = read_table(path, COLUMNS, error)
    wave_column, wave = _wave(table, air)
    flux = table.find("flux")
    if missing := [n for n, found in (("wave", wave_column), ("flux", flux)) if found is None]:
        raise error(
            f"{path}: no column {missing}, found {list(table.columns)}; call them wave [vacuum "
            "Angstrom], flux, error, mask"
        )
    if not wave.size:
        raise error(f"{path}: it has no rows; a spectrum has a row per pixel")
    mask = table.find("mask")
    try:
        values = _with_unit(table, flux)
        if PER_FREQUENCY.fullmatch(flux) and not hasattr(values, "unit"):
            raise DataError(f"column {flux!r} is per frequency and has no unit; give it one: nJy")
        noise = _noise(table, values)
        seen = Observed(wave, values, noise, None if mask is None else _flags(table, mask))
    except DataError as problem:
        named = str(problem).startswith(str(path))
        raise error(str(problem) if named else f"{path}: {problem}") from None
    missing = np.isnan(seen.flux) & (seen.mask == 0)
    return replace(seen, mask=np.where(missing, seen.mask.dtype.type(mask_value("BAD")), seen.mask))


def _with_unit(table: UserTable, column: str) -> "np.ndarray | units.Quantity":
    """Numbers of a column with its unit, where it has one; InputError for magnitudes."""
    values, unit = table.numbers(column), table.parsed_unit(column)
    if isinstance(unit, units.FunctionUnitBase):
        raise table.error(
            f"{table.path}: column {column!r} is in {unit}, a logarithm; convert it to a flux"
        )
    return values if unit is None else units.Quantity(values, unit)


def _wave(table: UserTable, air: bool) -> tuple[str | None, np.ndarray | None]:
    """Column of wavelengths, and what it holds: vacuum [Å]."""
    column = table.find("wave", IN_AIR)
    logarithm = None if column else table.find("loglam", LOGARITHM)
    if not (column or logarithm):
        return None, None
    name = column or logarithm
    wave = table.numbers(name)
    table.refuse_missing(name, wave)
    unit = None if logarithm else table.parsed_unit(name)
    try:
        wave = to_angstrom(10.0 ** wave.astype(np.float64) if logarithm else wave, unit)
    except ValueError as problem:
        raise table.error(f"{table.path}: column {name!r}: {problem}") from None
    said = _medium(table, name)
    if air and said == "vacuum":
        raise table.error(f"{table.path}: says that its wavelengths are vacuum ones; drop --air")
    return name, air_to_vacuum(wave) if air or said == "air" else wave


def _medium(table: UserTable, column: str) -> str:
    """``air`` or ``vacuum``, where the file says which: metadata, FITS cards, the column itself."""
    meta = {name: str(value).strip().lower() for name, value in table.meta.items()}
    kinds = [text for name, text in meta.items() if name.startswith(("ctype", "tctyp"))]
    if any(text.startswith("awav") for text in kinds) or column.lower() in IN_AIR:
        return "air"
    if meta.get("vacuum") in ("true", "t", "1", "yes"):
        return "vacuum"
    if meta.get("vacuum") in ("false", "f", "0", "no") or meta.get("air") in ("true", "t", "1"):
        return "air"
    spoken = ("medium", "airorvac", "wave_medium", "wavelength_medium")
    texts = [meta.get(name, "") for name in spoken]
    texts.append(str(getattr(table.columns[column], "description", None) or ""))
    found = {match[1].lower() for text in texts if (match := MEDIUM.search(text))}
    return "air" if found == {"air"} else "vacuum" if found else ""


def _noise(table: UserTable, flux: "np.ndarray | units.Quantity") -> object:
    """1σ of every pixel by the columns that tell it, NaN where one says that there is none."""
    found = {name: table.find(name, aliases) for name, aliases in NOISE.items()}
    errors = []
    for name, column in found.items():
        if column is None:
            continue
        values = _with_unit(table, column)
        bare = not hasattr(values, "unit") or values.unit == units.dimensionless_unscaled
        if name == "ivar":
            values = error_of_ivar(values)
        elif name == "variance":
            with np.errstate(invalid="ignore"):
                values = np.sqrt(values)
        if bare and hasattr(flux, "unit"):
            values = np.asarray(values) * flux.unit
        errors.append(values)
    if not errors:
        return None
    first, *others = errors
    usable = np.all([np.isfinite(one) & (np.asarray(one) > 0) for one in others], axis=0)
    return np.where(usable, first, np.nan) if others else first


def _flags(table: UserTable, column: str) -> object:
    """Flags of every pixel: whole numbers, or a row of bits that becomes whether one is set."""
    values = table.columns[column]
    if values.ndim == 2 and len(values) == 1:
        values = values[0]
    if values.ndim == 2:
        return np.asarray(values != 0).any(axis=1)
    if values.dtype.kind in "US":
        words = {"true": 1, "false": 0, "t": 1, "f": 0}
        texts = [str(v).strip().lower() for v in np.ma.filled(np.ma.asarray(values), "1")]
        return np.array([words.get(text, text) for text in texts], dtype=object)
    return values
