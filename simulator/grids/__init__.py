"""Stellar grids: the demo grid, grid files, and archives to import."""

from starsmith.simulator.grids.archive import ImportReport, import_bosz
from starsmith.simulator.grids.bosz_names import plan_fetch
from starsmith.simulator.grids.grid import StellarGrid, crop, grid_info, holes, subgrid

__all__ = [
    "ImportReport",
    "StellarGrid",
    "crop",
    "grid_info",
    "holes",
    "import_bosz",
    "plan_fetch",
    "subgrid",
]
