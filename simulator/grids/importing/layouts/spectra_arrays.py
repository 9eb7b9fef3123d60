"""All models in one file: a table with a row a model, or with a row a sample, or arrays by name.

A row a model: columns ``teff``, ``logg``, ``m_h`` and arrays ``wave`` and ``flux`` (FITS, ECSV). A
row a sample: the same columns, one number each. Arrays by name (``.npz``, HDF5): ``wave`` of shape
(n_wave,) or (n_model, n_wave), ``flux`` (n_model, n_wave), ``teff`` and so on (n_model,).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import DataError, GridError
from starsmith.data_contract.files.hdf5_check import hdf5_array, open_hdf5
from starsmith.data_contract.files.outside import MOST_TABLE, read_npz
from starsmith.data_contract.surveys.outside_file import damage_of, open_outside
from starsmith.data_contract.tables.user_table import UserTable, read_table
from starsmith.data_contract.unit_conversion import split_unit
from starsmith.simulator.grids.importing.layout import (
    FoundModel,
    Layout,
    SpectraFile,
    check_labels,
)
from starsmith.simulator.grids.importing.layouts.spectra_table import labels_of_rows, named_columns
from starsmith.simulator.grids.importing.node_labels import NodeLabels
from starsmith.simulator.grids.importing.statement import NOTHING_SAID, Statement

__all__ = ["SPECTRA_ARRAYS"]

SPECTRA = ("wave", "flux")
NEEDED = (*SPECTRA, "teff", "logg", "m_h")
OPTIONAL = ("continuum", "a_m", "c_m")


def _read(file: SpectraFile) -> Iterator[FoundModel]:
    suffix = file.path.suffix.lower()
    if suffix == ".npz":
        yield from _of_arrays(_npz(file.path), NOTHING_SAID)
    elif suffix in (".h5", ".hdf5"):
        yield from _of_arrays(_hdf5(file.path), NOTHING_SAID)
    else:
        yield from _of_table(read_table(file.path, NEEDED, GridError, "table of spectra"))


def _npz(path: Path) -> dict[str, np.ndarray]:
    with open_outside(path) as opened:
        members = damage_of(path, lambda: opened.zip_names)
    names = [*NEEDED, *(name for name in OPTIONAL if f"{name}.npy" in members)]
    return read_npz(path, names, MOST_TABLE)


def _hdf5(path: Path) -> dict[str, np.ndarray]:
    found = {}
    with open_hdf5(path) as root:
        for name in (*NEEDED, *OPTIONAL):
            array = hdf5_array(root, name)
            if array is None and name in NEEDED:
                raise DataError(f"has no array {name}; it needs {', '.join(NEEDED)}")
            if array is not None and array.nbytes > MOST_TABLE:
                raise DataError(f"array {name} has {array.nbytes} bytes")
            if array is not None:
                found[name] = damage_of(path, lambda a=array: np.asarray(a[()]))
    return found


def _of_arrays(arrays: Mapping[str, np.ndarray], says: Statement) -> Iterator[FoundModel]:
    n_model = arrays["teff"].size
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise DataError(f"array {name} is {array.dtype}, expected numbers")
        if name not in ("wave", "flux", "continuum") and array.shape != (n_model,):
            raise DataError(f"array {name} has shape {array.shape}, expected ({n_model},)")
    flux, wave = arrays["flux"], arrays["wave"]
    shape = (n_model, wave.shape[-1] if wave.ndim else 0)
    if flux.shape != shape or wave.shape not in (shape, shape[1:]):
        raise DataError(
            f"flux has shape {flux.shape} and wave {wave.shape}, expected {shape} and a wave of "
            f"{shape[1:]} or {shape}"
        )
    names = [name for name in NodeLabels._fields if name in arrays]
    for row in range(n_model):
        labels = NodeLabels(**{name: 0.0 + float(arrays[name][row]) for name in names})
        columns = {
            name: arrays[name] if arrays[name].ndim == 1 else arrays[name][row]
            for name in ("wave", "flux", "continuum")
            if name in arrays
        }
        yield FoundModel(check_labels(labels), named_columns(columns, {}, says), f"row {row + 1}")


def _of_table(table: UserTable) -> Iterator[FoundModel]:
    says, labels = Statement.of_meta(table.meta), labels_of_rows(table)
    arrays = {
        name: split_unit(column)[0]
        for name, column in table.columns.items()
        if np.asarray(column).dtype.kind in "fiu"
    }
    units = {name: table.parsed_unit(name) for name in arrays}
    if any(array.ndim > 1 for array in arrays.values()):
        spectra = {name: array for name, array in arrays.items() if array.ndim == 2}
        for row, node in enumerate(labels):
            columns = {name: array[row] for name, array in spectra.items()}
            yield FoundModel(node, named_columns(columns, units, says), f"row {row + 1}")
        return
    rows_of: dict[NodeLabels, list[int]] = {}
    for row, node in enumerate(labels):
        rows_of.setdefault(node, []).append(row)
    for number, (node, rows) in enumerate(rows_of.items(), 1):
        columns = {name: array[rows] for name, array in arrays.items()}
        yield FoundModel(node, named_columns(columns, units, says), f"model {number}")


SPECTRA_ARRAYS = Layout(
    name="table",
    title="a table of spectra",
    citation="",
    says=NOTHING_SAID,
    owns=lambda name: False,
    read=_read,
)
