"""Maps of trust stored inside grid files."""

from collections.abc import Mapping
from pathlib import Path

import zarr

from starsmith.data_contract.errors import DataError, GridError
from starsmith.data_contract.files.atomic import staged_folder
from starsmith.data_contract.files.digests import read_digests, refuse_changes, write_digests
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.files.zarr_groups import open_group
from starsmith.data_contract.quality_map import QualityMap
from starsmith.data_contract.quantities import LABELS

__all__ = ["MAPS", "read_quality_maps", "write_quality_maps"]

MAPS_SCHEMA = "starsmith.grid_maps"
MAPS_VERSION = 1
MAPS = "error_map_cells"  # folder inside a grid file


def write_quality_maps(path: Path | str, maps: Mapping[str, QualityMap]) -> None:
    """Store maps inside a grid file beside those of other names.

    Raises
    ------
    OSError
        If the grid file may not be written.
    """
    path = Path(path)
    records = read_quality_maps(path) | {name: found.record() for name, found in maps.items()}
    with writer_lock(path), staged_folder(path / MAPS, MAPS_SCHEMA) as staging:
        group = zarr.open_group(staging, mode="w-")
        group.attrs.update({"schema": MAPS_SCHEMA, "schema_version": MAPS_VERSION, "maps": records})
        write_digests(staging)


def read_quality_maps(path: Path | str) -> dict[str, dict]:
    """Records of the maps stored in a grid file by name; empty without any.

    Raises
    ------
    GridError
        If they are damaged.
    """
    place = Path(path) / MAPS
    if not place.exists():
        return {}
    try:
        group = open_group(place, MAPS_SCHEMA, MAPS_VERSION)
        if (files := read_digests(place)) is not None:
            refuse_changes(place, files)
        records = group.attribute("maps", dict)
        for record in records.values():
            if not set(QualityMap.of_record(record).edges) <= set(LABELS):
                raise DataError(f"{place}: a map of labels that no grid has")
    except DataError as problem:
        raise GridError(f"{problem}, by 'specsim grid errors {path}'") from None
    return records
