"""``speclearn train``: fit a model to a data set, or to stars drawn from a bank as it learns."""

from functools import partial
from pathlib import Path

import click

from starsmith.cli.learn.options import device_option, overwrite_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_types import LABEL_NAMES, Count
from starsmith.cli.shared.options import RANGES, flag, range_options, typed_on_command_line
from starsmith.cli.shared.progress import say

__all__ = ["train"]

DATA = Path("data.zarr")


@click.command(
    cls=Command,
    examples=(
        "speclearn train",
        "speclearn train data.zarr --model ridge --target logg --out ridge/",
        "speclearn train data.zarr --model specvit_tiny --out vit/ --epochs 5",
        "speclearn train data.zarr --model specvit --recipe paper --out vit/",
        "speclearn train --bank bank.zarr --online --model specvit --mag 20.5-22.5 --out vit/",
    ),
    resume="the last finished epoch is kept; run the same command again to continue",
)
@click.argument("data", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--model", default="specvit_tiny", show_default=True, help="One of `speclearn models`."
)
@click.option(
    "--target",
    type=click.Choice(LABEL_NAMES),
    multiple=True,
    default=("logg",),
    show_default=True,
    help="Label to predict; may be repeated.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Checkpoint folder to write.  [default: models/MODEL]",
)
@click.option(
    "--recipe", help="Packaged recipe, `paper`, or a TOML file.  [default: the model's own]"
)
@click.option("--epochs", type=Count())
@click.option("--batch-size", type=Count())
@click.option("--lr", "learning_rate", type=click.FloatRange(0, 10, min_open=True))
@click.option("--seed", type=click.IntRange(min=0), help="Of the weights and the order of spectra.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any other key of the recipe, e.g. ema=0.999 or options.patch=32; may be repeated.",
)
@click.option(
    "--online",
    is_flag=True,
    help="Draw every training star anew from a bank, none twice; DATA then only validates. "
    "Takes --mag, --teff, ... as `specsim generate` does.",
)
@click.option(
    "--bank",
    type=click.Path(exists=True, path_type=Path),
    help="Bank of --online.  [default: the one DATA was made with]",
)
@click.option("--epoch-size", type=Count(), help="Stars of one epoch of --online.")
@partial(range_options, listed=False)  # those of `specsim generate`; for --online
@device_option
@overwrite_option
@json_option()
def train(data, model, out, recipe, online, bank, **others):
    """Train a model on the train split of DATA; its best checkpoint is left in --out.

    DATA is data.zarr, as `specsim generate` calls it, unless it is named. Options beat the
    recipe. A run that was interrupted goes on where it stopped. Several GPUs: torchrun
    --nproc-per-node 8 -m starsmith.cli.speclearn train DATA ...
    """
    from starsmith.cli.learn.training import Stars, recipe_changes, result_line, train_model

    run = {name: others.pop(name) for name in ("target", "settings", "overwrite", "as_json")}
    device = others.pop("device")
    ranges = {name: span for name in RANGES if (span := others.pop(name)) is not None}
    if not online and (bank or ranges or others["epoch_size"]):
        given = ["--bank"] if bank else [*map(flag, ranges), "--epoch-size"]
        raise click.UsageError(f"{given[0]} is for stars drawn during training: add --online")
    if data is None and not (online and bank):
        data = default_data()
    out = out or Path("models") / model
    if chosen := defaults(data, model, run["target"], out):
        say(f"by default: {chosen}")
    result = train_model(
        Stars(data, bank, ranges) if online else data,
        model,
        run["target"],
        out,
        (recipe or model, recipe_changes(run["settings"], others)),
        device=device,
        resume=not run["overwrite"],
    )
    if result is None:  # another process of this run reports
        return
    if run["as_json"]:
        content = {"out": str(out), "stop_reason": result.stop_reason, "seconds": result.seconds}
        echo_json("speclearn.train", {"model": model, **content, "metrics": result.metrics})
    else:
        click.echo(result_line(result))


def default_data() -> Path:
    """``data.zarr`` of this folder; UsageError where there is none."""
    if not DATA.exists():
        raise click.UsageError(
            f"there is no {DATA} here; make it with `specsim generate`, name another DATA, or "
            "draw the training stars with --bank BANK --online"
        )
    return DATA


def defaults(data: Path | None, model: str, target: tuple[str, ...], out: Path) -> str:
    """What the command chose by itself, in words; empty where all was said."""
    used = {"data": data, "--model": model, "--target": " ".join(target), "--out": out}
    typed = typed_on_command_line(*(name.lstrip("-") for name in used))
    return ", ".join(
        f"{name} {value}"
        for name, value in used.items()
        if name.lstrip("-") not in typed and value is not None
    )
