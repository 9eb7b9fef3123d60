"""Cuts of a table by a recipe: named conditions in a TOML file, counted one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import read_toml, toml_of
from starsmith.data_contract.tables.user_table import UserTable

__all__ = ["Cut", "Recipe", "apply_recipe", "list_recipes", "read_recipe"]

PLACE = "starsmith.data_contract.surveys.catalogues.recipes"
CONDITIONS = ("equals", "differs", "above", "below", "at_least", "at_most", "among", "clear")


@dataclass(frozen=True)
class Cut:
    """One condition on a column: ``equals``, ``above``, ... a value, or bits that are ``clear``."""

    column: str
    condition: str
    value: object

    def __str__(self) -> str:
        return f"{self.column} {self.condition.replace('_', ' ')} {self.value}"


@dataclass(frozen=True)
class Recipe:
    """Cuts in order, and where they are from."""

    name: str
    source: str
    cuts: tuple[Cut, ...]


def list_recipes() -> tuple[str, ...]:
    """Names of the recipes that come along."""
    found = (file.name for file in files(PLACE).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


def read_recipe(name: str) -> Recipe:
    """Read a recipe: one that comes along by its name, or a TOML file.

    Raises
    ------
    ConfigError
        If there is none of that name, or it has other keys than those of a recipe.
    """
    if name in list_recipes():
        content = toml_of((files(PLACE) / f"{name}.toml").read_text())
    elif name.endswith(".toml"):
        content = read_toml(Path(name), ConfigError)
    else:
        raise ConfigError(f"--recipe {name}: one of {', '.join(list_recipes())}, or a .toml file")
    cuts = content.get("cut")
    if not isinstance(cuts, list) or not cuts or not all(isinstance(cut, dict) for cut in cuts):
        raise ConfigError(f"{name}: no [[cut]] in it; a recipe has one or more")
    made = tuple(_cut(name, cut) for cut in cuts)
    return Recipe(name, str(content.get("source", "")), made)


def _cut(name: str, cut: Mapping) -> Cut:
    told = [key for key in cut if key != "column"]
    if not isinstance(cut.get("column"), str) or len(told) != 1 or told[0] not in CONDITIONS:
        raise ConfigError(
            f"{name}: {dict(cut)} is no cut; expected column and one of {', '.join(CONDITIONS)}"
        )
    return Cut(cut["column"], told[0], cut[told[0]])


def apply_recipe(table: UserTable, recipe: Recipe) -> tuple[np.ndarray, list[tuple[str, int]]]:
    """Rows that pass every cut, and how many are left after each.

    A row whose value is missing passes none.

    Returns
    -------
    rows : bool array, shape (n_row,)
    counts : list of (str, int)
        ``all rows`` first.

    Raises
    ------
    ConfigError
        If a column is missing or of another kind.
    """
    kept = np.ones(len(table), dtype=bool)
    counts = [("all rows", len(table))]
    for cut in recipe.cuts:
        column = table.find(cut.column)
        if column is None:
            raise ConfigError(f"{table.path}: no column {cut.column}; {recipe.name} needs it")
        kept &= _passes(table, column, cut)
        counts.append((str(cut), int(kept.sum())))
    return kept, counts


def _passes(table: UserTable, column: str, cut: Cut) -> np.ndarray:
    values = np.ma.asarray(table.columns[column])
    known = ~np.ma.getmaskarray(values)
    plain = values.data
    is_text = plain.dtype.kind in "SUO"
    wanted = cut.value if isinstance(cut.value, list) else [cut.value]
    if is_text != all(isinstance(value, str) for value in wanted):
        kind = "text" if is_text else "numbers"
        raise ConfigError(f"{table.path}: column {column} holds {kind}; the cut is {cut}")
    if is_text:
        plain = np.char.strip(plain.astype(str))
    elif plain.dtype.kind == "f":
        known &= np.isfinite(plain)
    tests = {
        "equals": lambda: plain == cut.value,
        "differs": lambda: plain != cut.value,
        "above": lambda: plain > cut.value,
        "below": lambda: plain < cut.value,
        "at_least": lambda: plain >= cut.value,
        "at_most": lambda: plain <= cut.value,
        "among": lambda: np.isin(plain, wanted),
        "clear": lambda: (plain.astype(np.int64) & int(cut.value)) == 0,
    }
    with np.errstate(invalid="ignore"):
        return known & tests[cut.condition]()
