"""``speclearn models``: the models there are."""

import click

from starsmith.cli.shared.command import Command, echo_json, json_option

__all__ = ["models"]


@click.command(cls=Command, examples=("speclearn models", "speclearn models 'specvit*' --json"))
@click.argument("pattern", default="*")
@json_option()
def models(pattern, as_json):
    """List the models whose name matches PATTERN."""
    from starsmith.learners import list_models, list_recipes

    rows = [{"model": name, "recipe": name in list_recipes()} for name in list_models(pattern)]
    if as_json:
        echo_json("speclearn.models", {"models": rows})
        return
    for row in rows:
        click.echo(row["model"])
