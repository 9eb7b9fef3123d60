"""Maps of trust of a grid: those in its file, and those of the demo grid that are packaged."""

import json
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from starsmith.data_contract.grid.map_file import read_quality_maps
from starsmith.data_contract.quality_map import INTERPOLATION, STRUCTURES
from starsmith.simulator.grids.cached_demo import demo_grid_path, named_grid_key
from starsmith.simulator.grids.demo_ranges import DEMO_RANGES

if TYPE_CHECKING:
    from starsmith.data_contract.bank.bank_file import Bank
    from starsmith.data_contract.grid.grid_file import GridData

__all__ = ["known_maps", "with_maps"]

PACKAGED = "demo_maps.json"


@lru_cache(maxsize=1)
def _packaged() -> dict:
    text = files("starsmith.simulator.grids").joinpath(PACKAGED).read_text(encoding="utf-8")
    return json.loads(text)


def known_maps(source: str | Path, release: object = None) -> dict[str, dict]:
    """Records of a grid's maps by name; those in its file go before packaged ones.

    Parameters
    ----------
    source : str or Path
        A grid of `DEMO_RANGES` or a grid file.
    release : str, optional
        What the grid says of itself; packaged maps belong to one physics version.
    """
    if str(source) not in DEMO_RANGES:
        return read_quality_maps(Path(source))
    from starsmith.simulator.synthesis import PHYSICS_VERSION

    shipped, found = _packaged(), {}
    if release == f"physics version {PHYSICS_VERSION}" == f"physics version {shipped['physics']}":
        of_cells = shipped[INTERPOLATION].get(str(source), {})
        if of_cells.get("key") == named_grid_key(str(source)):
            found[INTERPOLATION] = of_cells["map"]
        found[STRUCTURES] = shipped[STRUCTURES]
    return found | read_quality_maps(demo_grid_path(str(source)))


def with_maps(made: "GridData | Bank", source: str | Path) -> "GridData | Bank":
    """Return a grid, or a bank of it, whose provenance holds the maps that are known of it."""
    from starsmith.data_contract.bank.bank_file import Bank

    of_bank = isinstance(made, Bank)
    provenance = made.grid.get("provenance", {}) if of_bank else made.provenance
    maps = known_maps(source, provenance.get("release"))
    if not maps:
        return made
    provenance = {**provenance, "maps": maps}
    if of_bank:
        return replace(made, grid={**made.grid, "provenance": provenance})
    return replace(made, provenance=provenance)
