"""Data sets in another format or store: which conversion is meant, and what it needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.checks.summary import identify
from starsmith.data_contract.dataset.manifest import Manifest, read_manifest
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.shards import open_run
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.exchange.conversion import (
    convert_store,
    exported_header,
    needs_bank,
    restore_dataset,
)
from starsmith.data_contract.exchange.published import (
    published_file,
    write_published,
    write_splits,
)
from starsmith.data_contract.exchange.published_observed import write_observed
from starsmith.data_contract.files.disk_errors import told_of_disk
from starsmith.data_contract.quantities import SPLITS
from starsmith.simulator.generation.recorded import open_recorded, recorded_bank
from starsmith.simulator.generation.remake import BankRemaker

__all__ = ["Conversion", "convert_dataset", "export_published", "export_splits"]


def export_published(
    source: Path,
    target: Path,
    overwrite: bool = False,
    folders: bool = False,
    median: float = 1.0,
) -> list[Path]:
    """Write a data set as one HDF5 file per split; DataError where one is there already."""
    files = [published_file(target, split) for split in SPLITS]
    there = [file for file in files if file.exists()]
    if there and not overwrite:
        raise DataError(f"{there[0]} exists already; choose another folder or pass --overwrite")
    if open_run(source).store == "observed":
        return write_observed(open_dataset(source), target, folders, median)
    return write_published(open_recorded(source), target, folders, median)


def export_splits(source: Path, files: Mapping[str, Path], median: float = 1.0) -> list[Path]:
    """Write some splits of a data set to HDF5 files of any names, over those that are there."""
    return write_splits(open_recorded(source), files, median)


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What a data set becomes.

    Attributes
    ----------
    layout : str, optional
        ``hdf5`` or ``zarr``; by default the other one, or zarr with ``store``.
    store : str, optional
        ``noiseless``, ``frozen`` or ``keys``.
    precision : str
        With ``store``: ``relative`` or ``noise``.
    folders, median : bool, float
        Of HDF5 files, as in `write_published`.
    """

    layout: str | None = None
    store: str | None = None
    precision: str = "relative"
    folders: bool = False
    median: float = 1.0


def convert_dataset(
    source: Path,
    target: Path,
    wanted: Conversion,
    overwrite: bool = False,
    bank_of: Callable[[Path], Bank] = recorded_bank,
) -> dict:
    """Convert a data set to or from HDF5 files, one per split, or to another store.

    Parameters
    ----------
    source : Path
        Data set, or folder of exported files, or one of them.
    target : Path
    wanted : Conversion
    overwrite : bool
        Replace what is at ``target``.
    bank_of : callable
        Opens the bank of the source, where noiseless flux must be made again.

    Returns
    -------
    report : dict
        What was ``written``, and its ``digest``.

    Raises
    ------
    ConfigError
        If the options do not go together.
    DataError
        If the source is not what they need, or the target is there.
    """
    if source.is_file():
        in_folder = source.name == "dataset.h5" and source.parent.name in SPLITS
        source = source.parents[1 if in_folder else 0]  # one of the files stands for all
    exported = any(published_file(source, split).exists() for split in SPLITS)
    if not exported and identify(source) != "dataset":
        raise ConfigError(f"{source}: a {identify(source)}, expected a data set or exported files")
    _require_apart(source, target)
    store = wanted.store
    layout = wanted.layout or ("zarr" if exported or store else "hdf5")
    if layout != "hdf5" and (wanted.folders or wanted.median != 1.0):
        raise ConfigError("--folders and --median are of --format hdf5")
    if layout == "hdf5":
        if exported or store:
            raise ConfigError("--format hdf5 takes a zarr data set, and no --store")
        with told_of_disk(target, "nothing half-written is left"):
            files = export_published(source, target, overwrite, wanted.folders, wanted.median)
        return {"written": [str(file) for file in files], "digest": read_manifest(source).digest}
    if exported and store:
        raise ConfigError("convert to zarr first, then to another --store")
    if not exported and not store:
        raise ConfigError(f"{source} is zarr already; choose --format hdf5 or a --store")
    if wanted.precision != "relative" and not store:
        raise ConfigError("--precision is of a data set that is written with --store")
    write = _restoring(source) if exported else _storing(source, store, wanted.precision, bank_of)
    with told_of_disk(target):
        manifest = write(target, overwrite=overwrite)
    return {"written": [str(target)], "digest": manifest.digest}


def _require_apart(source: Path, target: Path) -> None:
    """Refuse to write over a data set, or into it, while it is read."""
    first, second = source.resolve(), target.resolve()
    if first == second or (first in second.parents and (source / "zarr.json").exists()):
        raise ConfigError(f"{target} is {source}, or lies in it: choose another target")


def _restoring(source: Path) -> Callable[..., Manifest]:
    """What writes the data set again that was exported to ``source``; DataError if nothing can."""
    exported_header(source)
    return partial(restore_dataset, source)


def _storing(
    source: Path, store: str, precision: str, bank_of: Callable[[Path], Bank]
) -> Callable[..., Manifest]:
    """What writes a data set in another store; DataError if the noiseless flux cannot be had."""
    dataset = open_recorded(source)
    remaker = None
    if needs_bank(dataset.header, store, precision):
        remaker = BankRemaker.of(bank_of(source), dataset.header.run())
    return partial(convert_store, dataset, store=store, remaker=remaker, precision=precision)
