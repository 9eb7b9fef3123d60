"""Small zarr helpers shared by grid, bank and dataset files."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import zarr

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.quantities import UNITS

__all__ = [
    "json_bytes",
    "open_group",
    "partial_name",
    "read_arrays",
    "read_json",
    "schema_of",
    "staged_file",
    "staged_folder",
    "temporary_folder",
    "write_array",
    "write_json",
    "write_text",
]


def json_bytes(content: Mapping) -> bytes:
    """The one spelling of a JSON file: equal content is equal bytes."""
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def partial_name(path: Path) -> Path:
    """A hidden name beside ``path`` that no other writer, on this host or another, will take."""
    return path.with_name(f".{path.name}.{uuid4().hex[:12]}.partial")


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield a name to write to; the file takes its place only when complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_name(path)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path``, removed afterwards."""
    folder = partial_name(path)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_json(path: Path, content: Mapping) -> None:
    """Write JSON in one step: a reader sees the old file or the new one, never half."""
    with staged_file(path) as partial:
        partial.write_bytes(json_bytes(content))


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step, unless it holds that text already."""
    if path.exists() and path.read_bytes() == text.encode():
        return
    with staged_file(path) as partial:
        partial.write_bytes(text.encode())


def read_json(path: Path) -> dict:
    """Read a JSON object.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise DataError(f"{path} is missing or damaged ({problem}); write it again") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no JSON object; write it again")
    return content


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Build a folder beside ``path`` and move it into place only when complete."""
    with temporary_folder(path) as staging:
        yield staging
        if path.exists():
            shutil.rmtree(path)
        os.replace(staging, path)


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
