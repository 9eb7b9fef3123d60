"""HDF5 files checked before they are read: no links, no foreign storage, bounded memory.

An array lies in the file itself behind hard links, holds numbers or short strings, is packed with
deflate, shuffle or fletcher32 alone, and unpacks to a size that its stored bytes account for.
"""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import one_line, regular_size

__all__ = ["hdf5_array", "hdf5_attribute", "hdf5_group", "hdf5_text", "open_hdf5"]

FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
ROOM = 2**26  # bytes of an array that need not be accounted for by what is stored
RATIO = 100  # of an array over what is stored of it; spectra compress by less than ten
MOST_CHUNK = 2**28  # bytes of one chunk
DEFLATE_RATIO = 1032  # no deflate stream unpacks to more times its size
MOST_TEXT = 2**26
UNREADABLE = (OSError, RuntimeError, TypeError, ValueError, LookupError, AttributeError)
"""What h5py raises on damaged files."""


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; whatever is damaged in it is one DataError."""
    try:
        regular_size(path)
        with h5py.File(path, "r") as root:
            yield root
    except UNREADABLE as problem:
        raise DataError(f"{path} cannot be read as HDF5 ({one_line(problem)})") from None


def _member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """What lies at a path inside, None where nothing does; DataError where a link leads on."""
    here = group
    for part in name.split("/"):
        if not isinstance(here, h5py.Group) or part not in here:
            return None
        link = here.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            kind = "external" if isinstance(link, h5py.ExternalLink) else "soft"
            raise DataError(
                f"{group.file.filename}: /{name} is a link ({kind}); store what it points to"
            )
        here = here[part]
    return here


def hdf5_group(root: h5py.Group, name: str) -> h5py.Group | None:
    """Group at a path, None where there is none; DataError if it is something else or a link."""
    found = _member(root, name)
    if found is not None and not isinstance(found, h5py.Group):
        raise DataError(f"{root.file.filename}: /{name} is no group")
    return found


def hdf5_array(
    root: h5py.Group, name: str, rank: int | None = None, kinds: str = "fiub"
) -> h5py.Dataset | None:
    """Array at a path, checked but not read; None where there is none.

    Parameters
    ----------
    root : h5py.Group
    name : str
    rank : int, optional
        The number of dimensions it must have.
    kinds : str
        Kinds of numpy types it may have, ``V`` for tables of numbers and short strings.

    Raises
    ------
    DataError
        If it is of another kind or rank, behind a link, stored elsewhere, packed by another
        filter, or tells of more than its stored bytes account for.
    """
    found = _member(root, name)
    if found is None:
        return None
    if problem := _problem(found, rank, kinds):
        raise DataError(f"{root.file.filename}: /{found.name.strip('/')} {problem}; write it again")
    return found


def _problem(found: h5py.Group | h5py.Dataset, rank: int | None, kinds: str) -> str:
    """Why an array is not read; empty if it may be."""
    if not isinstance(found, h5py.Dataset):
        return "is no array"
    types = [found.dtype, *(found.dtype[n] for n in found.dtype.names or ())]
    if any(t.hasobject or t.base.kind not in kinds + "SV"[: 2 * ("V" in kinds)] for t in types):
        return f"holds {str(found.dtype)[:80]}, expected plain numbers"
    if rank is not None and len(found.shape or ()) != rank:
        return f"has shape {found.shape}, expected {rank} dimension(s)"
    storage = found.id.get_create_plist()
    if found.is_virtual or storage.get_external_count():
        return "is stored in other files"
    filters = {storage.get_filter(k)[0] for k in range(storage.get_nfilters())}
    if filters - FILTERS:
        return f"is packed with filters {sorted(filters)}, expected some of {sorted(FILTERS)}"
    size = math.prod(found.shape or (0,)) * found.dtype.itemsize
    stored = found.id.get_storage_size()
    if size > ROOM + RATIO * stored:
        return f"tells of {size} bytes, of which {stored} are stored"
    return _chunk_problem(found, filters) if found.chunks else ""


def _chunk_problem(found: h5py.Dataset, filters: set[int]) -> str:
    """Why the chunks of an array are not read: HDF5 unpacks them whatever they grow to."""
    slot = math.prod(found.chunks) * found.dtype.itemsize
    if slot > MOST_CHUNK:
        return f"has chunks of {slot} bytes"
    if h5py.h5z.FILTER_DEFLATE not in filters:
        return ""
    large: list[tuple[int, ...]] = []
    found.id.chunk_iter(
        lambda chunk: (
            large.append(chunk.chunk_offset) if chunk.size * DEFLATE_RATIO > MOST_CHUNK else None
        )
    )
    for offset in large:
        mask, packed = found.id.read_direct_chunk(offset)
        unpacker = zlib.decompressobj()
        if not mask and len(unpacker.decompress(packed, slot + ROOM)) == slot + ROOM:
            return f"has a chunk at {offset} that unpacks to more than its {slot} bytes"
    return ""


def hdf5_text(root: h5py.Group, name: str) -> str:
    """One text stored as a scalar; DataError if it is missing, something else or too long."""
    found = _member(root, name)
    good = isinstance(found, h5py.Dataset) and found.shape == () and not found.is_virtual
    if not good or h5py.check_string_dtype(found.dtype) is None:
        raise DataError(f"{root.file.filename}: /{name} is no text; export it again")
    if found.dtype.itemsize > MOST_TEXT or found.id.get_create_plist().get_external_count():
        raise DataError(f"{root.file.filename}: /{name} is too long; export it again")
    return found.asstr()[()]


def hdf5_attribute(holder: h5py.Group, name: str) -> str:
    """A text attribute; empty where there is none, or another kind of value."""
    if name not in holder.attrs:
        return ""
    about = holder.attrs.get_id(name)
    if h5py.check_string_dtype(about.dtype) is None or about.shape != ():
        return ""
    value = holder.attrs[name]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
