"""``speclearn pretrain align``: two pretrained networks whose vectors of one star agree."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.pretrain.options import RunOptions, report, within_processes
from starsmith.cli.learn.train import online_stars
from starsmith.cli.shared.command import Command
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes

if TYPE_CHECKING:
    from starsmith.learners import TrainingResult
    from starsmith.learners.pretrain.sources import View

__all__ = ["AlignRequest", "align"]

VARIANTS = ("base", "split", "pr")


@dataclass(frozen=True, kw_only=True)
class AlignRequest(RunOptions):
    """Two runs to align: options of ``speclearn pretrain align``."""

    first_run: Path = argument(type=EXISTING)
    second_run: Path = argument(type=EXISTING)
    first_data: Path = argument(type=EXISTING)
    second_data: Path = argument(type=EXISTING)
    variant: str = option(
        type=click.Choice(VARIANTS),
        default="base",
        help="Compare whole vectors; split: shared and private parts; pr: restore and predict "
        "spectra from whole vectors too.",
    )
    out: Path = option(type=PATH, default=Path("models/aligned"), help="Run folder to write.")
    online: bool = option(
        is_flag=True,
        help="FIRST_DATA and SECOND_DATA are banks of one grid: the same stars are drawn from "
        "both, none twice.",
    )

    def views(self, seed: int) -> tuple["View", "View"]:
        """The same stars in both kinds of spectra."""
        from starsmith.learners.pretrain.encoder import open_encoder
        from starsmith.simulator.generation.recorded import open_recorded

        paths = self.first_data, self.second_data
        if self.online:
            found = [online_stars(None, path, {}, seed) for path in paths]
        else:
            found = [open_recorded(path).training() for path in paths]
        runs = self.first_run, self.second_run
        waves = [open_encoder(run, device="cpu").statistics.wave for run in runs]
        return tuple(self.brought(v, w, seed) for v, w in zip(found, waves, strict=True))


@click.command(
    cls=Command,
    examples=(
        "speclearn pretrain align lrs/ xp/ lrs.zarr xp.zarr --out aligned/",
        "speclearn pretrain align lrs/ xp/ lrs.zarr xp.zarr --variant split --out split/",
        "speclearn pretrain align lrs-desi/ xp/ desi.zarr xp.zarr --initial base/ --lora 16",
    ),
    resume="the last finished epoch is kept; run the same command again to continue",
)
@takes(AlignRequest)
def align(options: AlignRequest) -> None:
    """Train heads that bring the vectors of two pretrained networks together.

    FIRST_RUN and SECOND_RUN are folders of `speclearn pretrain`, which stay as they are.
    FIRST_DATA and SECOND_DATA hold the same stars in the same order, on their pixels.
    """
    from starsmith.learners.pretrain.training import align as train_heads

    recipe = options.chosen_recipe(options.variant)
    views = options.views(recipe.seed)

    def train(progress: Callable[[dict], None]) -> "TrainingResult":
        return train_heads(
            options.variant,
            (options.first_run, options.second_run),
            views,
            recipe,
            options.out,
            progress,
            not options.overwrite,
            options.device,
        )

    report(within_processes(options.variant, train, options.device), options.as_json)
