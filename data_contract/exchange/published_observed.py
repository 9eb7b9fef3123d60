"""Observed data sets in the HDF5 layout of the published networks.

Flux and error are those observed, over the median of the usable pixels; NaN where a pixel cannot be
used. There is no error where the survey has none.
"""

import io
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.dataset.reader import Dataset
from starsmith.data_contract.dataset.split import SpectrumView, Split
from starsmith.data_contract.exchange.published import (
    MEDIAN,
    PARAMS,
    PUBLISHED_LABELS,
    WAVE,
    new_array,
    table_image,
)
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.files.hdf5_write import write_hdf5
from starsmith.data_contract.files.lock import writer_lock

__all__ = ["ABOUT_FLUX", "write_observed"]

ABOUT_FLUX = "observed, divided by its median"  # as the file says
BLOCK_ROWS = 512


def write_observed(
    dataset: Dataset, folder: Path | str, folders: bool = False, median: float = 1.0
) -> list[Path]:
    """Export an observed dataset as one HDF5 file per split: ``folder/train.h5``, ...

    Parameters
    ----------
    dataset : Dataset
    folder : path
        The files appear, or replace others, together: once all are whole.
    folders : bool
        ``folder/train/dataset.h5`` instead.
    median : float
        What the median of every spectrum becomes.

    Raises
    ------
    DataError
        If another process is writing there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    place = "{0}/dataset.h5" if folders else "{0}.h5"
    files = {name: folder / place.format(name) for name in dataset.splits}
    with writer_lock(folder / "h5"), ExitStack() as staged:
        for name, split in dataset.splits.items():
            files[name].parent.mkdir(parents=True, exist_ok=True)
            partial = staged.enter_context(staged_file(files[name], sweep=True))
            with write_hdf5(partial) as (root, disk):
                root.attrs.update({"digest": dataset.digest, "flux": ABOUT_FLUX})
                root[WAVE] = split.wave
                root[WAVE].attrs.update({"units": "Angstrom", "medium": "vacuum"})
                medians = [_write_block(root, split, rows, median) for rows in _blocks(len(split))]
                disk.require()
                table = table_image(_params(split, medians))
                with h5py.File(io.BytesIO(table), "r") as stored:
                    stored.copy(PARAMS, root, PARAMS)
    return list(files.values())


def _blocks(n_spec: int) -> list[slice]:
    return [slice(k, min(k + BLOCK_ROWS, n_spec)) for k in range(0, n_spec, BLOCK_ROWS)]


def _write_block(root: h5py.File, split: Split, rows: slice, level: float) -> np.ndarray:
    """Write some rows; returns what they were divided by."""
    view: SpectrumView = split.observe(rows)
    median = np.nanmedian(np.where(view.usable, view.flux, np.nan), axis=1)
    median = np.where(median == 0.0, 1.0, median) / level
    shape = (len(split), split.wave.size)
    for name, values, scale in (("flux", view.flux, median), ("error", view.error, abs(median))):
        if values is None:
            continue
        path = f"dataset/arrays/{name}/value"
        array = root[path] if path in root else new_array(root, name, shape)
        array[rows] = np.where(view.usable, values / scale[:, None], np.nan)
    return median


def _params(split: Split, medians: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Names, labels, velocities and S/N."""
    names = split.header.label_names
    return {
        **{PUBLISHED_LABELS[name]: split.label(name) for name in names},
        **{f"{PUBLISHED_LABELS[name]}_err": split.column(f"{name}_error") for name in names},
        MEDIAN: np.concatenate(medians),
        "redshift": split.column("rv") / LIGHT_SPEED_KM_S,
        "snr": split.snr,
        "source_id": split.column("source_id"),
        "targetid": split.column("targetid"),
    }
