"""The HDF5 layout of the published networks: written for interchange, read without pickle.

Its ``flux`` is noiseless and divided by its own median (times 0.5 for some authors), and its
``error`` is the true noise divided alike. That error knows the noiseless spectrum: a network given
it scores what no observer can. Train from the zarr dataset, whose errors are honest.
"""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.dataset.reader import Dataset
from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.dataset.split_columns import rounded
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import json_bytes, staged_file
from starsmith.data_contract.files.hdf5_check import (
    hdf5_array,
    hdf5_attribute,
    hdf5_group,
    open_hdf5,
)
from starsmith.data_contract.files.hdf5_write import write_hdf5
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.noise.view import true_error
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quantities import CONDITIONS, SOMETIMES, SPLITS

__all__ = [
    "HEADER",
    "MEDIAN",
    "NOISE",
    "PARAMS",
    "PUBLISHED_LABELS",
    "WAVE",
    "Published",
    "describe_published",
    "new_array",
    "open_published",
    "published_file",
    "read_published",
    "table_image",
    "write_file",
    "write_published",
    "write_splits",
]

PUBLISHED_LABELS = {
    "teff": "T_eff", "logg": "log_g", "m_h": "M_H", "a_m": "a_M", "c_m": "C_M", "vturb": "v_turb"
}  # fmt: skip
"""Our label -> column of ``/dataset/params``."""

WAVE = "spectrumdataset/wave"
ARRAYS = "dataset/arrays"
FLUX, ERROR = (f"{ARRAYS}/{name}/value" for name in ("flux", "error"))
PARAMS = "dataset/params"
HEADER = "starsmith/run"
NOISE = "starsmith/noise"
MEDIAN = "flux_median"
LEVEL = "median"
ERROR_BITS = 12  # mantissa bits of the error; what makes gzip worth its time
GUARD_BITS = 2  # of the flux beyond the dataset's own: times its median it rounds to what it was
BLOCK_ROWS = 512
MOST_BLOCKS = 100  # entries of a table in fixed format that are looked at
CHUNK_ROWS = 16


@dataclass(frozen=True, kw_only=True)
class Published:
    """Contents of one file in the published layout.

    Attributes
    ----------
    wave : float64, shape (n_wave,)
        Vacuum [Å].
    flux : float32, shape (n_spec, n_wave)
        As stored: in files of ours noiseless, divided by its median [1].
    error : float32, shape (n_spec, n_wave), or None
        As stored: in files of ours the true 1σ noise, divided alike [1].
    params : dict of str to array (n_spec,)
        Every column of the table, under its published name.
    level : float
        What the medians of files of ours are; 1 of others.
    """

    wave: np.ndarray
    flux: np.ndarray
    error: np.ndarray | None
    params: dict[str, np.ndarray]
    level: float = 1.0

    def __len__(self) -> int:
        return len(self.flux)

    @property
    def observed(self) -> Observed:
        """Its spectra as every other file's: pixels without an error cannot be used."""
        return Observed(self.wave, self.flux, self.error)

    def label(self, name: str) -> np.ndarray:
        """One label by our name, float64 (n_spec,); DataError if the table lacks it."""
        column = PUBLISHED_LABELS[name]
        if column not in self.params:
            raise DataError(f"column {column} ({name}) is missing; found {sorted(self.params)}")
        return self.params[column].astype(np.float64)


def published_file(folder: Path, split: str) -> Path:
    """File of a split: ``test/dataset.h5`` where it is there, else ``test.h5``."""
    nested = folder / split / "dataset.h5"
    return nested if nested.exists() else folder / f"{split}.h5"


def write_published(
    dataset: Dataset, folder: Path | str, folders: bool = False, median: float = 1.0
) -> list[Path]:
    """Export a dataset as one HDF5 file per split: ``folder/train.h5``, ...

    Parameters
    ----------
    dataset : Dataset
        Not a frozen store: the layout holds noiseless flux.
    folder : path
        The files appear, or replace others, together: once all are whole.
    folders : bool
        ``folder/train/dataset.h5`` instead, as authors have it.
    median : float
        What the median of every spectrum becomes; some authors have 0.5.

    Returns
    -------
    files : list of Path

    Raises
    ------
    DataError
        If pandas and tables are not installed, the store holds no noiseless flux, or another
        process is writing there.
    """
    folder = Path(folder)
    places = {name: Path(name, "dataset.h5") if folders else Path(f"{name}.h5") for name in SPLITS}
    return write_splits(dataset, {n: folder / places[n] for n in dataset.splits}, median)


def write_splits(dataset: Dataset, files: Mapping[str, Path], median: float = 1.0) -> list[Path]:
    """Export some splits of a dataset, each to its file; parameters and errors as above."""
    _import_pandas()
    attributes = {"digest": dataset.digest, "notice": dataset.notice}
    lock = Path(os.path.commonpath([file.parent for file in files.values()])) / "h5"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with writer_lock(lock), ExitStack() as staged:
        for name, file in files.items():
            split = dataset.split(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = staged.enter_context(staged_file(file, sweep=True))
            with write_file(partial, split.wave, _params(split), attributes, median) as (root, put):
                _write_header(root, dataset.header)
                for start in range(0, len(split), BLOCK_ROWS):
                    rows = slice(start, min(start + BLOCK_ROWS, len(split)))
                    put(rows, *_noiseless(split, rows), split.header.keep_bits + GUARD_BITS)
    return list(files.values())


def _noiseless(split: Split, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Noiseless flux of some rows and the true standard deviation of its noise."""
    model, draws = split.flux_model(rows), split.draws.take(rows)
    terms = split.header.noise_terms
    return model, true_error(split.header.noise, model, draws.conditions, terms, draws.key)


Write = Callable[[slice, np.ndarray, np.ndarray, int], None]


@contextmanager
def write_file(
    file: Path,
    wave: np.ndarray,
    params: Mapping[str, np.ndarray],
    attributes: Mapping[str, str],
    median: float = 1.0,
) -> Iterator[tuple[h5py.File, Write]]:
    """Write one file in the published layout.

    Parameters
    ----------
    file : Path
        A staged one, see `staged_file`.
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].
    params : mapping of str to array (n_spec,)
        Columns of its table.
    attributes : mapping of str to str
        Of the file.
    median : float
        What the median of every spectrum becomes.

    Yields
    ------
    root : h5py.File
    write : callable
        ``write(rows, flux_model, sigma, bits)`` for every block of rows: noiseless flux and
        noise [any linear unit], and mantissa bits that are kept of the flux.

    Raises
    ------
    DataError
        If pandas and tables are not installed.
    """
    table = table_image(params)
    n_spec = len(next(iter(params.values())))
    with write_hdf5(file) as (root, disk):
        scale = "" if median == 1.0 else f", times {median:g}"
        root.attrs.update(attributes)
        root.attrs["flux"] = f"noiseless, divided by its median{scale}"
        root.attrs["error"] = "true 1 sigma noise, divided alike; not for training"
        root.attrs[LEVEL] = f"{median:g}"
        root[WAVE] = wave
        root[WAVE].attrs.update({"units": "Angstrom", "medium": "vacuum"})
        flux, error = (new_array(root, name, (n_spec, wave.size)) for name in ("flux", "error"))

        def write(rows: slice, model: np.ndarray, sigma: np.ndarray, bits: int) -> None:
            own = np.median(model, axis=1, keepdims=True) / np.float32(median)
            flux[rows] = rounded(model / own, min(22, bits))
            error[rows] = rounded(sigma / own, ERROR_BITS)
            disk.require()

        yield root, write
        with h5py.File(io.BytesIO(table), "r") as stored:
            stored.copy(PARAMS, root, PARAMS)


def _level(root: h5py.File) -> float:
    """What the medians of a file of ours are; 1 in those that do not say."""
    try:
        level = float(hdf5_attribute(root, LEVEL) or 1.0)
    except ValueError:
        level = np.nan
    if not 0.0 < level < np.inf:
        raise DataError(f"{root.filename}: attribute {LEVEL} is no number above 0")
    return level


def table_image(params: Mapping[str, np.ndarray]) -> bytes:
    """An HDF5 file with a table as pandas writes it, in memory; DataError without pandas."""
    pandas = _import_pandas()
    options = {"driver": "H5FD_CORE", "driver_core_backing_store": 0}
    with pandas.HDFStore("table.h5", mode="w", **options) as store:
        table = pandas.DataFrame(dict(params))
        store.put(PARAMS, table, format="table", data_columns=True, index=False, track_times=False)
        return store._handle.get_file_image()


def _import_pandas():
    try:
        import pandas
        import tables  # noqa: F401 what pandas writes HDF5 with
    except ImportError as problem:
        raise DataError(
            f"the published HDF5 layout needs {problem.name}: pip install 'starsmith[hdf5]'"
        ) from None
    return pandas


def new_array(root: h5py.File, name: str, shape: tuple[int, int]) -> h5py.Dataset:
    """Create the packed float32 array of ``flux`` or ``error``."""
    return root.create_dataset(
        f"{ARRAYS}/{name}/value",
        shape=shape,
        dtype="float32",
        chunks=(min(CHUNK_ROWS, shape[0]), shape[1]),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )


def _write_header(root: h5py.File, header: DatasetHeader) -> None:
    """What the layout has no place for, so that the dataset can be had back."""
    root[HEADER] = json_bytes(header.run()).decode()
    for name, values in header.noise.arrays().items():
        root[f"{NOISE}/{name}"] = values
    root[NOISE].attrs["arms"] = list(header.noise.arm_names)


def _params(split: Split) -> dict[str, np.ndarray]:
    draws = split.draws
    columns = {PUBLISHED_LABELS[name]: draws.label(name) for name in draws.label_names}
    there = [name for name in SOMETIMES if name in split.header.columns]
    columns |= {name: getattr(draws, name) for name in there}
    blocks = range(0, len(split), BLOCK_ROWS)
    median = [np.median(split.flux_model(slice(k, k + BLOCK_ROWS)), axis=1) for k in blocks]
    return {
        **columns,
        MEDIAN: np.concatenate(median).astype(np.float64),
        "mag": draws.mag,
        "redshift": draws.rv / LIGHT_SPEED_KM_S,
        "snr": split.snr,
        **({} if split.snr_p95 is None else {"snr_p95": split.snr_p95}),
        **{name: draws.condition(name) for name in CONDITIONS},
        "targetid": SPLITS[split.name] * 2**32 + draws.index,
    }


@contextmanager
def open_published(path: Path) -> Iterator[h5py.File]:
    """Open a file in the published layout; DataError if it is not one."""
    with open_hdf5(path) as root:
        wave, flux = hdf5_array(root, WAVE, 1), hdf5_array(root, FLUX, 2)
        parts = {WAVE: wave, FLUX: flux, PARAMS: hdf5_group(root, PARAMS)}
        if missing := [name for name, part in parts.items() if part is None]:
            raise DataError(f"{path}: {missing} are missing: not the published layout")
        if flux.shape[1] != wave.size or not wave.size or not len(flux):
            raise DataError(f"{path}: flux {flux.shape} does not fit {wave.size} wavelengths")
        yield root


def read_published(path: Path | str, rows: slice = slice(None)) -> Published:
    """Read a file in the published layout, ours or others'.

    Parameters
    ----------
    path : path
    rows : slice
        Which spectra.

    Returns
    -------
    published : Published

    Raises
    ------
    DataError
        If a part is missing or could only be read by unpickling.
    """
    path = Path(path)
    with open_published(path) as root:
        error = hdf5_array(root, ERROR, 2)
        if error is not None and error.shape != root[FLUX].shape:
            raise DataError(f"{path}: error {error.shape} does not fit flux {root[FLUX].shape}")
        contents = Published(
            wave=root[WAVE][...].astype(np.float64),
            flux=root[FLUX][rows].astype(np.float32),
            error=None if error is None else error[rows].astype(np.float32),
            params={name: v[rows] for name, v in _read_params(path, root[PARAMS]).items()},
            level=_level(root),
        )
    if lengths := {k: len(v) for k, v in contents.params.items() if len(v) != len(contents)}:
        raise DataError(f"{path}: {len(contents)} spectra, but params have {lengths}")
    return contents


def _read_params(path: Path, group: h5py.Group) -> dict[str, np.ndarray]:
    """Columns of a pandas table (named columns) or fixed-format frame."""
    columns: dict[str, np.ndarray] = {}
    if (table := hdf5_array(group, "table", 1, "fiubSV")) is not None:
        rows = table[...]
        columns = {name: rows[name] for name in rows.dtype.names or () if name != "index"}
    for name in sorted(group)[:MOST_BLOCKS]:
        if not (name.startswith("block") and name.endswith("_items")):
            continue
        items = hdf5_array(group, name, 1, "fiubS")
        values = hdf5_array(group, name.replace("_items", "_values"), 2)
        if items.dtype.kind == "S" and values is not None and values.shape[1] == len(items):
            block = values[...]
            columns |= {item.decode(): block[:, k] for k, item in enumerate(items[...])}
    if not columns or any(name.startswith("values_block") for name in columns):
        raise DataError(
            f"{path}: the columns of /{PARAMS} are named in a pickle, which is never opened; "
            "write the table again with to_hdf(..., format='table', data_columns=True)"
        )
    return columns


def describe_published(path: Path) -> dict:
    """Summarise a file in the published layout: sizes, columns and ranges."""
    with open_published(path) as root:
        wave = root[WAVE][...]
        params = _read_params(path, root[PARAMS])
        return {
            "counts": {"spectra": int(root[FLUX].shape[0])},
            "wave": {"n": wave.size, "range": [float(wave.min()), float(wave.max())]},
            "ranges": {
                name: [float(v.min()), float(v.max())]
                for name, v in params.items()
                if v.dtype.kind in "fiu"
            },
            "digest": hdf5_attribute(root, "digest"),
            "notice": hdf5_attribute(root, "notice"),
        }
