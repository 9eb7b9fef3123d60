"""One reader of users' tables: ECSV, CSV and FITS, columns by any of their names, missing cells.

A file's content says what it is, its suffix only which kinds are looked for. Cells that are
blank, masked or not a number are missing: never zero.
"""

import io
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.errors import ConfigError, InputError
from starsmith.data_contract.files.outside import MOST_TABLE, read_file, unpack
from starsmith.data_contract.quantities import QUANTITIES
from starsmith.data_contract.spelling import letters_of
from starsmith.data_contract.unit_conversion import parse_unit, split_unit

if TYPE_CHECKING:
    from astropy.table import Column, Table

__all__ = ["FITS_HEAD", "READABLE", "UserTable", "is_readable", "read_content", "read_table"]

FITS_HEAD, GZIP_HEAD = b"SIMPLE", b"\x1f\x8b"

READABLE = (".ecsv", ".csv", ".fits", ".fit", ".fts")
"""Suffixes of tables that are read, in any case, also with ``.gz`` after them."""

BLANKS = [(text, "0") for text in ("", "NA", "N/A", "null", "None", "--")]
IN_BRACKETS = re.compile(r"\s*(.+?)\s*[\[(]([^\[\]()]*(?:\([^()]*\))?[^\[\]()]*)[\])]\s*")
UNITS_IN_NAMES = {
    unit.lower(): unit for unit in ("nm", "um", "micron", "Angstrom", "nJy", "uJy", "mJy", "Jy")
}
AFTER_NAME = re.compile(rf"(?i)(.+?)_({'|'.join(UNITS_IN_NAMES)})")
NAMED_REASON = 160  # characters of another library's message


def is_readable(path: Path | str) -> bool:
    """Whether a table of this name can be read."""
    return Path(str(path).lower().removesuffix(".gz")).suffix in READABLE


ALIASES: Mapping[str, frozenset[str]] = {
    quantity.name: frozenset(map(letters_of, (quantity.name, *quantity.aliases)))
    for quantity in QUANTITIES
}
KNOWN = frozenset().union(*ALIASES.values())


@dataclass(frozen=True, eq=False)
class UserTable:
    """A table as it was read.

    Attributes
    ----------
    path : Path
    columns : mapping of str to astropy Column
        By their names in the file.
    meta : mapping of str to object
        Header cards or ECSV metadata, by names in lower case.
    error : type
        What is raised where a column cannot be used.
    """

    path: Path
    columns: "Mapping[str, Column]"
    meta: Mapping[str, object]
    error: type[InputError] = ConfigError

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @cached_property
    def _spellings(self) -> dict[str, list[str]]:
        """Letters of a name, with and without the unit in it -> columns."""
        found: dict[str, list[str]] = {}
        for name in self.columns:
            found.setdefault(letters_of(name), []).append(name)
            for pattern in (IN_BRACKETS, AFTER_NAME):
                if match := pattern.fullmatch(name):
                    found.setdefault(letters_of(match[1]), []).append(name)
        return found

    def find(self, name: str, aliases: Iterable[str] = ()) -> str | None:
        """Column that holds a quantity, by its name or an alias; None if there is none.

        Raises
        ------
        InputError
            If several columns could be meant, and none has the very name.
        """
        if name in self.columns:
            return name
        known = ALIASES.get(name, frozenset()) | {letters_of(a) for a in (name, *aliases)}
        found = {column: None for key in sorted(known) for column in self._spellings.get(key, ())}
        if len(found) > 1:
            exact = [column for column in found if letters_of(column) == letters_of(name)]
            if len(exact) == 1:
                return exact[0]
            raise self.error(
                f"{self.path}: columns {', '.join(found)} could all be {name}; name one of them "
                f"{name}"
            )
        return next(iter(found), None)

    def unit(self, column: str) -> object:
        """Unit of a column: its own, or the one in brackets in its name; None without one."""
        own = getattr(self.columns[column], "unit", None)
        if own is not None and str(own) != "":
            return own
        bracket, after = IN_BRACKETS.fullmatch(column), AFTER_NAME.fullmatch(column)
        is_unit = letters_of(column) not in KNOWN  # as log(g) and E(B-V) are
        if bracket and (is_unit or not letters_of(bracket[2])):
            return bracket[2]
        return UNITS_IN_NAMES[after[2].lower()] if after and is_unit else None

    def numbers(self, column: str) -> np.ndarray:
        """Values of a column, float, NaN where they are missing; InputError where it has text."""
        values = self.columns[column]
        try:
            plain, _ = split_unit(values)
        except (ValueError, TypeError) as problem:
            raise self.error(
                f"{self.path} is no table of numbers: column {column!r} is not usable ({problem}"
                f"{_first_text(values)})"
            ) from None
        if plain.ndim == 2 and len(plain) == 1:  # a spectrum in one row of a FITS table
            plain = plain[0]
        if plain.ndim != 1:
            raise self.error(
                f"{self.path}: column {column!r} is not usable (it has {plain.shape[1:]} values in "
                "a row, expected one)"
            )
        return plain

    def parsed_unit(self, column: str) -> object:
        """Unit of a column as astropy has it, or None; InputError where it is no unit."""
        try:
            return parse_unit(self.unit(column))
        except ValueError as problem:
            raise self.error(f"{self.path}: column {column!r}: {problem}") from None

    def finite(self, column: str) -> np.ndarray:
        """Numbers of a column, float64; InputError where one is missing."""
        values = self.numbers(column).astype(np.float64)
        self.refuse_missing(column, values)
        return values

    def refuse_missing(self, column: str, values: np.ndarray) -> None:
        """Raise InputError naming the column and its first row without a finite value."""
        bad = ~np.isfinite(values)
        if bad.any():
            raise self.error(
                f"{self.path}: column {column!r} is blank or holds values that are not numbers in "
                f"{int(bad.sum())} row(s) (first: row {int(np.argmax(bad)) + 1} of the data); fill "
                "them in, or leave these rows out"
            )


def _first_text(values: "Column") -> str:
    for row, value in enumerate(np.ma.asarray(values).tolist()):
        try:
            float(value if value is not None else 0)
        except (TypeError, ValueError):
            return f": {value!r} in row {row + 1}"
    return ""


def read_table(
    path: Path | str,
    wanted: Sequence[str] = (),
    error: type[InputError] = ConfigError,
    what: str = "",
) -> UserTable:
    """Read an ECSV, CSV or FITS table, compressed or not.

    Parameters
    ----------
    path : path
        Ends in one of `READABLE`, in any case, with or without ``.gz``.
    wanted : sequence of str
        Quantities; of a FITS file with several tables, the first that has them is taken.
    error : type
        Raised here, and by the table later.
    what : str
        What is in the table, for messages: ``population``.

    Returns
    -------
    table : UserTable

    Raises
    ------
    InputError
        If it is not there, or is no such table.
    """
    path = Path(path)
    if not is_readable(path):
        are = f"a {what} is a table, read" if what else "tables are read"
        raise error(f"{path}: {are} from files that end in {', '.join(READABLE)}, or .gz after it")
    try:
        content = read_content(path)
    except FileNotFoundError:
        raise error(f"{path}: no {f'{what} ' if what else ''}table there") from None
    except (OSError, ValueError) as problem:
        raise error(f"{path} cannot be read as a table ({_one_line(problem)})") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # astropy only warns of a file cut short, and then reads what is left
        warnings.filterwarnings("error", message=".*truncated.*")
        try:
            table = _parsed(content, wanted)
        except Exception as problem:  # readers of tables raise what they like on a damaged file
            raise error(f"{path} cannot be read as a table ({_one_line(problem)})") from None
    meta = {str(name).lower(): value for name, value in table.meta.items()}
    return UserTable(path, {n: table[n] for n in table.colnames}, meta, error)


def _one_line(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:NAMED_REASON]


def read_content(path: Path) -> bytes:
    """Bytes of a file, unpacked where they are gzip's; OSError or ValueError beyond 2 GiB."""
    content = read_file(path, MOST_TABLE)
    return unpack(content, "gz", MOST_TABLE) if content.startswith(GZIP_HEAD) else content


def _parsed(content: bytes, wanted: Sequence[str]) -> "Table":
    from astropy.table import Table

    if content.startswith(FITS_HEAD):
        return _fits_table(content, wanted)
    # without the byte-order mark of spreadsheets; one line alone would be taken for a file's name
    text = content.decode("utf-8-sig") + "\n"
    if "\0" in text or not text.strip():
        raise ValueError("it is empty" if not text.strip() else "it is neither text nor FITS")
    if text.startswith("# %ECSV"):
        return Table.read(text, format="ascii.ecsv")
    head = next(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    comma = ";" if ";" in head and "," not in head else ","
    return Table.read(text, format="ascii.csv", delimiter=comma, comment="#", fill_values=BLANKS)


def _fits_table(content: bytes, wanted: Sequence[str]) -> "Table":
    from astropy.io import fits  # noqa: TID251
    from astropy.table import Table

    source = io.BytesIO(content)
    with fits.open(source, memmap=False, disable_image_compression=True) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        if not tables:
            raise ValueError("it holds no table")
        fitting = [hdu for hdu in tables if _has(hdu.columns.names, wanted)]
        table = Table.read((fitting or tables)[0], format="fits", character_as_bytes=False)
        table.meta = {**hdus[0].header, **table.meta}
        return table


def _has(names: Sequence[str], wanted: Sequence[str]) -> bool:
    spelled = {letters_of(name) for name in names}
    return all(ALIASES[name] & spelled for name in wanted if name in ALIASES)
