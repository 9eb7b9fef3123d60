"""The demo grid, built once per machine and kept in the user's cache."""

import logging
from collections.abc import Callable
from pathlib import Path

from starsmith.data_contract.errors import StarsmithError
from starsmith.data_contract.grid.grid_file import GridData, read_grid, write_grid
from starsmith.simulator.cache.use import cache_folder, hold

__all__ = ["demo_grid", "demo_grid_path"]

logger = logging.getLogger(__name__)


def demo_grid_path() -> Path:
    """Where the demo grid of this version of the synthesizer is kept."""
    from starsmith.simulator.grids.demo import demo_cache_key

    return cache_folder() / "grids" / f"demo-{demo_cache_key()}.zarr"


def demo_grid(progress: Callable[[int, int], None] | None = None) -> GridData:
    """Read the demo grid from the cache, or build it and keep it there.

    Parameters
    ----------
    progress : callable, optional
        Called with (nodes done, nodes in all) while building.
    """
    path = demo_grid_path()
    if path.exists():
        try:
            hold(path)
            return read_grid(path)
        except (StarsmithError, FileNotFoundError) as problem:
            logger.warning("building the demo grid again: %s", problem)
    from starsmith.simulator.grids.demo import build_demo_grid

    grid = build_demo_grid(progress=progress)
    write_grid(path, grid)
    hold(path)
    return grid
