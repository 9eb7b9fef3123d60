"""``speclearn hub``: checkpoints pushed to a model hub, and pulled from it."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option, out_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes

__all__ = ["PullOptions", "PushOptions", "pull", "push"]

MIRROR = "Folder of repositories instead of the Hugging Face Hub."


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """Options of ``speclearn hub push``."""

    checkpoint: Path = argument(type=EXISTING)
    repo: str = argument(metavar="OWNER/NAME")
    licence: str = option(required=True, help="Of the weights: mit, cc-by-4.0, ...")
    ceiling: Path | None = option(
        type=EXISTING, help="What `specfisher ceiling --json` wrote, for the model card."
    )
    public: bool = option(is_flag=True, help="A repository that is created is public.")
    folder: Path | None = option(type=PATH, help=MIRROR)
    as_json: bool = json_option()


@dataclass(frozen=True, kw_only=True)
class PullOptions:
    """Options of ``speclearn hub pull``."""

    repo: str = argument(metavar="OWNER/NAME")
    out: Path = out_option("Checkpoint folder to write.")
    revision: str | None = option(help="Branch, tag or commit.")
    folder: Path | None = option(type=PATH, help=MIRROR)
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "speclearn hub push models/any me/any-instrument --licence mit",
        "speclearn hub push models/logg me/logg --licence mit --ceiling ceiling.json --public",
        "speclearn hub push models/any me/any-instrument --licence mit --folder mirror/",
    ),
)
@takes(PushOptions)
def push(options: PushOptions) -> None:
    """Push a checkpoint and its model card, which says data, ceiling and licence.

    What goes up are the files that the card lists with size and SHA-256, and no others.
    """
    from starsmith.learners.hub import hub_of
    from starsmith.learners.hub import push as send

    place = send(
        options.checkpoint,
        options.repo,
        hub_of(options.folder),
        options.licence,
        options.ceiling,
        private=not options.public,
    )
    if options.as_json:
        echo_json("speclearn.hub.push", {"repo": options.repo, "place": place})
    else:
        click.echo(place)


@click.command(
    cls=Command,
    examples=(
        "speclearn hub pull me/any-instrument --out models/any",
        "speclearn hub pull me/logg --revision v2 --out models/logg",
    ),
)
@takes(PullOptions)
def pull(options: PullOptions) -> None:
    """Pull a checkpoint, and check list, sizes and SHA-256 of its files before it is left."""
    from starsmith.learners.hub import hub_of
    from starsmith.learners.hub import pull as fetch

    card = fetch(options.repo, options.out, hub_of(options.folder), options.revision)
    if options.as_json:
        echo_json("speclearn.hub.pull", {"out": str(options.out), "card": card})
    else:
        click.echo(f"{card['model']}: {', '.join(card['labels']) or 'vectors'}; {options.out}")
