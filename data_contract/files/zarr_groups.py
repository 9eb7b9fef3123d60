"""Arrays in zarr groups: written checksummed, opened by schema and version."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import zarr

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.quantities import UNITS

__all__ = [
    "open_group",
    "read_arrays",
    "schema_of",
    "write_array",
]


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


def schema_of(path: Path | str) -> str | None:
    """Return the schema a zarr group says it has; None for anything else, or nothing."""
    try:
        return zarr.open_group(Path(path), mode="r").attrs.get("schema")
    except (FileNotFoundError, ValueError, KeyError):
        return None


def open_group(path: Path, schema: str, versions: int | tuple[int, ...]) -> zarr.Group:
    """Open a zarr group of a known schema and one of the versions named.

    Raises
    ------
    DataError
        If nothing is there, or it is something else, or it is of another version.
    """
    path = Path(path)
    try:
        group = zarr.open_group(path, mode="r")
    except (FileNotFoundError, ValueError, KeyError):
        found = "another kind of file or folder" if path.exists() else "nothing there"
        raise DataError(f"{path}: expected a {schema}, found {found}") from None
    found = group.attrs.get("schema")
    if found != schema:
        raise DataError(
            f"{path}: expected a {schema}, found {found or 'another kind of zarr group'}"
        )
    versions = versions if isinstance(versions, tuple) else (versions,)
    if (version := group.attrs.get("schema_version")) not in versions:
        readable = " and ".join(map(str, versions))
        raise DataError(
            f"{path}: {schema} version {version}, this starsmith reads version {readable}; "
            "read it with the starsmith that wrote it, or write it again with this one"
        )
    return group


def read_arrays(group: zarr.Group, path: Path) -> dict[str, np.ndarray]:
    """Read every array of a group; a damaged chunk is a DataError naming the array."""
    arrays = {}
    for name, array in group.arrays():
        try:
            arrays[name] = np.asarray(array[...])
        except (ValueError, RuntimeError) as problem:
            raise DataError(
                f"{path}: array {name!r} is damaged ({problem}); write it again"
            ) from None
    return arrays
