"""A list of spectra: a CSV, ECSV or FITS table of labels that names a file a row.

Columns ``file``, ``teff``, ``logg``, ``m_h`` and, where they vary, ``a_m`` and ``c_m``. Files are
text of two columns (wavelength and flux; more where a comment line names them) or tables with
columns ``wave``, ``flux`` and, if they have it, ``continuum``. Metadata of either may tell
``medium``, ``flux``, ``flux_unit``, ``wave_unit`` and ``resolution``.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import DataError, GridError
from starsmith.data_contract.files.outside import one_line, read_file, regular_size, unpack
from starsmith.data_contract.tables.user_table import UserTable, is_readable, read_table
from starsmith.data_contract.unit_conversion import to_glossary
from starsmith.simulator.grids.importing.layout import (
    FoundModel,
    Layout,
    SpectraFile,
    check_labels,
)
from starsmith.simulator.grids.importing.node_labels import NodeLabels
from starsmith.simulator.grids.importing.statement import NOTHING_SAID, RawSpectrum, Statement

__all__ = ["SPECTRA_TABLE", "file_column", "labels_of_rows", "listed_files", "named_columns"]

FILE_NAMES = ("filename", "path", "spectrum")
NEEDED = ("teff", "logg", "m_h")
MOST_TEXT = 2**28  # bytes of a spectrum, unpacked
MOST_MODELS = 10**6
WAVE_NAMES = ("wavelength", "lambda", "lam", "wl")
IN_AIR = ("wave_air", "air_wave", "wavelength_air", "lambda_air", "awav")
IN_VACUUM = ("wave_vac", "wave_vacuum", "wavelength_vac", "wavelength_vacuum", "lambda_vac")
KINDS = {
    "F_lambda": ("f_lambda", "flam", "flux_lambda", "surface_flux_lambda"),
    "F_nu": ("f_nu", "fnu", "flux_nu"),
    "H_lambda": ("h_lambda", "hlam"),
    "H_nu": ("h_nu", "hnu"),
}
IN_BRACKETS = re.compile(r"\s*[\[(].*[\])]\s*$")
HEAD_BYTES = 2**16
FORTRAN = re.compile(rb"(?<=[\d.])[dD](?=[-+]?\d)")


def file_column(table: UserTable) -> str | None:
    """Column that names a file a row; None where there is none."""
    return table.find("file", FILE_NAMES)


def labels_of_rows(table: UserTable) -> list[NodeLabels]:
    """Labels of every row, in glossary units.

    Raises
    ------
    GridError
        If a label is missing or no star's.
    """
    columns = []
    for name in NodeLabels._fields:
        column = table.find(name)
        if column is None and name in NEEDED:
            raise GridError(
                f"{table.path}: no column {name}, found {', '.join(table.columns)[:200]}; it needs "
                f"{', '.join(NEEDED)}"
            )
        if column is None:
            columns.append(np.zeros(len(table)))
            continue
        try:
            columns.append(to_glossary(name, table.finite(column), table.parsed_unit(column)))
        except ValueError as problem:
            raise GridError(f"{table.path}: column {column!r}: {problem}") from None
    # 0.0 + x: a label of -0.0 is 0
    return [check_labels(NodeLabels(*(0.0 + v for v in row))) for row in zip(*columns, strict=True)]


def listed_files(
    path: Path, folder: Path
) -> tuple[list[SpectraFile], Statement, list[tuple[str, str]]]:
    """Files a table of labels names, what its metadata say, and the rows refused.

    A name leads to a file in the folder or below, never elsewhere.

    Raises
    ------
    InputError
        If the table cannot be read, or names no file.
    """
    table = read_table(path, NEEDED, GridError, "list of spectra")
    if (column := file_column(table)) is None:
        raise GridError(f"{path}: no column file, found {', '.join(table.columns)[:200]}")
    if not 0 < len(table) <= MOST_MODELS:
        raise GridError(f"{path}: it has {len(table)} rows, expected one a spectrum")
    folder = folder.resolve()
    files, refused = [], []
    for name, labels in zip(table.columns[column], labels_of_rows(table), strict=True):
        said = str(name).strip()
        if problem := _astray(folder, said):
            refused.append((said[:200], problem))
        else:
            files.append(SpectraFile(folder / said, said, labels))
    return files, Statement.of_meta(table.meta), refused


def _astray(folder: Path, name: str) -> str:
    """Why a file of a table is not opened; empty if it may be."""
    if not name or "\0" in name or Path(name).is_absolute():
        return "the table names no file; write a path relative to the folder of the spectra"
    try:
        found = (folder / name).resolve()
        inside = found.is_relative_to(folder)
        there = inside and found.is_file()
    except (OSError, RuntimeError, ValueError):
        return "its name leads nowhere"
    if not inside:
        return "lies outside the folder of the spectra; copy it there"
    return "" if there else "no such file in the folder of the spectra"


def _read(file: SpectraFile) -> Iterator[FoundModel]:
    if file.labels is None:
        raise GridError("has no labels; name it in a table with columns file, teff, logg, m_h")
    named = is_readable(file.path) and not _is_bare(file.path)
    yield FoundModel(file.labels, _of_table(file.path) if named else _of_text(file.path))


def _is_bare(path: Path) -> bool:
    """Whether a file of text begins with a number: its columns have no names."""
    if path.suffix.lower() != ".csv":
        return False
    regular_size(path)
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES).splitlines()
    first = next((line for line in head if line.strip() and not line.startswith(b"#")), b"")
    return _starts_with_number(first.replace(b",", b" ").replace(b";", b" "))


def _of_table(path: Path) -> RawSpectrum:
    table = read_table(path, ("wave", "flux"), DataError)
    numeric = {_bare(name): name for name in table.columns if _is_numeric(table, name)}
    columns = {bare: table.numbers(name) for bare, name in numeric.items()}
    units = {bare: table.parsed_unit(name) for bare, name in numeric.items()}
    return named_columns(columns, units, Statement.of_meta(table.meta))


def _bare(name: str) -> str:
    """Name of a column without the unit in brackets behind it."""
    return IN_BRACKETS.sub("", name).strip()


def _is_numeric(table: UserTable, name: str) -> bool:
    return np.asarray(table.columns[name]).dtype.kind in "fiu"


def named_columns(
    columns: dict[str, np.ndarray], units: dict[str, object], says: Statement
) -> RawSpectrum:
    """Spectrum of columns whose names tell wavelength, flux and continuum, and may tell more.

    Raises
    ------
    GridError
        If a wavelength or a flux is missing, or could be several columns.
    """
    mediums = {"air": IN_AIR, "vacuum": IN_VACUUM}
    wave, medium = _one(columns, {None: ("wave", *WAVE_NAMES), **mediums}, "wave")
    value, kind = _one(columns, {None: ("flux",), **KINDS}, "flux")
    continuum = columns.get("continuum")
    said = {"medium": medium, "flux": kind, "wave_unit": units.get(wave)}
    said["flux_unit"] = units.get(value)
    for name, what in said.items():
        told = getattr(says, name)
        if what is not None and told is not None and name in ("medium", "flux") and what != told:
            raise GridError(f"{name} is stated as {told} and, by the name of a column, as {what}")
    merged = {
        name: getattr(says, name) if what is None else str(what) for name, what in said.items()
    }
    return RawSpectrum(
        wave=columns[wave],
        value=columns[value],
        continuum=continuum,
        says=Statement(**merged, resolution=says.resolution),  # type: ignore[arg-type]
    )


def _one(
    columns: dict[str, np.ndarray], names: dict[str | None, tuple[str, ...]], what: str
) -> tuple[str, str | None]:
    """The one column of some names, and what its name tells."""
    found = [
        (column, told)
        for column in columns
        for told, known in names.items()
        if column.lower().replace(" ", "_") in known
    ]
    if len(found) != 1:
        shown = ", ".join(columns)[:200] or "none"
        several = "several columns could be" if found else "no column"
        raise GridError(f"{several} {what}, found {shown}; call them wave, flux and continuum")
    return found[0]


def _of_text(path: Path) -> RawSpectrum:
    try:
        content = read_file(path, MOST_TEXT)
        if path.suffix.lower() == ".gz":
            content = unpack(content, "gz", MOST_TEXT)
        names, rows = _split(content)
        table = np.loadtxt(rows, ndmin=2, comments=None) if rows else np.empty((0, 0))
    except (OSError, ValueError) as problem:
        raise DataError(f"cannot be read as text ({one_line(problem)[:160]})") from None
    if table.shape[1] < 2:
        raise DataError(f"has {table.shape[1]} columns, expected a wavelength and a flux")
    if len(names) != table.shape[1]:
        if table.shape[1] > 2:
            raise DataError(
                f"has {table.shape[1]} columns; name them in a line above: # wave flux continuum"
            )
        names = ["wave", "flux"]
    columns = dict(zip(names, table.T, strict=True))
    return named_columns(columns, {}, NOTHING_SAID)


def _split(content: bytes) -> tuple[list[str], list[bytes]]:
    """Names of columns, where the last line before the numbers tells them, and rows of numbers."""
    lines = FORTRAN.sub(b"e", content).replace(b",", b" ").replace(b";", b" ").splitlines()
    first = next((i for i, line in enumerate(lines) if _starts_with_number(line)), len(lines))
    above = next((line for line in reversed(lines[:first]) if line.strip(b" #\t")), b"")
    names = above.decode("utf-8", "replace").strip(" #\t").split()
    rows = [line for line in lines[first:] if line.strip() and not line.lstrip().startswith(b"#")]
    return names, rows


def _starts_with_number(line: bytes) -> bool:
    try:
        float(line.split(maxsplit=1)[0])
    except (IndexError, ValueError):
        return False
    return True


SPECTRA_TABLE = Layout(
    name="list",
    title="a list of spectra",
    citation="",
    says=NOTHING_SAID,
    owns=lambda name: False,
    read=_read,
)
