"""What the commands of ``speclearn pretrain`` share: options of a run, its sources, its report."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.learn.train import online_stars, ranges_given, settings_of
from starsmith.cli.learn.training_progress import training_progress
from starsmith.cli.shared.command import echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import (
    EXISTING,
    PATH,
    OptionGroup,
    argument,
    flag,
    grouped,
    option,
)
from starsmith.cli.shared.option_types import Count
from starsmith.cli.shared.options import range_parameters
from starsmith.cli.shared.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np

    from starsmith.learners import TrainingResult
    from starsmith.learners.pretrain.sources import View
    from starsmith.learners.recipe import PretrainRecipe

__all__ = ["PretrainRequest", "RunOptions", "report", "train_one", "within_processes"]

RECIPE_KEYS = (
    "epochs", "batch_size", "learning_rate", "seed", "epoch_size", "initial", "rank", "targets",
)  # fmt: skip
WAVE_MAPS = ("exact", "interpolate", "pixel")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of every run of pretraining."""

    recipe: str | None = option(
        help="`paper` for the published settings, or a TOML file.  [default: the network's own]"
    )
    epochs: int | None = option(type=Count())
    batch_size: int | None = option(type=Count())
    learning_rate: float | None = option("--lr", type=click.FloatRange(0, 10, min_open=True))
    seed: int | None = option(
        type=click.IntRange(min=0),
        help="Of the weights, the order of spectra and what is hidden of them.",
    )
    settings: tuple[str, ...] = option(
        "--set",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any other key of the recipe, e.g. ema=0.999 or options.leaky=true; may be repeated.",
    )
    epoch_size: int | None = option(type=Count(), help="Stars of one epoch of --online.")
    initial: Path | None = option(
        type=EXISTING, help="Run to go on from, its weights and its scales of the input."
    )
    rank: int | None = option(
        "--lora",
        type=Count(),
        metavar="RANK",
        help="With --initial: learn low-rank changes of its layers, at twice the rank as alpha.",
    )
    targets: str | None = option(
        help="Layers of --lora: all, attention, mlp, patterns.  [default: those of the LoRA note]"
    )
    n: int | None = option("--n", type=Count(), help="Spectra to learn from.  [default: all]")
    wave_map: str = option(
        type=click.Choice(WAVE_MAPS),
        default="exact",
        help="How pixels of the data become those of the run that is gone on from.",
    )
    device: str | None = device_option()
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()

    def __post_init__(self):
        if self.initial is None and (self.rank or self.targets):
            raise click.UsageError("--lora and --targets change a run: name it with --initial")
        if self.targets and not self.rank:
            raise click.UsageError("--targets are the layers of --lora; give its rank too")

    def brought(self, view: "View", wave: "np.ndarray | None", seed: int) -> "View":
        """As many spectra of a view as are wanted, on the pixels of a run."""
        from starsmith.learners.pretrain.continued import brought

        return brought(view, wave, self.wave_map, self.n, seed)

    def chosen_recipe(self, model: str) -> "PretrainRecipe":
        """Recipe of a network with the keys that the command line gives."""
        from starsmith.learners.pretrain.recipes import load_pretraining

        keys = {key: getattr(self, key) for key in RECIPE_KEYS}
        keys["initial"] = None if self.initial is None else str(self.initial)
        changes = {key: value for key, value in keys.items() if value is not None}
        return load_pretraining(model, self.recipe, **settings_of(self.settings, changes))


@dataclass(frozen=True, kw_only=True)
class PretrainRequest(RunOptions):
    """A network to pretrain on spectra of one kind."""

    data: Path | None = argument(required=False, type=EXISTING)
    model: str | None = option(help="Network.  [default: the smallest]")
    also: tuple[Path, ...] = option(
        type=EXISTING,
        multiple=True,
        help="Learn from the train split of this data set too, on the same pixels; may be "
        "repeated.",
    )
    out: Path | None = option(type=PATH, help="Run folder to write.  [default: models/MODEL]")
    online: bool = option(
        is_flag=True,
        help="Draw every training star anew from a bank, none twice; DATA then only validates. "
        "Takes --mag, --teff, ... as `specsim generate` does.",
    )
    bank: Path | None = option(
        type=EXISTING, help="Bank of --online.  [default: the one DATA was made with]"
    )
    ranges: dict[str, tuple[float, float]] = grouped(
        OptionGroup("ranges", partial(range_parameters, listed=False), ranges_given)
    )

    def __post_init__(self):
        super().__post_init__()
        if self.wave_map != "exact" and self.initial is None:
            raise click.UsageError("--wave-map brings spectra to the pixels of --initial; name it")
        if not self.online and (self.bank or self.ranges or self.epoch_size):
            given = ["--bank"] if self.bank else [*map(flag, self.ranges), "--epoch-size"]
            raise click.UsageError(f"{given[0]} is for stars drawn during training: add --online")
        if self.data is None and not (self.online and self.bank):
            raise click.UsageError("name DATA to learn from, or draw stars: --bank BANK --online")

    def views(self, seed: int) -> tuple["View", ...]:
        """What is learned from: the data set or stars of the bank, then the other data sets."""
        from starsmith.learners.pretrain.encoder import open_encoder
        from starsmith.simulator.generation.recorded import open_recorded

        wave = None
        if self.initial is not None:
            wave = open_encoder(self.initial, device="cpu").statistics.wave
        if self.online:
            first = online_stars(self.data, self.bank, self.ranges, seed)
        else:
            first = open_recorded(self.data).training()
        also = (open_recorded(path).training() for path in self.also)
        return tuple(self.brought(view, wave, seed) for view in (first, *also))


def within_processes(
    name: str, train: Callable[[Callable[[dict], None]], "TrainingResult"], device: str | None
) -> "TrainingResult | None":
    """Train with progress on stderr; None in all but one process of several."""
    from starsmith.learners.training.distributed import process_group

    with process_group(device) as share, progress_bar(name) as told:
        result = train(training_progress(told))
    return result if share.rank == 0 else None


def model_of(run: Path | None) -> str | None:
    """Network of a run that is gone on from, None without one."""
    from starsmith.learners.checkpoint import read_checkpoint

    return None if run is None else read_checkpoint(run)[0]["model"]


def train_one(options: PretrainRequest, kind: str, default: str) -> None:
    """Pretrain the network of a request and report; ConfigError if it is of another kind."""
    from starsmith.data_contract.errors import ConfigError
    from starsmith.learners.pretrain.networks import NETWORKS, kind_of_network
    from starsmith.learners.pretrain.training import pretrain

    model = options.model or model_of(options.initial) or default
    if kind_of_network(model) != kind:
        fitting = [name for name in NETWORKS if kind_of_network(name) == kind]
        given = "--model" if options.model else f"--initial {options.initial}: a run of"
        raise ConfigError(f"{given} {model}; choose one of {', '.join(fitting)}")
    recipe = options.chosen_recipe(model)
    views = options.views(recipe.seed)

    def train(progress: Callable[[dict], None]) -> "TrainingResult":
        return pretrain(
            model,
            views[0],
            recipe,
            options.out or Path("models") / model,
            views[1:],
            progress,
            not options.overwrite,
            options.device,
        )

    report(within_processes(model, train, options.device), options.as_json)


def report(result: "TrainingResult | None", as_json: bool) -> None:
    """Tell what a run ended with; nothing of a process that another reports for."""
    if result is None:
        return
    metrics: dict[str, Any] = result.metrics
    if as_json:
        content = {"out": str(result.path), "stop_reason": result.stop_reason}
        content |= {"seconds": result.seconds, "metrics": metrics}
        echo_json("speclearn.pretrain", {"model": result.model, **content})
        return
    partner = f", partner nearest {metrics['val_partner']:.1%}" if "val_partner" in metrics else ""
    click.echo(
        f"{result.model}: validation loss {metrics['val_loss']:.4g}{partner}; "
        f"{result.stop_reason} after {result.seconds:.0f} s; {result.path}"
    )
