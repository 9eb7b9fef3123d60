"""Suites that are one table: packaged TOML files, a user's, and the folder that one is run in."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import asdict, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.files.atomic import write_text
from starsmith.data_contract.files.outside import read_json, read_toml

__all__ = ["finished_cells", "keep_suite", "list_tables", "load_table", "waiting_cells"]

Suite = TypeVar("Suite")
FileOf = Callable[[Path, Any], Path]
"""Where a folder keeps a cell."""


def list_tables(package: str) -> list[str]:
    """Names of the suites of a package."""
    return sorted(f.name[:-5] for f in files(package).iterdir() if f.name[-5:] == ".toml")


def load_table(kind: type[Suite], package: str, name: str) -> Suite:
    """Packaged suite of a name, or one of a TOML file.

    Parameters
    ----------
    kind : type
        Frozen dataclass whose fields are the keys; all have defaults, one is ``name``.
    package : str
        With the packaged files.
    name : str

    Raises
    ------
    ConfigError
        For unknown names, keys or values.
    """
    if name in list_tables(package):
        table = tomllib.loads((files(package) / f"{name}.toml").read_text())
    elif name.endswith(".toml"):
        table = read_toml(Path(name), ConfigError)
    else:
        known = ", ".join(list_tables(package))
        raise ConfigError(f"suite {name!r}: choose one of {known}, or a TOML file")
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(set(table) - set(known)):
        raise ConfigError(f"suite {name}: unknown keys {unknown}; known are {sorted(known)}")
    for key, value in table.items():
        default: Any = known[key].default
        wanted = list if isinstance(default, tuple) else type(default)
        if not isinstance(value, wanted) and not (wanted is float and type(value) is int):
            raise ConfigError(f"suite {name}: {key} = {value!r}; expected e.g. {default!r}")
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    return kind(**{"name": Path(name).stem, **given})


def keep_suite(suite: Any, out: Path, free: tuple[str, ...] = ()) -> None:
    """Write a suite into its folder; DataError if the folder is another's.

    A key that a folder's suite lacks counts as its default; those of ``free`` may differ.
    """
    out.mkdir(parents=True, exist_ok=True)
    plain = json.loads(json.dumps(asdict(type(suite)())))
    wanted = json.loads(json.dumps(asdict(suite)))
    place = out / "suite.json"
    held = plain | read_json(place) if place.is_file() else wanted
    if any(held[name] != wanted[name] for name in wanted if name not in free):
        raise DataError(f"{out}: holds another suite; choose another --out")
    write_text(place, json.dumps(wanted, indent=2) + "\n")


def waiting_cells(suite: Any, out: Path, file_of: FileOf, free: tuple[str, ...] = ()) -> list:
    """Keep a suite in its folder, as `keep_suite` does; its cells that are not done there."""
    keep_suite(suite, out, free)
    return [cell for cell in suite.cells if not file_of(out, cell).is_file()]


def finished_cells(suite: Any, out: Path, file_of: FileOf) -> list[dict]:
    """What every finished cell of a folder holds."""
    return [read_json(place) for c in suite.cells if (place := file_of(out, c)).is_file()]
