"""Stellar grids: the demo grid, grid files, and archives to fetch and import."""

from starsmith.simulator.grids.bosz.importer import ImportReport, import_bosz
from starsmith.simulator.grids.download.fetch import FetchReport, fetch_grid
from starsmith.simulator.grids.download.fetch_plan import FetchPlan, plan_fetch
from starsmith.simulator.grids.grid import StellarGrid, crop, grid_info, grid_path, holes, subgrid
from starsmith.simulator.grids.interpolation_error import grid_error_map

__all__ = [
    "FetchPlan",
    "FetchReport",
    "ImportReport",
    "StellarGrid",
    "crop",
    "fetch_grid",
    "grid_error_map",
    "grid_info",
    "grid_path",
    "holes",
    "import_bosz",
    "plan_fetch",
    "subgrid",
]
