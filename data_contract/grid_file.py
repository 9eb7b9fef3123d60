"""Grid files: stellar spectra on label nodes, as zarr."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import zarr

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.names import LABELS
from starsmith.data_contract.store import open_group, read_arrays, staged_folder, write_array

__all__ = ["GRID_SCHEMA", "GridData", "read_grid", "write_grid"]

GRID_SCHEMA = "starsmith.grid"
GRID_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class GridData:
    """Spectra of model stars on a grid of labels.

    Attributes
    ----------
    name : str
        Short name, e.g. ``demo`` or ``bosz2017``.
    axes : dict of str to float64 array
        Node values of each label [K, dex, ...], increasing, in `LABELS` order.
    wave : float64, shape (n_wave,)
        Vacuum wavelength of the samples, increasing [Å].
    flux : float32, shape (n_1, n_2, ..., n_wave)
        Surface flux F = pi * mean intensity [erg/s/cm²/Å]; NaN where no node exists.
    continuum : float32, same shape as ``flux``, or None
        Line-free surface flux [erg/s/cm²/Å].
    resolution : float
        wave / FWHM of the Gaussian LSF the spectra already carry.
    valid : bool, shape (n_1, n_2, ...)
        True where a model exists.
    provenance : dict
        JSON-able: release, source, citation, licence, files with their SHA-256, ...
    notice : str
        Printed on every output made from the grid; empty when none is needed.
    """

    name: str
    axes: dict[str, np.ndarray]
    wave: np.ndarray
    flux: np.ndarray
    resolution: float
    valid: np.ndarray
    continuum: np.ndarray | None = None
    provenance: dict = field(default_factory=dict)
    notice: str = ""

    def __post_init__(self):
        shape = tuple(len(nodes) for nodes in self.axes.values())
        order = [name for name in LABELS if name in self.axes]
        if list(self.axes) != order:
            raise GridError(
                f"grid {self.name!r}: axes {list(self.axes)} must be among and in order of {LABELS}"
            )
        if self.flux.shape != (*shape, self.wave.size) or self.valid.shape != shape:
            raise GridError(
                f"grid {self.name!r}: flux {self.flux.shape} and valid {self.valid.shape} do not "
                f"match axes {shape} and {self.wave.size} wavelengths"
            )
        for name, nodes in {**self.axes, "wave": self.wave}.items():
            if np.any(np.diff(nodes) <= 0):
                raise GridError(f"grid {self.name!r}: {name} does not increase")

    @property
    def label_names(self) -> tuple[str, ...]:
        """Labels the grid varies, in `LABELS` order."""
        return tuple(self.axes)


def write_grid(path: Path | str, grid: GridData) -> None:
    """Write a grid file; ``path`` appears only when it is complete."""
    path = Path(path)
    dims = (*grid.label_names, "wavelength")
    one_node = (*(1,) * len(grid.axes), grid.wave.size)
    with staged_folder(path) as staging:
        group = zarr.open_group(staging, mode="w-")
        for name, nodes in grid.axes.items():
            write_array(group, name, np.asarray(nodes, dtype=np.float64), (name,))
        write_array(group, "wave", np.asarray(grid.wave, dtype=np.float64), ("wavelength",))
        write_array(group, "valid", grid.valid, grid.label_names)
        write_array(group, "flux", grid.flux.astype(np.float32, copy=False), dims, one_node)
        if grid.continuum is not None:
            continuum = grid.continuum.astype(np.float32, copy=False)
            write_array(group, "continuum", continuum, dims, one_node)
        group.attrs.update(
            {
                "schema": GRID_SCHEMA,
                "schema_version": GRID_VERSION,
                "name": grid.name,
                "label_names": list(grid.label_names),
                "resolution": float(grid.resolution),
                "medium": "vacuum",
                "flux_unit": "erg s-1 cm-2 Angstrom-1 at the stellar surface",
                "provenance": grid.provenance,
                "notice": grid.notice,
            }
        )


def read_grid(path: Path | str) -> GridData:
    """Read a grid file.

    Raises
    ------
    DataError
        If ``path`` is not a grid file or is damaged.
    GridError
        If its contents contradict each other.
    """
    path = Path(path)
    group = open_group(path, GRID_SCHEMA, GRID_VERSION)
    arrays = read_arrays(group, path)
    attrs = group.attrs
    if missing := {"wave", "flux", "valid", *attrs["label_names"]} - set(arrays):
        raise GridError(f"{path}: array(s) {sorted(missing)} are missing; import the grid again")
    return GridData(
        name=attrs["name"],
        axes={name: arrays[name] for name in attrs["label_names"]},
        wave=arrays["wave"],
        flux=arrays["flux"],
        continuum=arrays.get("continuum"),
        resolution=attrs["resolution"],
        valid=arrays["valid"],
        provenance=attrs["provenance"],
        notice=attrs["notice"],
    )
