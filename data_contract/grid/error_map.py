"""Error maps of grids: how well a spline through the other nodes predicts each node."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

from starsmith.data_contract.errors import DataError, GridError
from starsmith.data_contract.files.atomic import staged_folder
from starsmith.data_contract.files.digests import read_digests, refuse_changes, write_digests
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.files.zarr_groups import (
    check_arrays,
    open_group,
    read_arrays,
    write_array,
)
from starsmith.data_contract.grid.grid_file import GRID_SCHEMA, GRID_VERSION, axis_kinds
from starsmith.data_contract.quantities import LABELS

__all__ = ["NODES", "PIXELS", "GridErrorMap", "read_error_map", "write_error_map"]

ERROR_MAP_SCHEMA = "starsmith.grid_error_map"
ERROR_MAP_VERSION = 1
PIXELS, NODES = "error_map", "error_map_nodes"


@dataclass(frozen=True, kw_only=True)
class GridErrorMap:
    """Relative error of interpolation along each label, at twice the local node spacing.

    Attributes
    ----------
    pixels : dict of str to float64 array, shape (n_wave,)
        Label -> rms over interior nodes of (predicted / true - 1) at each wavelength; NaN
        where the axis has no interior node.
    nodes : dict of str to float64 array, shape (n_1, n_2, ...)
        Label -> rms of the same over wavelengths at each node; NaN where the node has no
        neighbour on both sides.
    order : dict of str to float
        Label -> p in error ∝ spacing^p: ``log2`` of quadrupled over doubled spacing where the
        axis is long enough, else the degree of the spline plus one.
    measured : dict of str to bool
        Label -> whether its order was measured.
    """

    pixels: dict[str, np.ndarray]
    nodes: dict[str, np.ndarray]
    order: dict[str, float]
    measured: dict[str, bool]

    def inferred(self, label: str) -> np.ndarray:
        """Error at the grid's own spacing, inferred from the order: float64 (n_wave,)."""
        return self.pixels[label] * 2.0 ** -self.order[label]

    def summary(self) -> dict[str, dict]:
        """Return per label: doubled-spacing rms, order, its origin, inferred native rms."""
        return {
            label: {
                "nodes": int(np.isfinite(self.nodes[label]).sum()),
                "doubled_rms": _rms(self.pixels[label]),
                "doubled_worst_pixel": _worst(self.pixels[label]),
                "order": self.order[label],
                "order_from": "measured" if self.measured[label] else "theory",
                "native_rms_inferred": _rms(self.inferred(label)),
            }
            for label in self.pixels
        }


def _rms(values: np.ndarray) -> float | None:
    """Root mean square of the finite values, None without any."""
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else None


def _worst(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else None


def write_error_map(path: Path | str, error_map: GridErrorMap) -> None:
    """Store an error map inside the grid file it was computed from, replacing an older one.

    Raises
    ------
    OSError
        If the grid file may not be written.
    """
    path = Path(path)
    names = tuple(error_map.pixels)
    parts = ((NODES, error_map.nodes, names), (PIXELS, error_map.pixels, ("wavelength",)))
    for folder, arrays, dims in parts:
        place = path / folder
        with writer_lock(path), staged_folder(place, ERROR_MAP_SCHEMA) as staging:
            group = zarr.open_group(staging, mode="w-")
            for label, values in arrays.items():
                write_array(group, label, values, dims)
                group[label].attrs["units"] = "1"
            group.attrs.update(
                {
                    "schema": ERROR_MAP_SCHEMA,
                    "schema_version": ERROR_MAP_VERSION,
                    "label_names": list(names),
                    "order": error_map.order,
                    "order_measured": error_map.measured,
                }
            )
            write_digests(staging)


def read_error_map(path: Path | str) -> GridErrorMap | None:
    """Read the error map of a grid file, None where it has none.

    Raises
    ------
    DataError
        If it is damaged.
    GridError
        If it does not belong to the grid.
    """
    path = Path(path)
    if not (path / PIXELS).exists():
        return None
    grid = open_group(path, GRID_SCHEMA, GRID_VERSION)
    labels = grid.names("label_names", LABELS)
    sizes = {name: layout.shape for name, layout in check_arrays(grid, axis_kinds(labels)).items()}
    kinds = {
        PIXELS: {name: ("float64", ("wavelength",)) for name in labels},
        NODES: {name: ("float64", labels) for name in labels},
    }
    of_grid = {"wavelength": sizes["wave"][0], **{name: sizes[name][0] for name in labels}}
    groups, arrays = {}, {}
    for name in (PIXELS, NODES):
        groups[name] = open_group(path / name, ERROR_MAP_SCHEMA, ERROR_MAP_VERSION)
        try:
            if (files := read_digests(path / name)) is not None:
                refuse_changes(path / name, files)
            arrays[name] = read_arrays(groups[name], kinds[name], of_grid)
        except DataError as problem:
            raise GridError(f"{problem}, by 'specsim grid check {path}'") from None
    order = groups[PIXELS].attribute("order", dict)
    measured = groups[PIXELS].attribute("order_measured", dict)
    if any(set(labels) != set(part) for part in (*arrays.values(), order, measured)):
        raise GridError(
            f"{path}: its error map is that of another grid; run 'specsim grid check {path}'"
        )
    return GridErrorMap(
        pixels={label: arrays[PIXELS][label] for label in labels},
        nodes={label: arrays[NODES][label] for label in labels},
        order={label: float(order[label]) for label in labels},
        measured={label: bool(measured[label]) for label in labels},
    )
