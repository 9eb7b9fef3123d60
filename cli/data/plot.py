"""``specdata plot``: spectra of a data set from bright to faint, or their noise."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.cli.shared.option_types import Named, Numbers

__all__ = ["PlotOptions", "plot"]

KINDS = ("spectra", "errors")


@dataclass(frozen=True, kw_only=True)
class PlotOptions:
    """Options of ``specdata plot``."""

    data: Path = argument(type=EXISTING)
    out: Path | None = option(
        type=PATH, help="Figure to write (png, pdf, svg).  [default: KIND.png]"
    )
    kind: str = option(
        type=Named(KINDS), default="spectra", help="Spectra, or their errors along the spectrum."
    )
    split: str = option(type=Named(["train", "val", "test"]), default="test")
    mags: tuple[float, ...] = option(
        type=Numbers(),
        default=(),
        help="Of the spectra shown.  [default: four from bright to faint]",
    )


@click.command(
    cls=Command,
    examples=(
        "specdata plot data.zarr",
        "specdata plot data.zarr --kind errors --mags 20.5,21,21.5,22.5 --out errors.pdf",
    ),
)
@takes(PlotOptions)
def plot(options: PlotOptions) -> None:
    """Draw spectra of DATA from bright to faint with their noise, or their errors alone.

    Noiseless flux is drawn where the data set holds it. Spectra without magnitudes are chosen by
    signal-to-noise.
    """
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.simulator.figures import spectra_figure
    from starsmith.simulator.generation.recorded import open_recorded

    out = options.out or Path(f"{options.kind}.png")
    check_suffix(out)
    data = open_recorded(options.data)
    shown = spectra_figure.shown_of(data.split(options.split), options.mags)
    draw = {
        "spectra": spectra_figure.plot_dataset_spectra,
        "errors": spectra_figure.plot_dataset_errors,
    }[options.kind]
    draw(out, shown, data.notice)
    click.echo(str(out))
