"""``specsim grid build``: a demonstration grid."""

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import click
import numpy as np

from starsmith.cli.shared.command import Command, echo_notice, loudness, overwrite_option
from starsmith.cli.shared.option_table import PATH, option, takes
from starsmith.cli.shared.option_types import Named
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import LABELS

__all__ = ["BuildOptions", "build"]

SECONDS_PER_MODEL = {"demo": 0.06, "demo-optical": 0.4, "demo-h": 0.04}  # on two cores


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """Options of ``specsim grid build``."""

    grid: str = option(
        type=Named(["demo", "demo-optical", "demo-h"]),
        default="demo",
        help="640-900 nm; 320-1060 nm at R = 10,000; 1.50-1.70 um at R = 35,000.",
    )
    box: str = option(
        type=Named(["3d", "5d", "small"]),
        default="3d",
        help="3d is the one that is kept; 5d adds [alpha/M] and [C/M]; small is for trials.",
    )
    microturbulence: float | None = option(
        type=click.FloatRange(0.0, 10.0),
        help="km/s, the same for all stars; by default what is usual for their labels.",
    )
    axis: tuple[str, ...] = option(
        multiple=True,
        metavar="LABEL=NODES",
        help="Nodes of a label beside the box's or in their place, as vturb=0.5,1,2,4; may be "
        "repeated.",
    )
    out: Path | None = option(type=PATH, help="Also write the grid as a file.")
    overwrite: bool = overwrite_option()


@click.command(
    cls=Command,
    examples=(
        "specsim grid build",
        "specsim grid build --grid demo-optical",
        "specsim grid build --box 5d --out demo5d.zarr",
        "specsim grid build --box small --axis vturb=0.5,1,2,4 --out vturb.zarr",
    ),
    resume="finished models are kept; run the same command again to continue",
)
@takes(BuildOptions)
def build(options: BuildOptions) -> None:
    """Build a demonstration grid, or find it in the cache (3d: 4 minutes on two cores)."""
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.data_contract.grid.grid_file import GRID_SCHEMA, write_grid
    from starsmith.simulator.grids import StellarGrid
    from starsmith.simulator.grids.demo import build_demo_grid, demo_axes
    from starsmith.simulator.grids.demo_ranges import demo_sampling

    box, out, name = options.box, options.out, options.grid
    sampling = replace(demo_sampling(name), microturbulence=options.microturbulence)
    axes = demo_axes(box) | dict(map(nodes_of, options.axis))
    kept = box == "3d" and options.microturbulence is None and not options.axis
    if out is None and not kept:
        which = "only `--grid demo` and its like are kept in the cache"
        raise ConfigError(f"{which}; say where to write this one with --out")
    refuse_existing(out, options.overwrite, GRID_SCHEMA)
    n_model = prod(nodes.size for nodes in axes.values())
    if loudness() >= 0 and not (kept and name == "demo"):
        minutes = max(1, round(n_model * SECONDS_PER_MODEL[name] / 60.0))
        click.echo(f"{n_model} models, about {minutes} min on two cores", err=True)
    with progress_bar("demo grid", "models") as report:
        if kept:
            built = StellarGrid.open(name, progress=report)
        else:
            built = build_demo_grid(axes=axes, progress=report, sampling=sampling)
            built = replace(built, name=name)
    if out:
        write_grid(out, built)
    click.echo(f"{built.valid.sum()} models of grid {built.name} ready")
    echo_notice(built.notice)


def nodes_of(text: str) -> tuple[str, np.ndarray]:
    """Label and nodes of ``vturb=0.5,1,2,4``; UsageError where it cannot be read."""
    name, _, nodes = text.partition("=")
    try:
        if name in LABELS:
            return name, np.array([float(node) for node in nodes.split(",")])
    except ValueError:
        pass
    raise click.UsageError(
        f"--axis {text!r} cannot be read; write a label of {', '.join(LABELS)} and its nodes, as "
        "vturb=0.5,1,2,4"
    )
