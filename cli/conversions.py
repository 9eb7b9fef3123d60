"""`specdata convert`: which conversion is meant, and what it needs."""

import shutil
from pathlib import Path

from starsmith.cli.datasets import bank_of, export_published, open_any
from starsmith.cli.files import refuse_existing
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.names import SPLITS
from starsmith.data_contract.summary import identify

__all__ = ["convert"]


def convert(
    source: Path, target: Path, layout: str | None, store: str | None, overwrite: bool
) -> dict:
    """Convert a data set; return what was written and its digest.

    Raises
    ------
    ConfigError
        If the options do not go together.
    DataError
        If the source is not what they need, or the target is there.
    """
    if source.is_file():
        source = source.parent  # one of the exported files stands for all
    exported = any((source / f"{split}.h5").exists() for split in SPLITS)
    if not exported and identify(source) != "dataset":
        raise ConfigError(f"{source}: a {identify(source)}, expected a data set or exported files")
    layout = layout or ("zarr" if exported or store else "hdf5")
    if layout == "hdf5":
        if exported or store:
            raise ConfigError("--format hdf5 takes a zarr data set, and no --store")
        files = export_published(source, target, overwrite)
        return {"written": [str(file) for file in files], "digest": open_any(source).digest}
    if exported and store:
        raise ConfigError("convert to zarr first, then to another --store")
    if not exported and not store:
        raise ConfigError(f"{source} is zarr already; choose --format hdf5 or a --store")
    if overwrite and target.exists():
        refuse_existing(target, overwrite=True)
        shutil.rmtree(target)
    manifest = _restored(source, target) if exported else _stored(source, target, store)
    return {"written": [str(target)], "digest": manifest.digest}


def _restored(source: Path, target: Path):
    from starsmith.data_contract.conversion import restore_dataset

    return restore_dataset(source, target)


def _stored(source: Path, target: Path, store: str):
    from starsmith.data_contract.conversion import convert_store
    from starsmith.simulator.remake import BankRemaker

    dataset = open_any(source)
    remaker = None
    if dataset.header.store == "frozen" and store == "noiseless":
        remaker = BankRemaker.of(bank_of(source), dataset.header.run())
    return convert_store(dataset, target, store, remaker)
