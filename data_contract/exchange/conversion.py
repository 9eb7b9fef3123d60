"""Datasets made from datasets: back from the published layout, or in another store."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.manifest import Manifest
from starsmith.data_contract.dataset.reader import Dataset
from starsmith.data_contract.dataset.remaker import Remaker
from starsmith.data_contract.dataset.replacing import remove_dataset, replacing
from starsmith.data_contract.dataset.schema import STORES, DatasetHeader, stored_bits
from starsmith.data_contract.dataset.shards import (
    Shard,
    create_dataset,
    finish_dataset,
    finished_shards,
    plan_shards,
    write_shard,
)
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.dataset.split_columns import rounded
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.published import (
    HEADER,
    MEDIAN,
    NOISE,
    PUBLISHED_LABELS,
    WAVE,
    Published,
    open_published,
    published_file,
    read_published,
)
from starsmith.data_contract.files.hdf5_check import hdf5_array, hdf5_group, hdf5_text
from starsmith.data_contract.files.interrupts import uninterrupted
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.noise.noise_tables import PER_ARM, SHAPES, NoiseTables
from starsmith.data_contract.quantities import SPLITS

__all__ = [
    "convert_store",
    "exported_header",
    "needs_bank",
    "restore_dataset",
    "write_dataset",
]

Columns = Callable[[Shard], Mapping[str, np.ndarray]]


def convert_store(
    dataset: Dataset,
    out: Path | str,
    store: str,
    remaker: Remaker | None = None,
    overwrite: bool = False,
    precision: str = "relative",
) -> Manifest:
    """Write a dataset again in another store: to the last byte what ``generate`` would write.

    Parameters
    ----------
    dataset : Dataset
    out : path
        An interrupted conversion is resumed.
    store : str
        ``noiseless``, ``frozen`` or ``keys``.
    remaker : Remaker, optional
        The bank; needed where the dataset's flux is rounded too coarsely, see `needs_bank`.
    overwrite : bool
        Replace the dataset at ``out``, once the new one is whole.
    precision : str
        ``relative`` or ``noise``.

    Returns
    -------
    manifest : Manifest

    Raises
    ------
    DataError
        If the store is unknown, or the noiseless flux cannot be had.
    """
    if store not in STORES:
        raise DataError(f"store {store!r} is not one of {list(STORES)}")
    if dataset.header.store == "observed":
        raise DataError(f"{dataset.path}: observed spectra have one store; convert them to hdf5")
    again = needs_bank(dataset.header, store, precision)
    if again and remaker is None:
        raise DataError(f"{dataset.path}: {again}; it takes the bank to make it")
    config = dict(dataset.header.config)
    if "store" in config:  # a command's, which names what is no default
        config.pop("precision", None)
        config |= {"store": store} | ({"precision": "noise"} if precision == "noise" else {})
    header = replace(dataset.header, store=store, config=config, **stored_bits(store, precision))

    def columns(shard: Shard) -> Mapping[str, np.ndarray]:
        split = dataset.split(shard.split)
        rows = slice(shard.start, shard.stop)
        if again:
            return remaker.columns(header, shard)
        found = _scalars(split, rows)
        if store == "noiseless":
            found["flux_model"] = split.flux_model(rows)
        if store == "frozen":
            view = split.observe(rows)
            found |= {"flux": view.flux, "error": view.error}
        return found

    return write_dataset(Path(out), header, columns, overwrite=overwrite)


def needs_bank(header: DatasetHeader, store: str, precision: str) -> str:
    """Why a dataset's spectra do not give another store's; empty where they do."""
    if header.store == "frozen" and store != "keys":
        same = (store, precision) == ("frozen", header.precision)
        return "" if same else "a frozen store holds no noiseless flux"
    if header.precision == "noise" and (store, precision) != (header.store, "noise"):
        return "" if store == "keys" else "its flux is in steps of the noise"
    return ""


def _scalars(split: Split, rows: slice) -> dict[str, np.ndarray]:
    draws = split.draws.take(rows)
    columns = draws.columns | {"index": draws.index, "snr": split.snr[rows]}
    if split.snr_p95 is not None:
        columns["snr_p95"] = split.snr_p95[rows]
    return {name: values for name, values in columns.items() if name in split.header.columns}


def write_dataset(
    out: Path,
    header: DatasetHeader,
    columns: Columns,
    progress: Callable[[Shard], None] = lambda shard: None,
    overwrite: bool = False,
) -> Manifest:
    """Write a dataset shard by shard, or the shards that an interrupted run left to write.

    Parameters
    ----------
    out : path
    header : DatasetHeader
    columns : callable
        Columns of a shard, as `write_shard` takes them.
    progress : callable
        Called after every shard.
    overwrite : bool
        Replace the dataset at ``out``, once the new one is whole.

    Raises
    ------
    DataError
        If another run or another process writes there, or columns cannot be had; a dataset
        that was begun here is removed then.
    """
    with replacing(out, header, overwrite) as place:
        is_new = not place.exists()
        create_dataset(place, header)
        try:
            return _write_shards(place, header, columns, progress)
        except DataError:
            if is_new:  # its source is damaged: there is nothing to go on with
                remove_dataset(place)
            raise


def _write_shards(
    out: Path, header: DatasetHeader, columns: Columns, progress: Callable[[Shard], None]
) -> Manifest:
    with writer_lock(out):
        done = finished_shards(out)
        for shard in plan_shards(header.counts, header.shard_rows):
            if shard not in done:
                with uninterrupted():
                    write_shard(out, header, shard, columns(shard))
            progress(shard)
        return finish_dataset(out)


def restore_dataset(folder: Path | str, out: Path | str, overwrite: bool = False) -> Manifest:
    """Turn files in the published layout, exported by starsmith, back into the dataset.

    Nothing is lost on the way: flux times its median rounds to what it was, labels, conditions
    and keys are stored exactly, and header and noise tables go along. With the versions that
    wrote the dataset the digest is the same.

    Parameters
    ----------
    folder : path
        With ``train.h5``, ``val.h5``, ``test.h5``, or ``train/dataset.h5`` and so on.
    out : path
    overwrite : bool
        Replace the dataset at ``out``, once the new one is whole.

    Returns
    -------
    manifest : Manifest

    Raises
    ------
    DataError
        If a split is missing, or the files are others': without noise tables and keys they are
        no dataset.
    """
    folder = Path(folder)
    header = exported_header(folder)

    def columns(shard: Shard) -> Mapping[str, np.ndarray]:
        file = published_file(folder, shard.split)
        return _columns(file, header, read_published(file, slice(shard.start, shard.stop)))

    return write_dataset(Path(out), header, columns, overwrite=overwrite)


def exported_header(folder: Path) -> DatasetHeader:
    """Header of the dataset whose export is in ``folder``.

    Raises
    ------
    DataError
        If a split is missing, or the files are others', or of several datasets.
    """
    present = [split for split in SPLITS if published_file(folder, split).exists()]
    if not present:
        raise DataError(f"{folder}: no train.h5, val.h5 or test.h5 found there")
    header = _exported_header(published_file(folder, present[0]))
    for split in header.counts:
        file = published_file(folder, split)
        if split not in present:
            raise DataError(f"{file} is missing: the dataset had splits {list(header.counts)}")
        if _exported_header(file).run() != header.run():
            raise DataError(f"{file} was exported from another dataset than {present[0]}.h5")
    return header


def _exported_header(file: Path) -> DatasetHeader:
    with open_published(file) as root:
        if HEADER not in root or (tables := hdf5_group(root, NOISE)) is None:
            raise DataError(
                f"{file}: only files exported by this starsmith hold the keys and noise tables of "
                "a dataset; read others with read_published"
            )
        run = json.loads(hdf5_text(root, HEADER))
        known = {*SHAPES, *PER_ARM} & set(tables)
        arrays = {name: np.float64(hdf5_array(tables, name, kinds="f")[()]) for name in known}
        names = tuple(str(name) for name in tables.attrs["arms"])
        wave = root[WAVE][...]
        return DatasetHeader.from_run(run, wave, NoiseTables.from_arrays(arrays, names))


def _columns(file: Path, header: DatasetHeader, contents: Published) -> dict[str, np.ndarray]:
    names = {name: PUBLISHED_LABELS.get(name, name) for name in header.columns}
    wanted = {k: v for k, v in names.items() if k != "index" and k not in STORES[header.store]}
    needed = [*wanted.values(), MEDIAN, "targetid"]
    if missing := sorted(set(needed) - set(contents.params)):
        raise DataError(f"{file}: columns {missing} of its table are missing; export it again")
    columns = {name: contents.params[column] for name, column in wanted.items()}
    columns["index"] = contents.params["targetid"] % 2**32
    if header.store == "noiseless":
        flux = contents.flux * (contents.params[MEDIAN][:, None] / contents.level)
        columns["flux_model"] = rounded(flux.astype(np.float32), header.keep_bits)
    return columns
