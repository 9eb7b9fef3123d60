"""``speclearn train``: fit a model to a data set, or to stars drawn from a bank as it learns."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.learn.training_progress import training_progress
from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.completions import complete_models
from starsmith.cli.shared.option_table import (
    EXISTING,
    PATH,
    OptionGroup,
    argument,
    flag,
    grouped,
    option,
    takes,
)
from starsmith.cli.shared.option_types import Count, Labels, Range
from starsmith.cli.shared.options import (
    RANGES,
    ab_magnitudes,
    range_parameters,
    typed_on_command_line,
)
from starsmith.cli.shared.progress import progress_bar, say, told_bank
from starsmith.data_contract.errors import ConfigError, DataError

if TYPE_CHECKING:
    from starsmith.data_contract.dataset.training import TrainingView
    from starsmith.learners import TrainingResult
    from starsmith.learners.estimators.registry import ForwardView
    from starsmith.learners.online.online_view import OnlineView
    from starsmith.learners.recipe import Recipe

    View = TrainingView | ForwardView | OnlineView

__all__ = ["TrainRequest", "online_stars", "ranges_given", "settings_of", "train", "train_model"]

DATA = Path("data.zarr")
NETWORK, DRAWS_STARS, ANY_INSTRUMENT = "specvit_tiny", "compressed", "any_instrument"
RECIPE_KEYS = ("epochs", "batch_size", "learning_rate", "seed", "epoch_size")


def ranges_given(ranges: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Ranges that the command line names, magnitudes as AB ones."""
    given = {name: span for name, span in ranges.items() if span is not None}
    return given | {name: ab_magnitudes(given[name], "") for name in given if name == "mag"}


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """A model to train: options of ``speclearn train``."""

    data: Path | None = argument(required=False, type=EXISTING)
    model: str | None = option(
        shell_complete=complete_models,
        help="One of `speclearn models`.  [default: compressed; specvit_tiny for stars that it "
        "cannot draw: reddened, or of a table]",
    )
    also: tuple[Path, ...] = option(
        type=EXISTING,
        multiple=True,
        help="Data set of another instrument that any_instrument learns from too; may be repeated.",
    )
    target: tuple[str, ...] = option(
        type=Labels(),
        multiple=True,
        default=("logg",),
        help="Label to predict; may be repeated.",
    )
    out: Path | None = option(
        type=PATH, help="Checkpoint folder to write.  [default: models/MODEL]"
    )
    recipe: str | None = option(
        help="Packaged recipe, `paper`, or a TOML file.  [default: the model's own]"
    )
    epochs: int | None = option(type=Count())
    batch_size: int | None = option(type=Count())
    learning_rate: float | None = option("--lr", type=click.FloatRange(0, 10, min_open=True))
    seed: int | None = option(
        type=click.IntRange(min=0), help="Of the weights and the order of spectra."
    )
    settings: tuple[str, ...] = option(
        "--set",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any other key of the recipe, e.g. ema=0.999 or options.patch=32; may be repeated.",
    )
    published: bool = option(
        is_flag=True,
        help="Train a network as the SpecViT paper did: every switch of [published]; --set "
        "published.clip=false leaves one out.",
    )
    online: bool = option(
        is_flag=True,
        help="Draw every training star anew from a bank, none twice; DATA then only validates. "
        "Takes --mag, --teff, ... as `specsim generate` does.",
    )
    bank: Path | None = option(
        type=EXISTING, help="Bank of --online.  [default: the one DATA was made with]"
    )
    epoch_size: int | None = option(type=Count(), help="Stars of one epoch of --online.")
    ranges: dict[str, tuple[float, float]] = grouped(
        OptionGroup("ranges", partial(range_parameters, listed=False), ranges_given)
    )
    device: str | None = device_option()
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()

    def __post_init__(self):
        if not self.online and (self.bank or self.ranges or self.epoch_size):
            given = ["--bank"] if self.bank else [*map(flag, self.ranges), "--epoch-size"]
            raise click.UsageError(f"{given[0]} is for stars drawn during training: add --online")

    def chosen_data(self) -> Path | None:
        """DATA, or ``data.zarr`` of this folder; UsageError where there is neither, nor a bank."""
        if self.data is not None or (self.online and self.bank):
            return self.data
        if not DATA.exists():
            raise click.UsageError(
                f"there is no {DATA} here; make it with `specsim generate`, name another DATA, or "
                "draw the training stars with --bank BANK --online"
            )
        return DATA

    def chosen_model(self, data: Path | None) -> str:
        """Name of the model, or the one to train on such data."""
        from starsmith.data_contract.dataset.shards import open_run
        from starsmith.learners.estimators.registry import default_model, list_models

        if self.model is not None:
            return self.model
        if self.also:
            return ANY_INSTRUMENT
        if self.recipe is not None:
            return self.recipe if self.recipe in list_models() else NETWORK
        return default_model(open_run(data)) if data else DRAWS_STARS

    def chosen_recipe(self, model: str) -> "Recipe":
        """Recipe with the keys that the command line gives; ConfigError for a setting of none."""
        from starsmith.learners import load_recipe
        from starsmith.learners.published import published_table

        options = {key: getattr(self, key) for key in RECIPE_KEYS}
        changes: dict = {key: value for key, value in options.items() if value is not None}
        if self.published:
            changes["published"] = published_table(True)
        changes = settings_of(self.settings, changes)
        return load_recipe(self.recipe or model, model, **changes)

    def view(self, model: str, data: Path | None, seed: int) -> "View":
        """What is learned from: a data set, or stars drawn from a bank that it validates."""
        from starsmith.data_contract.dataset.training import join_views
        from starsmith.learners.estimators.registry import with_forward
        from starsmith.simulator.generation.recorded import open_recorded

        if self.online:
            return online_stars(data, self.bank, self.ranges, seed)
        dataset = open_recorded(data)
        others = [open_recorded(path).training() for path in self.also]
        view = join_views([dataset.training(), *others])
        return with_forward(model, view, dataset, told_bank)


def settings_of(settings: tuple[str, ...], changes: dict) -> dict:
    """Changes of a recipe with those of ``--set KEY=VALUE``; ConfigError for any other form."""
    from starsmith.data_contract.files.outside import toml_of

    changes = dict(changes)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: write it as KEY=VALUE, e.g. ema=0.999")
        try:
            value = toml_of(f"value = {text}")["value"]
        except ValueError:
            value = text
        group, dot, name = key.partition(".")
        if dot:
            changes[group] = changes.get(group, {}) | {name: value}
        else:
            changes[key] = value
    return changes


def online_stars(
    data: Path | None,
    bank_path: Path | None,
    chosen: dict[str, tuple[float, float]],
    seed: int,
) -> "OnlineView":
    """Stars drawn from a bank as they are learned from.

    Parameters
    ----------
    data : Path, optional
        Data set that validates; without one, stars of the bank do.
    bank_path : Path, optional
        By default the bank that the data set was made with.
    chosen : dict of str to (min, max)
        Ranges that win over those of the data set, or over the usual ones.
    seed : int

    Raises
    ------
    DataError
        If the data set was made from another bank, or with what cannot be drawn.
    """
    from starsmith.data_contract.bank.bank_file import load_bank
    from starsmith.learners.online import online_view
    from starsmith.simulator.generation.recorded import open_recorded
    from starsmith.simulator.rendering.positivity import check_positive

    bank = load_bank(bank_path) if bank_path else told_bank(data)
    if data is None:
        read = Range().convert
        ranges = {name: read(text, None, None) for name, (_, text) in RANGES.items()} | chosen
        check_positive(bank, ranges)
        return online_view.open_online(bank, ranges, seed)
    dataset = open_recorded(data)
    made_from = dataset.header.bank_digest
    if bank.digest != made_from:
        raise DataError(
            f"{data}: made from bank {made_from[:12]}, but {bank_path} is {bank.digest[:12]}; "
            "drop --bank to use its own, or DATA to validate on stars of this bank"
        )
    ranges = online_view.online_ranges(dataset, chosen)
    check_positive(bank, ranges)
    val = dataset.training().val
    return online_view.open_online(bank, ranges, seed, val, dataset.digest)


@click.command(
    cls=Command,
    examples=(
        "speclearn train",
        "speclearn train data.zarr --model ridge --target logg --out ridge/",
        "speclearn train data.zarr --model specvit_tiny --out vit/ --epochs 5",
        "speclearn train data.zarr --model specvit --recipe paper --published --out vit/",
        "speclearn train pfs.zarr --also desi.zarr --target teff --target logg --out any/",
        "speclearn train --bank bank.zarr --online --model specvit --mag 20.5-22.5 --out vit/",
    ),
    resume="the last finished epoch is kept; run the same command again to continue",
)
@takes(TrainRequest)
def train(options: TrainRequest) -> None:
    """Train a model on the train split of DATA; its best checkpoint is left in --out.

    DATA is data.zarr, as `specsim generate` calls it, unless it is named. Options beat the
    recipe. A run that was interrupted goes on where it stopped. Several GPUs: torchrun
    --nproc-per-node 8 -m starsmith.cli.speclearn train DATA ...
    """
    data = options.chosen_data()
    model = options.chosen_model(data)
    out = options.out or Path("models") / model
    if typed_on_command_line("data", "model") != ["data", "model"]:
        say(f"by default: {_defaults(data, model, options.target, out)}")
    recipe = options.chosen_recipe(model)
    view = options.view(model, data, getattr(recipe, "seed", 0))
    resume = not options.overwrite
    result = train_model(model, view, options.target, recipe, out, options.device, resume)
    if result is None:  # another process of this run reports
        return
    if options.as_json:
        content = {"out": str(out), "stop_reason": result.stop_reason, "seconds": result.seconds}
        echo_json("speclearn.train", {"model": model, **content, "metrics": result.metrics})
    else:
        click.echo(_result_line(result))


def train_model(
    model: str,
    view: "View",
    target: tuple[str, ...],
    recipe: "Recipe",
    out: Path,
    device: str | None = None,
    resume: bool = True,
) -> "TrainingResult | None":
    """Fit a model, with progress on stderr; None in all but one process of several.

    Parameters as in `fit`.
    """
    from starsmith.learners import fit
    from starsmith.learners.training.distributed import process_group

    with process_group(device) as share, progress_bar(model) as report:
        progress = training_progress(report)
        result = fit(model, view, target, recipe, out, progress, resume, device)
    return result if share.rank == 0 else None


def _defaults(data: Path | None, model: str, target: tuple[str, ...], out: Path) -> str:
    """What the command chose by itself, in words."""
    used = {"data": data, "--model": model, "--target": " ".join(target), "--out": out}
    typed = typed_on_command_line(*(name.lstrip("-") for name in used))
    return ", ".join(
        f"{name} {value}"
        for name, value in used.items()
        if name.lstrip("-") not in typed and value is not None
    )


def _result_line(result: "TrainingResult") -> str:
    """One line on a finished training run."""
    metrics = result.metrics
    scores = ", ".join(
        f"{label} R2 {metrics['val_r2'][label]:.3f}, MAE {metrics['val_mae'][label]:.3g}"
        for label in result.labels
    )
    return (
        f"{result.model}: validation {scores}; {result.stop_reason} after "
        f"{result.seconds:.0f} s; {result.path}"
    )
