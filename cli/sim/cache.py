"""``specsim cache``: grids and banks kept for the next command, and their removal."""

import click

from starsmith.cli.shared.command import CommandGroup, echo_json, json_option
from starsmith.cli.shared.option_types import Duration

__all__ = ["cache"]


@click.group(cls=CommandGroup, invoke_without_command=True)
@json_option()
@click.pass_context
def cache(context, as_json):
    """List the grids and banks kept for the next command, and what of it is stale.

    Stale is what no command of this version would use: another physics version, or rendered
    by other code. `specsim cache clear` removes it.
    """
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError("--json goes after the subcommand: specsim cache clear --json")
        return
    from starsmith.cli.sim.cache_work import describe_cache, report_cache

    report = report_cache()
    if as_json:
        echo_json("specsim.cache", report)
    else:
        click.echo(describe_cache(report))


@cache.command(
    "clear",
    examples=(
        "specsim cache clear --dry-run",
        "specsim cache clear --older-than 30d",
        "specsim cache clear --all",
    ),
    resume="what was removed is gone; run the same command again to remove the rest",
)
@click.option(
    "--older-than", "age", type=Duration(), help="What was not used for so long, stale or not: 30d."
)
@click.option("--all", "everything", is_flag=True, help="All of it, stale or not.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option()
def clear(age, everything, dry_run, as_json):
    """Remove what is stale from the cache; it is made again when it is needed.

    What a running process uses stays, and so does whatever starsmith did not put there.
    """
    if everything and age is not None:
        raise click.UsageError("give either --all or --older-than")
    from starsmith.cli.sim.cache_work import clear_chosen, describe_cleared

    report = clear_chosen(age, everything, dry_run)
    if as_json:
        echo_json("specsim.cache_clear", report)
    else:
        click.echo(describe_cleared(report))
