"""The demo grid, built once per machine and kept in the user's cache."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.digests import read_digests, write_digests
from starsmith.data_contract.files.user_cache import cache_folder, kept_or_made
from starsmith.data_contract.grid.grid_file import (
    GridData,
    read_grid,
    read_whole_grid,
    write_grid,
)
from starsmith.simulator.grids.demo import build_demo_grid, demo_cache_key, planned_demo_grid
from starsmith.simulator.grids.demo_ranges import demo_sampling

__all__ = ["demo_grid", "demo_grid_path", "named_grid_key", "planned_grid", "read_with_digests"]

N_PROBE = 3
PROBE = 1e-5  # relative; sums of before had an order that depended on the environment


def named_grid_key(name: str = "demo") -> str:
    """Hash of what decides the numbers of a grid of `DEMO_RANGES`."""
    return demo_cache_key() if name == "demo" else demo_cache_key(sampling=demo_sampling(name))


def demo_grid_path(name: str = "demo") -> Path:
    """Where a demo grid of this version of the synthesizer is kept."""
    return cache_folder() / "grids" / f"demo-{named_grid_key(name)}.zarr"


def planned_grid(name: str = "demo") -> GridData:
    """A grid of `DEMO_RANGES` as it will be, without its fluxes."""
    return replace(planned_demo_grid(sampling=demo_sampling(name)), name=name)


def demo_grid(progress: Callable[[int, int], None] | None = None, name: str = "demo") -> GridData:
    """Read a demo grid from the cache, or build it and keep it there.

    Parameters
    ----------
    progress : callable, optional
        Called with (nodes done, nodes in all) while building.
    name : str
        One of `DEMO_RANGES`.
    """

    def build() -> GridData:
        if name == "demo":
            return build_demo_grid(progress=progress)
        built = build_demo_grid(progress=progress, sampling=demo_sampling(name))
        return replace(built, name=name)

    def save(grid: GridData, path: Path) -> None:
        write_grid(path, grid)

    return kept_or_made(demo_grid_path(name), read_with_digests, build, save)


def read_with_digests(path: Path) -> GridData:
    """Read a kept grid; one of before digests is given them, if some nodes are made again alike.

    Raises
    ------
    DataError, GridError
        If it is damaged, or its nodes are not what the synthesizer makes of their labels.
    """
    if read_digests(path) is not None:
        return read_grid(path)
    grid = read_whole_grid(path)
    _require_nodes(path, grid)
    with suppress(OSError):  # a cache lent for reading
        write_digests(path)
    return grid


def _require_nodes(path: Path, grid: GridData) -> None:
    from starsmith.simulator.synthesis import synthesize

    nodes = np.argwhere(grid.valid)
    for node in nodes[np.linspace(0, len(nodes) - 1, N_PROBE).astype(int)]:
        labels = {name: grid.axes[name][k] for name, k in zip(grid.axes, node, strict=True)}
        made = synthesize(**labels).flux.astype(np.float32)
        if not np.allclose(grid.flux[tuple(node)], made, rtol=PROBE, atol=0.0):
            raise DataError(f"{path}: its node {labels} is not what the synthesizer makes of it")
