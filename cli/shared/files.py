"""Output files: refused when they exist, complete when they appear."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

from starsmith.data_contract.errors import DataError

__all__ = [
    "check_table",
    "refuse_existing",
    "staged_file",
    "write_figure",
    "write_table",
    "write_toml",
]

TABLE_FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits"}


def refuse_existing(path: Path | None, overwrite: bool) -> None:
    """Raise DataError where ``path`` exists and may not, or must not, be replaced."""
    if path is None or not path.exists():
        return
    if not overwrite:
        raise DataError(f"{path} exists already; choose another --out or pass --overwrite")
    if path.is_dir() and any(path.iterdir()) and not (path / "zarr.json").exists():
        raise DataError(f"{path} is a folder starsmith did not write; choose another --out")


@contextmanager
def staged_file(path: Path):
    """Yield a name to write to; the file takes its place only when complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_table(path: Path | None) -> None:
    """Raise DataError, before any work, where a table cannot be written in that format."""
    if path is not None and path.suffix not in TABLE_FORMATS:
        raise DataError(
            f"{path}: tables are written as {sorted(TABLE_FORMATS)}; give --out one of these"
        )


def write_figure(path: Path, figure) -> None:
    """Write a matplotlib figure; the suffix chooses the format."""
    with staged_file(path) as partial:
        figure.savefig(partial, dpi=150)


def write_table(path: Path, table) -> None:
    """Write an astropy table as ECSV, CSV or FITS, whichever the suffix says."""
    check_table(path)
    with staged_file(path) as partial:
        table.write(partial, format=TABLE_FORMATS[path.suffix], overwrite=True)


def write_toml(path: Path, values: dict) -> None:
    """Write a flat TOML file of strings, numbers, lists of numbers and inline tables."""
    with staged_file(path) as partial:
        lines = (f"{name} = {_toml(value)}" for name, value in values.items())
        partial.write_text("\n".join(lines) + "\n")


def _toml(value) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + " }"
    # JSON strings, numbers, booleans and lists are TOML as they are
    return json.dumps(value, allow_nan=False)
