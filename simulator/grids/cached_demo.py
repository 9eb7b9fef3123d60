"""The demo grid, built once per machine and kept in the user's cache."""

from collections.abc import Callable
from pathlib import Path

from starsmith.data_contract.files.user_cache import cache_folder, kept_or_made
from starsmith.data_contract.grid.grid_file import GridData, read_grid, write_grid
from starsmith.simulator.grids.demo import build_demo_grid, demo_cache_key

__all__ = ["demo_grid", "demo_grid_path"]


def demo_grid_path() -> Path:
    """Where the demo grid of this version of the synthesizer is kept."""
    return cache_folder() / "grids" / f"demo-{demo_cache_key()}.zarr"


def demo_grid(progress: Callable[[int, int], None] | None = None) -> GridData:
    """Read the demo grid from the cache, or build it and keep it there.

    Parameters
    ----------
    progress : callable, optional
        Called with (nodes done, nodes in all) while building.
    """

    def save(grid: GridData, path: Path) -> None:
        write_grid(path, grid)

    return kept_or_made(
        demo_grid_path(), read_grid, lambda: build_demo_grid(progress=progress), save
    )
