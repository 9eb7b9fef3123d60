"""Recipes of pretraining: TOML files by the name of a network, and the published ones."""

import tomllib
from importlib.resources import files
from pathlib import Path

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import read_toml
from starsmith.learners.pretrain.networks import kind_of_network
from starsmith.learners.recipe import PretrainRecipe, recipe_from_table

__all__ = ["load_pretraining"]

PAPER = "paper"


def load_pretraining(
    model: str, name_or_path: str | Path | None = None, **overrides: object
) -> PretrainRecipe:
    """Recipe of a network.

    Parameters
    ----------
    model : str
        Name of the network.
    name_or_path : str or path, optional
        ``paper`` for the published settings, or a TOML file; by default the packaged recipe.
    overrides
        Keys that win over the file; ``options`` are merged with the file's.

    Raises
    ------
    ConfigError
        If there is no such recipe, or a key or value is not understood.
    """
    kind = kind_of_network(model)
    if name_or_path is None or str(name_or_path) == PAPER:
        file = f"_{PAPER}.toml" if name_or_path else "ours.toml"
        tables = tomllib.loads((files(__name__) / file).read_text())
        table = tables[kind] | tables.get(model, {})
        source = f"{name_or_path or 'packaged'} for {model}"
    else:
        path = Path(name_or_path)
        if path.suffix != ".toml":
            raise ConfigError(
                f"no recipe of pretraining is called {str(name_or_path)!r}; give {PAPER!r} or a "
                ".toml file"
            )
        table, source = read_toml(path, ConfigError), str(path)
        if table.pop("kind", "pretrain") != "pretrain":
            raise ConfigError(f'recipe {path}: not one of pretraining; set kind = "pretrain"')
    options = table.get("options", {}) | overrides.get("options", {})
    merged = table | overrides | {"kind": "pretrain"} | ({"options": options} if options else {})
    return recipe_from_table(merged, source)
