"""`specdata convert`: which conversion is meant, and what it needs."""

from collections.abc import Callable
from pathlib import Path

from starsmith.cli.shared.datasets import export_published, remove_dataset, told_bank
from starsmith.data_contract.checks.summary import identify
from starsmith.data_contract.dataset.manifest import Manifest, read_manifest
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.disk_errors import told_of_disk
from starsmith.data_contract.quantities import SPLITS
from starsmith.simulator.generation.recorded import open_recorded

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
    _require_apart(source, target)
    layout = layout or ("zarr" if exported or store else "hdf5")
    if layout == "hdf5":
        if exported or store:
            raise ConfigError("--format hdf5 takes a zarr data set, and no --store")
        with told_of_disk(target, "nothing half-written is left"):
            files = export_published(source, target, overwrite)
        return {"written": [str(file) for file in files], "digest": read_manifest(source).digest}
    if exported and store:
        raise ConfigError("convert to zarr first, then to another --store")
    if not exported and not store:
        raise ConfigError(f"{source} is zarr already; choose --format hdf5 or a --store")
    write = _restoring(source) if exported else _storing(source, store)
    if overwrite and target.exists():
        remove_dataset(target)
    with told_of_disk(target):
        manifest = write(target)
    return {"written": [str(target)], "digest": manifest.digest}


def _require_apart(source: Path, target: Path) -> None:
    """Refuse to write over a data set, or into it, while it is read."""
    first, second = source.resolve(), target.resolve()
    if first == second or (first in second.parents and (source / "zarr.json").exists()):
        raise ConfigError(f"{target} is {source}, or lies in it: choose another target")


def _restoring(source: Path) -> Callable[[Path], Manifest]:
    """What writes the data set again that was exported to ``source``; DataError if nothing can."""
    from starsmith.data_contract.exchange.conversion import exported_header, restore_dataset

    exported_header(source)
    return lambda target: restore_dataset(source, target)


def _storing(source: Path, store: str) -> Callable[[Path], Manifest]:
    """What writes a data set in another store; DataError if the noiseless flux cannot be had."""
    from starsmith.data_contract.exchange.conversion import convert_store
    from starsmith.simulator.generation.remake import BankRemaker

    dataset = open_recorded(source)
    remaker = None
    if dataset.header.store == "frozen" and store == "noiseless":
        remaker = BankRemaker.of(told_bank(source), dataset.header.run())
    return lambda target: convert_store(dataset, target, store, remaker)
