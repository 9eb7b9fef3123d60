"""The whole of starsmith once, on the built-in grid: ``python -m starsmith.cli.demo``.

Builds the grid, simulates a data set, trains three models, computes the ceilings, and says
whether any model does better than is possible. Finished steps are kept: running it again
goes on where it stopped.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Tool, loudness, version_option
from starsmith.cli.shared.option_table import EXISTING, option, takes
from starsmith.cli.shared.option_types import Count

__all__ = ["main"]

MODELS = {
    "ridge": {},
    "lightgbm": {
        "learning_rate": 0.12,
        "n_leaves": 31,
        "row_fraction": 0.5,
        "column_fraction": 0.1,
        "rounds": 300,
    },
    "compressed": {"epochs": 10},
}
"""Model -> what differs from its recipe, so that all three fit in a few minutes."""

HELD_OUT = 2000
N_TEMPLATE = 40_000


@contextmanager
def step(number: int, text: str) -> Iterator[None]:
    """Announce a step on stderr and say how long it took."""
    start = time.monotonic()
    if loudness() >= 0:
        click.echo(f"[{number}/6] {text} ...", err=True)
    yield
    if loudness() >= 0:
        click.echo(f"[{number}/6] {text}: {time.monotonic() - start:.0f} s", err=True)


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """Options of the demonstration."""

    out: Path = option(
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("demo"),
        help="Folder for data, models, figures and the report.",
    )
    n: int = option("-n", type=Count(2000), default=20_000, help="Training spectra.")
    bank: Path | None = option(type=EXISTING, help="Use this bank, not the demo's.")
    n_template: int = option(type=Count(1000), default=N_TEMPLATE, hidden=True)
    workers: int = option(type=click.IntRange(1, 1024), default=2)


@click.command(
    cls=Tool,
    name="demo",
    examples=("python -m starsmith.cli.demo --out demo", "make demo"),
    resume="finished steps are kept; run it again to continue",
)
@version_option()
@takes(DemoOptions)
def main(options: DemoOptions) -> None:
    """Simulate, train and bound once on the demonstration grid (5 to 7 minutes on two cores)."""
    from starsmith.cli import demo_steps
    from starsmith.cli.shared.options import BankSource

    out, bank = options.out, options.bank
    out.mkdir(parents=True, exist_ok=True)
    held_out = min(HELD_OUT, options.n // 5)
    counts = {"train": options.n, "val": held_out, "test": held_out}
    with step(1, "stellar grid at PFS pixels (built on first use, then cached)"):
        population = demo_steps.open_population(BankSource(bank=bank))
    with step(2, f"{sum(counts.values())} spectra"):
        data = demo_steps.generate(bank, counts, out / "data.zarr", options.workers)
    predictions = {}
    with step(3, f"training {', '.join(MODELS)}"):
        for model, changes in MODELS.items():
            predictions[model] = demo_steps.train_and_predict(model, changes, data, out / "models")
    with step(4, f"ceilings of {held_out} test stars"):
        ceilings = demo_steps.ceilings(data, out / "ceiling", options.n_template)
    with step(5, "figures"):
        figures = demo_steps.draw(population, predictions, ceilings, out)
    with step(6, "report"):
        report = demo_steps.write_report(predictions, ceilings, figures, out / "report.md")
    click.echo(report)


if __name__ == "__main__":
    main()
