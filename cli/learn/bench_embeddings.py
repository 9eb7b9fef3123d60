"""``speclearn bench embeddings``: what readers find in vectors of spectra, beside the ceiling."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from starsmith.cli.learn.suite_options import SuiteOptions
from starsmith.cli.shared.command import Command
from starsmith.cli.shared.option_table import EXISTING, option, takes
from starsmith.cli.shared.progress import say

if TYPE_CHECKING:
    from starsmith.cli.learn.lab_world import DataWorld, SimulatedWorld
    from starsmith.learners.benchmark.embeddings.suite import EmbeddingSuite

__all__ = ["EmbeddingsOptions", "embeddings"]


@dataclass(frozen=True, kw_only=True)
class EmbeddingsOptions(SuiteOptions):
    """Options of ``speclearn bench embeddings``."""

    kind: ClassVar[str] = "embeddings"

    encoder: tuple[str, ...] = option(
        multiple=True,
        metavar="RUN or package.module:function",
        help="Judge this one too: a run on the survey's pixels, or a function "
        "(flux, error, mask) -> vectors; may be repeated.",
    )

    data: Path | None = option(
        type=EXISTING, help="Your own stars in place of simulated ones, whose ceiling nobody knows."
    )

    @property
    def name(self) -> str:
        """What the folder is named after."""
        return super().name if self.data is None else self.data.stem

    def read_suite(self) -> "EmbeddingSuite":
        """The suite with the user's encoders."""
        from starsmith.learners.benchmark.embeddings.suite import load_embeddings

        suite = load_embeddings(self.suite)
        return replace(suite, embeddings=tuple(dict.fromkeys((*suite.embeddings, *self.encoder))))

    def world(self, suite: "EmbeddingSuite") -> "tuple[EmbeddingSuite, SimulatedWorld | DataWorld]":
        """What the suite is run on, and the suite as far as there are stars for it."""
        from starsmith.cli.learn.lab_world import DataWorld, SimulatedWorld

        if self.data is None:
            return suite, SimulatedWorld(suite.lab, self.folder, self.grid, device=self.device)
        if self.grid is not None:
            raise click.UsageError("--data is no simulation; drop --grid")
        world = DataWorld(self.data)
        train = world.dataset.training().train
        cannot = ["aligned."] + ["basis-"] * (train.observe(slice(0, 1)).error is None)
        out = [name for name in suite.embeddings if name.startswith(tuple(cannot))]
        if out:
            say(f"left out: {', '.join(out)}")
        n = {name: len(split) for name, split in world.dataset.splits.items()}
        return replace(
            suite,
            survey=str(self.data),
            n_source=n["train"],
            n_test=n["test"],
            n=tuple(k for k in suite.n if k <= n["train"]) or (n["train"],),
            embeddings=tuple(name for name in suite.embeddings if name not in out),
        ), world


@click.command(
    cls=Command,
    examples=(
        "speclearn bench embeddings --suite ci",
        "speclearn bench embeddings --suite ci --encoder my_package.vectors:encode",
        "speclearn bench embeddings --data desi.zarr --encoder masked/ --encoder mlp/",
        "speclearn bench embeddings --out embeddings/ --report-only",
    ),
    resume="finished cells are kept; run the same command again to continue",
)
@takes(EmbeddingsOptions)
def embeddings(options: EmbeddingsOptions) -> None:
    """Judge vectors of spectra by what ridge, an MLP and trees find in them.

    Networks learn from spectra of the laboratory without labels; readers from 100, 500 and 2,000
    labelled ones. Beside them stand principal components, the noise-weighted basis, raw pixels
    and the exact posterior mean of the same stars. With --data all stars are your own: there is no
    ceiling, no aligned pair, which needs the same stars twice, and without errors no basis.
    OUT/embeddings.md is the report.
    """
    from starsmith.learners.benchmark.embeddings.report import score_rows, wide_rows, write_report
    from starsmith.learners.benchmark.embeddings.run import finished, run_embeddings

    out = options.folder
    suite, world = options.world(options.read_suite())
    if options.report_only:
        cells = finished(suite, out)
    else:
        cells = run_embeddings(suite, out, world, options.device, say)
    report, rows = write_report(suite, out, cells), score_rows(cells)
    options.tell(suite.name, rows, report, wide_rows(rows))
