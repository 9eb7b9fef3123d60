"""``specsim grid plot``: figures of a grid."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.command import Command
from starsmith.cli.shared.option_table import PATH, argument, option, takes
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["PlotOptions", "plot"]


@dataclass(frozen=True, kw_only=True)
class PlotOptions:
    """Options of ``specsim grid plot``."""

    name: str = argument(default="demo")
    out: Path = option(type=PATH, required=True, help="Folder for figures.")
    references: tuple[str, ...] = option(
        "--reference",
        multiple=True,
        help="TABLE:TEFF,LOGG,M_H: a spectrum (columns wave, flux) to show differences from.",
    )


@click.command(
    cls=Command,
    examples=(
        "specsim grid plot demo --out figures/",
        "specsim grid plot grid.zarr --out figures/ --reference sun.ecsv:5777,4.44,0",
    ),
)
@takes(PlotOptions)
def plot(options: PlotOptions) -> None:
    """Draw grid NAME: the Ca II triplet against labels, five stars, differences from references."""
    from starsmith.simulator.figures.grid_figure import plot_differences, plot_stars, plot_triplet
    from starsmith.simulator.grids import StellarGrid

    name, out = options.name, options.out
    wanted = [_read_reference(text) for text in options.references]
    with progress_bar("demo grid", "models") as report:
        grid = StellarGrid.open(name, progress=report)
    if not {"teff", "logg", "m_h"} <= set(grid.axes):
        raise ConfigError(
            f"grid {name}: figures need axes teff, logg, m_h; found {list(grid.axes)}"
        )
    out.mkdir(parents=True, exist_ok=True)
    files = [out / "triplet.png", out / "stars.png"]
    plot_triplet(files[0], grid)
    plot_stars(files[1], grid)
    if wanted:
        files.append(out / "differences.png")
        plot_differences(files[2], grid, wanted)
    for path in files:
        click.echo(path)


def _read_reference(text: str) -> tuple[str, "np.ndarray", "np.ndarray", tuple[float, ...]]:
    """Parse ``TABLE:TEFF,LOGG,M_H`` and read the table.

    Returns
    -------
    name : str
    wave, flux : float64, shape (n_wave,)
        Vacuum [Å] and surface flux density, any unit.
    labels : tuple of float
        Teff [K], log g [dex], [M/H] [dex].
    """
    import numpy as np

    from starsmith.data_contract.exchange.spectrum_file import read_spectrum

    path, _, star = text.rpartition(":")
    try:
        teff, logg, m_h = (float(word) for word in star.split(","))
    except ValueError:
        raise ConfigError(
            f"--reference {text!r}: write it as sun.ecsv:5777,4.44,0 (table, Teff, log g, [M/H])"
        ) from None
    seen = read_spectrum(path, error=ConfigError)
    if not seen.usable.all():
        row = int(np.argmin(seen.usable)) + 1
        raise ConfigError(f"{path}: flux is blank or flagged in row {row}; a reference has no gaps")
    return Path(path).stem, seen.wave, seen.flux.astype(np.float64), (teff, logg, m_h)
