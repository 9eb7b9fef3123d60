"""A file of somebody else's, opened by its content: FITS, HDF5, a zip archive or text.

A file never chooses what reading it costs: its codec is one of these, gzip unpacks to a bounded
size, and an array that tells of more than the file holds is refused.
"""

import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from astropy.io import fits  # noqa: TID251
from astropy.utils.exceptions import AstropyUserWarning

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.hdf5_check import open_hdf5
from starsmith.data_contract.files.outside import one_line, read_file, regular_size, unpack
from starsmith.data_contract.tables.user_table import UserTable, read_table

__all__ = ["DAMAGE", "OutsideFile", "damage_of", "native", "open_outside"]

HEADS = {b"SIMPLE": "FITS", b"\x89HDF\r\n\x1a\n": "HDF5", b"PK\x03\x04": "zip"}
GZIP_HEAD = b"\x1f\x8b"
MOST_UNPACKED = 2**29  # bytes of a gzip file: a few coadds of DESI
EXTENSION = b"XTENSION"  # begins every HDU but the first
MOST_HDUS = 4096
MOST_JSON = 2**28  # bytes of a batch of spectra as a service sends them
DAMAGE = (
    *(OSError, EOFError, RuntimeError, ArithmeticError),
    *(ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(fits.VerifyError, AstropyUserWarning),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)
"""What other libraries raise on damaged files."""


class OutsideFile:
    """One file, opened for reading for as long as `open_outside` lasts.

    Attributes
    ----------
    path : Path
    kind : str
        ``FITS``, ``HDF5``, ``zip`` or ``text``.
    """

    def __init__(self, path: Path, stack: ExitStack):
        self.path = path
        self._stack = stack
        with open(path, "rb") as stream:
            head = stream.read(8)
        self._packed = head.startswith(GZIP_HEAD)
        if self._packed:
            head = self._content[:8]
        self._head = head
        self.kind = next((kind for start, kind in HEADS.items() if head.startswith(start)), "text")

    @cached_property
    def _content(self) -> bytes:
        return unpack(read_file(self.path, MOST_UNPACKED), "gz", MOST_UNPACKED)

    @cached_property
    def hdus(self) -> fits.HDUList:
        """HDUs of a FITS file, none of another; their data are read when asked for."""
        if self.kind != "FITS":
            return fits.HDUList([])
        stream = io.BytesIO(self._content) if self._packed else open(self.path, "rb")  # noqa: SIM115
        self._stack.enter_context(stream)
        with _strict_warnings():
            hdus = fits.open(stream, memmap=False, disable_image_compression=True)
            self._stack.enter_context(hdus)
            size = len(self._content) if self._packed else regular_size(self.path)
            for number, hdu in enumerate(hdus):
                place = hdu.fileinfo()
                if number > MOST_HDUS or (place and place["datLoc"] + hdu.size > size):
                    raise OSError(f"HDU {number} tells of more than the {size} bytes there are")
                end = place["datLoc"] + place["datSpan"] if place else size
                if end < size and self._bytes_at(end, len(EXTENSION)) != EXTENSION:
                    # astropy would look for a header to the end of the file
                    raise OSError(f"{size - end} bytes after HDU {number} are no HDU")
        return hdus

    def _bytes_at(self, offset: int, n: int) -> bytes:
        """Some bytes of the file, unpacked."""
        if self._packed:
            return self._content[offset : offset + n]
        with open(self.path, "rb") as stream:
            stream.seek(offset)
            return stream.read(n)

    @cached_property
    def hdu_names(self) -> tuple[str, ...]:
        """Names of the HDUs, none where there is no FITS."""
        return tuple(hdu.name for hdu in self.hdus)

    @cached_property
    def hdf5(self) -> h5py.File | None:
        """Root of an HDF5 file, None of another; arrays are asked for by `hdf5_array`."""
        if self.kind != "HDF5" or self._packed:
            return None
        return self._stack.enter_context(open_hdf5(self.path))

    @cached_property
    def zip_names(self) -> tuple[str, ...]:
        """Members of a zip archive, none of another file."""
        return () if self._zip is None else tuple(self._zip.namelist())

    @cached_property
    def _zip(self) -> zipfile.ZipFile | None:
        if self.kind != "zip" or self._packed:
            return None
        return self._stack.enter_context(zipfile.ZipFile(self.path))

    def member(self, name: str, most: int) -> bytes:
        """Bytes of a member of a zip archive; DataError where it unpacks to more than ``most``."""
        with self._zip.open(name) as stream:
            content = stream.read(most + 1)
        if len(content) > most:
            raise self.error(f"{name} unpacks to more than {most} bytes")
        return content

    @cached_property
    def json(self) -> object:
        """What a JSON text holds; None of another file, or one larger than `MOST_JSON`."""
        if self.kind != "text" or not self._head.lstrip().startswith((b"{", b"[")):
            return None
        try:
            content = self._content if self._packed else read_file(self.path, MOST_JSON)
            return json.loads(content)
        except (OSError, ValueError, RecursionError) as problem:
            raise self.error(f"no JSON ({one_line(problem)})") from None

    @cached_property
    def table(self) -> UserTable | None:
        """Columns of a text table, or of the first table of a FITS file; None where none."""
        if self.kind not in ("text", "FITS"):
            return None
        try:
            return read_table(self.path, error=DataError)
        except DataError:
            return None

    def header(self, hdu: int | str = 0) -> fits.Header:
        """Cards of an HDU."""
        return self._hdu(hdu).header

    def image(self, hdu: int | str, rank: int) -> "ImageRows":
        """Numbers of an image, read a row at a time; DataError if it is of another rank."""
        found = self._hdu(hdu)
        shape = tuple(getattr(found, "shape", ()))
        if not getattr(found, "is_image", False) or len(shape) != rank or 0 in shape:
            what = "table" if not getattr(found, "is_image", False) else f"image of shape {shape}"
            raise self.error(f"HDU {hdu} is a {what}, expected an image of {rank} dimensions")
        return ImageRows(found, shape)

    def columns(self, hdu: int | str, names: Sequence[str] = ()) -> fits.FITS_rec:
        """Rows of a table; DataError if it is none, has no rows or lacks columns."""
        found = self._hdu(hdu)
        if not isinstance(found, fits.BinTableHDU):
            raise self.error(f"HDU {hdu} is no table")
        if missing := sorted({name.lower() for name in names} - _lower(found.columns.names)):
            raise self.error(f"table {hdu} has no columns {', '.join(missing)}")
        if not len(found.data):
            raise self.error(f"table {hdu} has no rows")
        return found.data

    def has_columns(self, hdu: int | str, names: Sequence[str]) -> bool:
        """Whether an HDU is a table with these columns."""
        if isinstance(hdu, int) and hdu >= len(self.hdus):
            return False
        if isinstance(hdu, str) and hdu not in self.hdu_names:
            return False
        found = self.hdus[hdu]
        held = _lower(found.columns.names) if isinstance(found, fits.BinTableHDU) else set()
        return held >= {name.lower() for name in names}

    def _hdu(self, hdu: int | str) -> Any:
        there = hdu in self.hdu_names if isinstance(hdu, str) else hdu < len(self.hdus)
        if not there:
            names = ", ".join(name or "(no name)" for name in self.hdu_names) or "none"
            raise self.error(f"no HDU {hdu}; it has {names}")
        return self.hdus[hdu]

    def error(self, problem: object) -> DataError:
        """What to raise about this file."""
        return DataError(f"{self.path}: {problem}")


class ImageRows:
    """An image of a FITS file: `ImageRows[k]` reads one row, in the machine's byte order."""

    def __init__(self, hdu: Any, shape: tuple[int, ...]):
        self._section, self.shape = hdu.section, shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Any) -> np.ndarray:
        return native(self._section[which])


def native(values: object) -> np.ndarray:
    """Numbers in the machine's byte order; ValueError where they are none."""
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{values.dtype} where numbers are expected")
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _lower(names: Sequence[str]) -> set[str]:
    return {name.lower() for name in names}


@contextmanager
def _strict_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*truncated.*")
        yield


@contextmanager
def open_outside(path: Path) -> Iterator[OutsideFile]:
    """Open a file for reading.

    Raises
    ------
    DataError
        If there is no regular file, or it cannot be unpacked.
    """
    with ExitStack() as stack:
        try:
            regular_size(path)
            file = OutsideFile(path, stack)
        except (OSError, ValueError) as problem:
            raise DataError(f"{path} cannot be read ({one_line(problem)})") from None
        yield file


def damage_of(path: Path, read: Callable[[], Any]) -> Any:
    """What ``read`` returns; whatever other libraries raise of a damaged file is a DataError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except DataError as problem:
        text = str(problem)
        raise DataError(text if str(path) in text else f"{path}: {text}") from None
    except DAMAGE as problem:
        reason = " ".join(one_line(problem).split())[:200] or type(problem).__name__
        raise DataError(f"{path} is damaged, or not what it seems ({reason})") from None
