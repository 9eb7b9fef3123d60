"""Arrays in zarr groups: written checksummed, opened by schema and version, checked before use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.shard_file import check_files, read_array
from starsmith.data_contract.files.zarr_check import (
    DESCRIPTION,
    ArrayLayout,
    array_layout,
    group_attributes,
)
from starsmith.data_contract.quantities import UNITS

__all__ = [
    "ArrayKinds",
    "StoredGroup",
    "check_arrays",
    "decoded",
    "open_group",
    "read_arrays",
    "schema_of",
    "write_array",
]

ArrayKinds = Mapping[str, tuple[str, *tuple[tuple[str, ...], ...]]]
"""Name of an array -> its numpy type, and the names of its dimensions, one way or another."""


def write_array(
    group: zarr.Group,
    name: str,
    values: np.ndarray,
    dims: tuple[str, ...],
    chunks: tuple[int, ...] | None = None,
    attributes: Mapping | None = None,
) -> None:
    """Store one array compressed and checksummed, with dimension names, unit and attributes."""
    values = np.asarray(values)
    group.create_array(
        name,
        data=values,
        chunks=chunks or tuple(max(1, n) for n in values.shape),
        compressors=[
            zarr.codecs.BloscCodec(
                cname="lz4", clevel=5, shuffle="bitshuffle", typesize=values.dtype.itemsize
            ),
            zarr.codecs.Crc32cCodec(),
        ],
        dimension_names=dims,
        attributes={**({"units": UNITS[name]} if name in UNITS else {}), **(attributes or {})},
    )


@dataclass(frozen=True)
class StoredGroup:
    """A zarr group on disk, of which nothing has been decoded.

    Attributes
    ----------
    path : Path
    attrs : dict
    """

    path: Path
    attrs: dict

    def __contains__(self, name: str) -> bool:
        return (self.path / name / DESCRIPTION).exists()

    def group(self, name: str) -> "StoredGroup":
        """A group inside; DataError if it is damaged."""
        return StoredGroup(self.path / name, group_attributes(self.path / name))

    def attribute(self, name: str, kind: type | tuple[type, ...], default: object = None) -> object:
        """An attribute; DataError if it is missing without a default, or of another type."""
        value = self.attrs.get(name, default)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise DataError(
                f"{self.path / DESCRIPTION}: attribute {name} is {str(value)[:60]!r}; "
                "write it again"
            )
        return value

    def names(self, entry: str, known: Iterable[str]) -> tuple[str, ...]:
        """An attribute that lists some of the ``known`` names, each once; else DataError."""
        found, known = self.attribute(entry, list), list(known)
        if not found or sum(name in found for name in known) != len(found):
            raise DataError(
                f"{self.path / DESCRIPTION}: {entry} {str(found)[:80]} must be among {known}"
            )
        return tuple(found)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array."""
        return array_layout(self.path / name).shape


def decoded(layout: ArrayLayout) -> np.ndarray:
    """Decode a whole array that was checked; a damaged chunk is a DataError."""
    try:
        return read_array(layout)
    except (OSError, ValueError, RuntimeError) as problem:
        folder = layout.folder
        raise DataError(
            f"{folder.parent}: array {folder.name!r} is damaged ({problem}); write it again"
        ) from None


def schema_of(path: Path | str) -> str | None:
    """Return the schema a zarr group says it has; None for anything else, or nothing."""
    try:
        schema = group_attributes(Path(path)).get("schema")
    except (OSError, DataError):
        return None
    return schema if isinstance(schema, str) else None


def open_group(path: Path, schema: str, versions: int | tuple[int, ...]) -> StoredGroup:
    """Open a zarr group of a known schema and one of the versions named.

    Raises
    ------
    DataError
        If nothing is there, or it is something else, or it is of another version.
    """
    path = Path(path)
    try:
        attributes = group_attributes(path)
    except OSError:
        found = "another kind of file or folder" if path.exists() else "nothing there"
        raise DataError(f"{path}: expected a {schema}, found {found}") from None
    found = attributes.get("schema")
    if found != schema:
        name = found if isinstance(found, str) and found else "another kind of zarr group"
        raise DataError(f"{path}: expected a {schema}, found {name[:80]}")
    versions = versions if isinstance(versions, tuple) else (versions,)
    if (version := attributes.get("schema_version")) not in versions:
        readable = " and ".join(map(str, versions))
        raise DataError(
            f"{path}: {schema} version {version}, this starsmith reads version {readable}; "
            "read it with the starsmith that wrote it, or write it again with this one"
        )
    return StoredGroup(path, attributes)


def read_arrays(
    group: StoredGroup,
    kinds: ArrayKinds,
    sizes: Mapping[str, int] | None = None,
    needed: Iterable[str] = (),
) -> dict[str, np.ndarray]:
    """Read the arrays of some names that a group has.

    All of them are checked before one is decoded: their type, that dimensions of one name have
    one size, and every file.

    Parameters
    ----------
    group : StoredGroup
    kinds : mapping
        See `ArrayKinds`.
    sizes : mapping of str to int, optional
        Sizes of dimensions that are known.
    needed : iterable of str, optional
        Names of arrays that must be there.

    Raises
    ------
    DataError
        If one is damaged, missing, or not of the kind given.
    """
    layouts = check_arrays(group, kinds, sizes, needed)
    for layout in layouts.values():
        check_files(layout)
    return {name: decoded(layout) for name, layout in layouts.items()}


def check_arrays(
    group: StoredGroup,
    kinds: ArrayKinds,
    sizes: Mapping[str, int] | None = None,
    needed: Iterable[str] = (),
) -> dict[str, ArrayLayout]:
    """Layouts of the arrays that a group has, of types and shapes that fit together.

    Parameters are those of `read_arrays`; no chunk is looked at. Raises DataError as it does.
    """
    layouts, sizes = {}, dict(sizes or {})
    for name, (dtype, *shapes) in kinds.items():
        if name not in group:
            continue
        layout = array_layout(group.path / name, dtype)
        dims = next((dims for dims in shapes if len(dims) == len(layout.shape)), None)
        pairs = zip(dims or (), layout.shape, strict=False)
        if dims is None or any(sizes.setdefault(dim, size) != size for dim, size in pairs):
            known = {dim: sizes[dim] for dims in shapes for dim in dims if dim in sizes}
            raise DataError(
                f"{layout.folder}: its shape is {layout.shape}, expected "
                f"{' or '.join(map(str, shapes))} with {known}; write it again"
            )
        layouts[name] = layout
    if missing := sorted(set(needed) - set(layouts)):
        raise DataError(f"{group.path}: array(s) {missing} are missing; write it again")
    return layouts
