"""``speclearn bench embeddings``: what readers find in vectors of spectra, beside the ceiling."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import click

from starsmith.cli.learn.suite_options import SuiteOptions
from starsmith.cli.shared.command import Command
from starsmith.cli.shared.option_table import option, takes
from starsmith.cli.shared.progress import say

if TYPE_CHECKING:
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

    def read_suite(self) -> "EmbeddingSuite":
        """The suite with the user's encoders."""
        from starsmith.learners.benchmark.embeddings.suite import load_embeddings

        suite = load_embeddings(self.suite)
        return replace(suite, embeddings=tuple(dict.fromkeys((*suite.embeddings, *self.encoder))))


@click.command(
    cls=Command,
    examples=(
        "speclearn bench embeddings --suite ci",
        "speclearn bench embeddings --suite ci --encoder my_package.vectors:encode",
        "speclearn bench embeddings --out embeddings/ --report-only",
    ),
    resume="finished cells are kept; run the same command again to continue",
)
@takes(EmbeddingsOptions)
def embeddings(options: EmbeddingsOptions) -> None:
    """Judge vectors of spectra by what ridge, an MLP and trees find in them.

    Networks learn from spectra of the laboratory without labels; readers from 100, 500 and 2,000
    labelled ones. Beside them stand principal components, the noise-weighted basis, raw pixels
    and the exact posterior mean of the same stars. OUT/embeddings.md is the report.
    """
    from starsmith.cli.learn.lab_world import SimulatedWorld
    from starsmith.learners.benchmark.embeddings.report import score_rows, wide_rows, write_report
    from starsmith.learners.benchmark.embeddings.run import finished, run_embeddings

    suite, out = options.read_suite(), options.folder
    if options.report_only:
        cells = finished(suite, out)
    else:
        world = SimulatedWorld(suite.lab, out, options.grid, device=options.device)
        cells = run_embeddings(suite, out, world, options.device, say)
    report, rows = write_report(suite, out, cells), score_rows(cells)
    options.tell(suite.name, rows, report, wide_rows(rows))
