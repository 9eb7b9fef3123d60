"""``speclearn models``: the models there are."""

from dataclasses import dataclass

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import argument, takes

__all__ = ["ModelsOptions", "models"]


@dataclass(frozen=True, kw_only=True)
class ModelsOptions:
    """Options of ``speclearn models``."""

    pattern: str = argument(default="*")
    as_json: bool = json_option()


@click.command(cls=Command, examples=("speclearn models", "speclearn models 'specvit*' --json"))
@takes(ModelsOptions)
def models(options: ModelsOptions) -> None:
    """List the models whose name matches PATTERN."""
    from starsmith.learners import list_models, list_recipes

    names, recipes = list_models(options.pattern), list_recipes()
    rows = [{"model": name, "recipe": name in recipes} for name in names]
    if options.as_json:
        echo_json("speclearn.models", {"models": rows})
        return
    for row in rows:
        click.echo(row["model"])
