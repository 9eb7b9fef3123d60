"""Data sets in the place of others: the old one stays whole until the new one is."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starsmith.data_contract.dataset.manifest import MANIFEST_FILE
from starsmith.data_contract.dataset.schema import DATASET_SCHEMA, DatasetHeader
from starsmith.data_contract.dataset.shards import open_run
from starsmith.data_contract.differing_keys import differing_keys
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import replace_folder, sync
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.files.zarr_groups import schema_of

__all__ = ["remove_dataset", "replacing", "require_replaceable"]


def require_replaceable(path: Path) -> None:
    """Refuse what ``--overwrite`` must not replace: anything but a data set; DataError."""
    empty = path.is_dir() and not any(path.iterdir())
    if not empty and schema_of(path) != DATASET_SCHEMA:
        raise DataError(
            f"{path} is not a data set: --overwrite does not replace it; remove it yourself, or "
            "choose another place"
        )


@contextmanager
def replacing(path: Path, header: DatasetHeader, overwrite: bool = True) -> Iterator[Path]:
    """Yield where to write a data set that is to take the place of another.

    That is ``<path>.replacement``, beside the old one: for a while both take room on the disk.
    Once the new one is whole the two are exchanged, and the old one is removed. What a killed
    writer left there is gone on with by the next writer of the same run.

    Parameters
    ----------
    path : Path
        Where nothing is, or an unfinished data set of this very run, it is written at once.
    header : DatasetHeader
        Of the new data set.
    overwrite : bool
        Without it ``path`` itself is yielded.

    Raises
    ------
    DataError
        If something else than a data set is there, or another process is writing it.
    """
    path = path.resolve() if path.is_symlink() else path
    beside = path.with_name(f"{path.name}.replacement")
    if not overwrite or not (path.exists() or beside.exists()) or _is_unfinished(path, header):
        yield path
        return
    with writer_lock(path):
        for place in (path, beside):
            if place.exists():
                require_replaceable(place)
        if beside.exists() and not _is_of_run(beside, header):
            shutil.rmtree(beside)
        yield beside
        sync(beside)
        if path.exists():
            replace_folder(beside, path)
            shutil.rmtree(beside)
        else:
            os.replace(beside, path)


def _is_of_run(path: Path, header: DatasetHeader) -> bool:
    try:
        return not differing_keys(open_run(path).run(), header.run())
    except DataError:
        return False


def _is_unfinished(path: Path, header: DatasetHeader) -> bool:
    """Whether there is nothing to lose: shards of the same run, not yet all of them."""
    return not (path / MANIFEST_FILE).exists() and _is_of_run(path, header)


def remove_dataset(path: Path) -> None:
    """Remove the data set at ``path``, under the writers' lock.

    Raises
    ------
    DataError
        If something else is there, or another process is writing it.
    """
    require_replaceable(path)
    with writer_lock(path):
        shutil.rmtree(path)
