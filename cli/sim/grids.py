"""What ``specsim grid build`` and ``specsim grid plot`` do between options and the simulator."""

from pathlib import Path

import click
import numpy as np

from starsmith.cli.shared.command import loudness
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.exchange.spectrum_file import read_spectrum
from starsmith.data_contract.files.atomic import refuse_existing
from starsmith.data_contract.grid.grid_file import GridData, write_grid
from starsmith.simulator.figures.grid_figure import plot_differences, plot_stars, plot_triplet
from starsmith.simulator.grids import StellarGrid
from starsmith.simulator.grids.demo import build_demo_grid, demo_axes

__all__ = ["build_box", "draw_grid", "read_reference"]

SECONDS_PER_MODEL = 0.09  # on two cores of a 2020s server


def build_box(box: str, out: Path | None, overwrite: bool) -> GridData:
    """Build a box of the demonstration grid; every box but the default needs ``out``."""
    if out is None and box != "3d":
        raise ConfigError(f"--box {box} is not kept in the cache; say where to write it with --out")
    refuse_existing(out, overwrite)
    n_model = int(np.prod([nodes.size for nodes in demo_axes(box).values()]))
    if loudness() >= 0 and box != "3d":
        minutes = max(1, round(n_model * SECONDS_PER_MODEL / 60.0))
        click.echo(f"{n_model} models, about {minutes} min on two cores", err=True)
    with progress_bar("demo grid", "models") as report:
        if box == "3d":
            built = StellarGrid.open("demo", progress=report)
        else:
            built = build_demo_grid(box, progress=report)
    if out:
        write_grid(out, built)
    return built


def read_reference(text: str) -> tuple[str, np.ndarray, np.ndarray, tuple[float, ...]]:
    """Parse ``TABLE:TEFF,LOGG,M_H`` and read the table.

    Returns
    -------
    name : str
    wave, flux : float64, shape (n_wave,)
        Vacuum [Å] and surface flux density, any unit.
    labels : tuple of float
        Teff [K], log g [dex], [M/H] [dex].
    """
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


def draw_grid(name: str, out: Path, references: tuple[str, ...]) -> list[Path]:
    """Draw every figure of a grid into folder ``out``; returns the files."""
    wanted = [read_reference(text) for text in references]
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
    return files
