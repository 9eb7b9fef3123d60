"""Grid files: stellar spectra on label nodes, as zarr."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import zarr

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.files.atomic import read_steadily, staged_folder
from starsmith.data_contract.files.digests import require_digests, write_digests
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.files.shard_file import check_files, check_written
from starsmith.data_contract.files.zarr_groups import (
    ArrayKinds,
    StoredGroup,
    check_arrays,
    decoded,
    open_group,
    read_arrays,
    write_array,
)
from starsmith.data_contract.quantities import LABELS
from starsmith.data_contract.unit_conversion import plain_flux, plain_value

__all__ = [
    "GRID_SCHEMA",
    "GRID_VERSION",
    "GridData",
    "GridWriter",
    "grid_writer",
    "read_grid",
    "read_whole_grid",
    "write_grid",
]

GRID_SCHEMA = "starsmith.grid"
GRID_VERSION = 1
SPECTRA = ("flux", "continuum")
SPECTRA_CODECS = [
    zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=4),
    zarr.codecs.Crc32cCodec(),
]


@dataclass(frozen=True, kw_only=True)
class GridData:
    """Spectra of model stars on a grid of labels; Quantities are converted, or refused.

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
        given = {"wave": plain_value("wave", self.wave)}
        given["axes"] = {name: plain_value(name, nodes) for name, nodes in self.axes.items()}
        for name in ("flux", "continuum"):
            given[name] = plain_flux(name, getattr(self, name), given["wave"])
        for name, value in given.items():
            object.__setattr__(self, name, value)
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


class GridWriter:
    """Fill the nodes of a grid file one at a time; `grid_writer` makes one.

    Attributes
    ----------
    valid : bool, shape (n_1, n_2, ...)
        True where a node has been written.
    """

    def __init__(self, group: zarr.Group, shape: tuple[int, ...]):
        self._spectra = {name: group[name] for name in SPECTRA if name in group}
        self.valid = np.zeros(shape, dtype=bool)

    def write_nodes(
        self, first: int, valid: np.ndarray, flux: np.ndarray, continuum: np.ndarray | None = None
    ) -> None:
        """Store the valid nodes of the ``first``-th value of the first label, all at once.

        Parameters
        ----------
        first : int
        valid : bool array, shape (n_2, n_3, ...)
        flux, continuum : float32 arrays, shape (n_2, n_3, ..., n_wave)
            Surface flux [erg/s/cm²/Å].
        """
        for name, values in zip(SPECTRA, (flux, continuum), strict=True):
            if values is not None:
                self._spectra[name][first] = np.where(valid[..., None], values, np.float32(np.nan))
        self.valid[first] = valid

    def write_node(
        self, position: tuple[int, ...], flux: np.ndarray, continuum: np.ndarray | None = None
    ) -> None:
        """Store one node and mark it valid.

        Parameters
        ----------
        position : tuple of int
            Index along each axis.
        flux, continuum : float32 arrays, shape (n_wave,)
            Surface flux [erg/s/cm²/Å].
        """
        position = tuple(int(i) for i in position)
        self._spectra["flux"][position] = flux
        if continuum is not None:
            self._spectra["continuum"][position] = continuum
        self.valid[position] = True


@contextmanager
def grid_writer(
    path: Path | str,
    axes: Mapping[str, np.ndarray],
    wave: np.ndarray,
    attributes: Mapping[str, object],
    continuum: bool = True,
    together: int = 1,
) -> Iterator[GridWriter]:
    """Write a grid node by node; ``path`` appears only when the block ends without error.

    Nodes never written are holes: their flux reads as NaN and costs no space.

    Parameters
    ----------
    path : Path or str
    axes : mapping of str to float64 array
        Nodes of each label, in `LABELS` order.
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].
    attributes : mapping
        The scalars of `GridData`: name, resolution, provenance, notice.
    continuum : bool
        Whether nodes have a continuum too.
    together : int
        Nodes along the last label that one file holds.
    """
    path = Path(path)
    names = tuple(axes)
    shape = tuple(len(nodes) for nodes in axes.values())
    with writer_lock(path), staged_folder(path, GRID_SCHEMA) as staging:
        group = zarr.open_group(staging, mode="w-")
        for name, nodes in axes.items():
            write_array(group, name, np.asarray(nodes, dtype=np.float64), (name,))
        write_array(group, "wave", np.asarray(wave, dtype=np.float64), ("wavelength",))
        for name in SPECTRA if continuum else SPECTRA[:1]:
            chunks = (*(1,) * (len(shape) - 1), together, len(wave))
            _create_spectra(group, name, (*shape, len(wave)), chunks, (*names, "wavelength"))
        group.attrs.update(
            {
                "schema": GRID_SCHEMA,
                "schema_version": GRID_VERSION,
                "label_names": list(names),
                "medium": "vacuum",
                "flux_unit": "erg s-1 cm-2 Angstrom-1 at the stellar surface",
                **attributes,
            }
        )
        writer = GridWriter(group, shape)
        yield writer
        write_array(group, "valid", writer.valid, names)
        write_digests(staging)


def _create_spectra(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dims: tuple[str, ...],
) -> None:
    """Lay out spectra; a chunk never written reads as NaN."""
    group.create_array(
        name,
        shape=shape,
        dtype=np.float32,
        chunks=chunks,
        compressors=SPECTRA_CODECS,
        fill_value=np.nan,
        dimension_names=dims,
    )


def write_grid(path: Path | str, grid: GridData) -> None:
    """Write a grid file; ``path`` appears only when it is complete.

    Nodes along the last label lie in one file: a sixteenth of the files of the demo grid.
    """
    attributes = {
        "name": grid.name,
        "resolution": float(grid.resolution),
        "provenance": grid.provenance,
        "notice": grid.notice,
    }
    has_continuum = grid.continuum is not None
    together = grid.valid.shape[-1]
    with grid_writer(path, grid.axes, grid.wave, attributes, has_continuum, together) as writer:
        for first, valid in enumerate(grid.valid):
            continuum = grid.continuum[first] if has_continuum else None
            writer.write_nodes(first, valid, grid.flux[first], continuum)


def read_grid(path: Path | str) -> GridData:
    """Read a grid file.

    Raises
    ------
    DataError
        If ``path`` is not a grid file or is damaged.
    GridError
        If its contents contradict each other.
    """
    return read_steadily(Path(path), _read)


def _read(path: Path) -> GridData:
    open_group(path, GRID_SCHEMA, GRID_VERSION)
    require_digests(path)
    return read_whole_grid(path)


def read_whole_grid(path: Path) -> GridData:
    """Read a grid file whose digest tree is checked elsewhere; raises as `read_grid` does."""
    group = open_group(path, GRID_SCHEMA, GRID_VERSION)
    names = group.names("label_names", LABELS)
    arrays = read_arrays(group, axis_kinds(names), needed=axis_kinds(names))
    spectra = _read_spectra(group, names, arrays)
    resolution = group.attribute("resolution", (int, float))
    if not 0 < resolution < math.inf:
        raise GridError(f"{path}: its resolution is {resolution}; import the grid again")
    return GridData(
        name=group.attribute("name", str),
        axes={name: arrays[name] for name in names},
        wave=arrays["wave"],
        flux=spectra["flux"],
        continuum=spectra.get("continuum"),
        resolution=resolution,
        valid=arrays["valid"],
        provenance=group.attribute("provenance", dict),
        notice=group.attribute("notice", str),
    )


def axis_kinds(names: tuple[str, ...]) -> ArrayKinds:
    """Types and dimensions of a grid's arrays but for its spectra."""
    return {
        **{name: ("float64", (name,)) for name in names},
        "wave": ("float64", ("wavelength",)),
        "valid": ("bool", names),
    }


def _read_spectra(
    group: StoredGroup, names: tuple[str, ...], arrays: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Spectra of a grid; DataError where those of a model that exists are missing."""
    sizes = {name: arrays[name].size for name in (*names, "wave")}
    sizes["wavelength"] = sizes.pop("wave")
    kinds = {name: ("float32", (*names, "wavelength")) for name in SPECTRA}
    layouts = check_arrays(group, kinds, sizes, needed=("flux",))
    models = np.argwhere(arrays["valid"])
    for layout in layouts.values():
        steps = np.array(layout.files[:-1])
        check_files(layout)
        check_written(
            layout, ((*place, 0) for place in np.unique(models // steps, axis=0).tolist())
        )
    return {name: decoded(layout) for name, layout in layouts.items()}
