"""Files that appear complete or not at all: staged writers, JSON and TOML texts."""

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import tomli_w

from starsmith.data_contract.errors import DataError

__all__ = [
    "json_bytes",
    "json_safe",
    "partial_name",
    "refuse_existing",
    "staged_file",
    "staged_folder",
    "temporary_folder",
    "write_json",
    "write_text",
    "write_toml",
]


def refuse_existing(path: Path | None, overwrite: bool) -> None:
    """Raise DataError where ``path`` exists and may not, or must not, be replaced."""
    if path is None or not path.exists():
        return
    if not overwrite:
        raise DataError(f"{path} exists already; choose another --out or pass --overwrite")
    if path.is_dir() and any(path.iterdir()) and not (path / "zarr.json").exists():
        raise DataError(f"{path} is a folder starsmith did not write; choose another --out")


def json_safe(value: object) -> object:
    """Return ``value`` in types of strict JSON: NaN and infinity as None, arrays as lists."""
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if hasattr(value, "tolist"):
        return json_safe(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


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


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Build a folder beside ``path`` and move it into place only when complete."""
    with temporary_folder(path) as staging:
        yield staging
        if path.exists():
            shutil.rmtree(path)
        os.replace(staging, path)


def write_toml(path: Path, values: Mapping) -> None:
    """Write a TOML file in one step."""
    with staged_file(path) as partial:
        partial.write_text(tomli_w.dumps(values), encoding="utf-8")
