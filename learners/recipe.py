"""Recipes: everything that decides how a model is trained, from one TOML file."""

import math
import tomllib
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from importlib.resources import files
from pathlib import Path

import tomli_w

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import read_toml
from starsmith.learners.published import published_table
from starsmith.learners.recipe_kinds import (
    LOSSES,
    UNCERTAIN_LOSSES,
    AnyInstrumentRecipe,
    CompressedRecipe,
    NetworkRecipe,
    PosteriorRecipe,
    PretrainRecipe,
    RidgeRecipe,
    TemplateRecipe,
    TreesRecipe,
)

__all__ = [
    "LOSSES",
    "UNCERTAIN_LOSSES",
    "AnyInstrumentRecipe",
    "CompressedRecipe",
    "NetworkRecipe",
    "PosteriorRecipe",
    "PretrainRecipe",
    "Recipe",
    "RidgeRecipe",
    "TemplateRecipe",
    "TreesRecipe",
    "list_recipes",
    "load_recipe",
    "recipe_to_toml",
    "register_recipe",
]

PAPER = "paper"
SECTIONS = ("options", "published")
LOW_RANK = ("rank", "alpha", "targets")
"""Tables of a recipe, of which single keys can be changed."""

Recipe = (
    NetworkRecipe
    | PretrainRecipe
    | RidgeRecipe
    | TreesRecipe
    | PosteriorRecipe
    | TemplateRecipe
    | CompressedRecipe
    | AnyInstrumentRecipe
)

KINDS = {
    "network": NetworkRecipe,
    "ridge": RidgeRecipe,
    "trees": TreesRecipe,
    "posterior": PosteriorRecipe,
    "template": TemplateRecipe,
    "compressed": CompressedRecipe,
    "pretrain": PretrainRecipe,
    "any_instrument": AnyInstrumentRecipe,
}
_ADDED: set[str] = set()


def register_recipe(kind: str, recipe: type) -> None:
    """Make a dataclass the recipe of a kind of model; its defaults are read by that name.

    Raises
    ------
    ConfigError
        If the kind is taken.
    """
    if kind in KINDS:
        raise ConfigError(f"a recipe of kind {kind!r} is registered already; choose another name")
    KINDS[kind] = recipe
    _ADDED.add(kind)


def list_recipes() -> list[str]:
    """Names of the packaged recipes; each trains the model of the same name."""
    folder = files("starsmith.learners") / "recipes"
    names = [f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")]
    return sorted(name for name in names if not name.startswith("_"))


def load_recipe(name_or_path: str | Path, model: str | None = None, **overrides: object) -> Recipe:
    """Read a packaged recipe by name, or a TOML file by path.

    Parameters
    ----------
    name_or_path : str or Path
        One of `list_recipes`, a file ending in ``.toml``, or ``paper``: the SpecViT paper's
        settings of the network named by ``model``, or of the one its tiny version is of.
    model : str, optional
        Needed for ``paper``, else ignored.
    overrides
        Keys that win over the file, e.g. ``epochs=3``; ``options`` and ``published`` are merged
        with the file's; ``published=True`` turns all its switches on.

    Raises
    ------
    ConfigError
        If there is no such recipe, or a key or value is not understood.
    """
    if str(name_or_path) == PAPER:
        return recipe_from_table(_merged(paper_table(model), overrides), f"paper for {model}")
    if name_or_path in _ADDED:
        return recipe_from_table({"kind": name_or_path} | overrides, str(name_or_path))
    path = Path(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in list_recipes():
            raise ConfigError(
                f"no model or recipe is called {str(name_or_path)!r}; choose one of "
                f"{', '.join(list_recipes())}, or give a .toml file"
            )
        path = files("starsmith.learners") / "recipes" / f"{name_or_path}.toml"
    table = read_toml(path, ConfigError)
    return recipe_from_table(_merged(table, overrides), str(name_or_path))


def _merged(table: dict, overrides: dict) -> dict:
    merged = table | overrides
    for key in SECTIONS:
        parts = [published_table(part[key]) for part in (table, overrides) if key in part]
        if len(parts) == 2 and all(isinstance(part, dict) for part in parts):
            merged[key] = parts[0] | parts[1]
    return merged


def paper_table(model: str | None) -> dict:
    """Keys of the paper's recipe for a network; ConfigError if it has none."""
    text = (files("starsmith.learners") / "recipes" / f"_{PAPER}.toml").read_text()
    tables = tomllib.loads(text)
    common, name = tables.pop("common"), (model or "").removesuffix("_tiny")
    if name not in tables:
        raise ConfigError(
            f"recipe {PAPER!r}: the paper trains no {model!r}; it has {', '.join(tables)}"
        )
    return common | tables[name]


def recipe_from_table(table: dict, source: str) -> Recipe:
    """Build a recipe from its keys; ``kind`` says which."""
    table = dict(table)
    kind = table.pop("kind", "network")
    if kind not in KINDS:
        raise ConfigError(f"recipe {source}: kind {kind!r} is not one of {', '.join(KINDS)}")
    return _built(KINDS[kind], f"recipe {source}", f"a {kind} recipe", table)


def _built(cls: type, source: str, what: str, table: dict) -> object:
    """Build a dataclass from its keys, each of the type of its default."""
    known = {f.name: f for f in fields(cls)}
    if unknown := sorted(set(table) - set(known)):
        raise ConfigError(
            f"{source}: unknown key(s) {', '.join(unknown)}; {what} knows "
            f"{', '.join(sorted(known))}"
        )
    return cls(**{key: _typed(source, known[key], value) for key, value in table.items()})


def _typed(source: str, key: Field, value: object) -> object:
    """Return ``value`` as the type of the key's default, where TOML writes it differently."""
    default = key.default if key.default is not MISSING else key.default_factory()
    if is_dataclass(default):
        value = published_table(value)
        if isinstance(value, dict):
            return _built(type(default), f"{source}, {key.name}", f"[{key.name}]", value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    numbers = value if isinstance(value, list) else [value]
    if isinstance(default, tuple) and isinstance(value, list) and _alike(value, default):
        return tuple(value)
    types = (type(default), key.metadata.get("or"))
    if type(value) not in types or not all(map(_is_finite, numbers)):
        raise ConfigError(
            f"{source}: {key.name} = {value!r} is a {type(value).__name__}; "
            f"expected a {type(default).__name__}, e.g. {default!r}"
        )
    return value


def _alike(values: list, default: tuple) -> bool:
    """Whether all values are numbers, where those of the default are."""
    numeric = all(type(item) in (int, float) for item in default)
    return not numeric or all(type(v) in (int, float) and math.isfinite(v) for v in values)


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def recipe_to_table(recipe: Recipe) -> dict:
    """Return every key of a recipe, ``kind`` first: the inverse of `recipe_from_table`.

    Without ``published`` where none of its switches is on, and without low-rank changes of none.
    """
    kind = next(name for name, cls in KINDS.items() if type(recipe) is cls)
    table = {"kind": kind} | asdict(recipe)
    if not getattr(recipe, "published", True):  # off: as recipes were before they had it
        del table["published"]
    if not getattr(recipe, "rank", True):  # the same
        for name in LOW_RANK:
            del table[name]
    return table


def recipe_to_toml(recipe: Recipe) -> str:
    """Return the resolved recipe as a TOML file."""
    table = recipe_to_table(recipe)
    return tomli_w.dumps({key: value for key, value in table.items() if value != {}})
