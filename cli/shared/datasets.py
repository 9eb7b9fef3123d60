"""Data sets as the commands make them again, replace and export them."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from starsmith.cli.shared.options import BankSource
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.checks.leakage import Shared
from starsmith.data_contract.dataset.schema import DATASET_SCHEMA
from starsmith.data_contract.dataset.shards import open_run
from starsmith.data_contract.errors import DataError, LeakError
from starsmith.data_contract.exchange.published import write_published
from starsmith.data_contract.files.atomic import partial_name
from starsmith.data_contract.files.disk_errors import told_of_disk
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.files.zarr_groups import schema_of
from starsmith.data_contract.quantities import SOMETIMES, SPLITS
from starsmith.simulator.generation.recorded import bank_of_run, open_recorded, recorded_bank

__all__ = [
    "compare_with_keys",
    "export_published",
    "remove_dataset",
    "repair",
    "require_apart",
    "told_bank",
]


def told_bank(path: Path):
    """Bank of a data set, as `recorded_bank`; building the demo grid shows its progress."""
    with progress_bar("grid", "models") as report:
        return recorded_bank(path, report)


def remove_dataset(path: Path) -> None:
    """Remove the data set at ``path``, as ``--overwrite`` asks: all of it or nothing.

    It is renamed first, so that a folder that may not be changed keeps every file, and under
    the writers' lock, so that nobody is writing it.

    Raises
    ------
    DataError
        If something else is there, or another process is writing it.
    """
    if (path.is_dir() and not any(path.iterdir())) or schema_of(path) == DATASET_SCHEMA:
        aside = partial_name(path)
        with writer_lock(path):
            os.rename(path, aside)
            shutil.rmtree(aside)
    else:
        raise DataError(
            f"{path} is not a data set: --overwrite does not replace it; remove it yourself, or "
            "choose another place"
        )


def export_published(source: Path, target: Path, overwrite: bool) -> list[Path]:
    """Write a data set as one HDF5 file per split; DataError where one is there already."""
    there = [target / f"{split}.h5" for split in SPLITS if (target / f"{split}.h5").exists()]
    if there and not overwrite:
        raise DataError(f"{there[0]} exists already; choose another folder or pass --overwrite")
    return write_published(open_recorded(source), target)


def _remaker(path: Path, source: BankSource | None, run: dict):
    """What makes a data set with header ``run`` again: its recorded bank, or another."""
    from starsmith.simulator.generation.remake import BankRemaker

    if source is None:
        return BankRemaker.of(bank_of_run(path, run), run)
    moving, reddened = (any(run["prior"].get(name, ())) for name in SOMETIMES)
    return BankRemaker.of(source.moving(moving).reddened(reddened).open(), run)


def compare_with_keys(
    path: Path, source: BankSource | None, progress: Callable[[int, int], None]
) -> list[str]:
    """What of a data set is not what its keys make, by shard and column."""
    from starsmith.data_contract.checks.remade import compare_with_keys as compare

    remaker = _remaker(path, source, open_run(path).run())
    return [str(finding) for finding in compare(path, remaker, progress)]


def repair(
    path: Path,
    source: BankSource | None,
    progress: Callable[[int, int], None],
    thorough: bool = False,
) -> dict:
    """Repair a data set with its recorded bank, or with another that makes the same spectra."""
    from starsmith.data_contract.checks.repair import repair_dataset

    def remaker_of(run: dict):
        return _remaker(path, source, run)

    with told_of_disk(path, "what is intact is kept"):
        done = repair_dataset(path, remaker_of, progress, thorough)
    return {
        "path": str(path),
        "findings": done.findings,
        "shards": [{"shard": name, "same_bits": same} for name, same in done.shards.items()],
        "files": done.headers,
        "removed": done.removed,
        "digest_before": done.digest_before,
        "digest": done.digest,
    }


def require_apart(shared: Sequence[Shared]) -> None:
    """Raise LeakError where a test split has spectra of another split."""
    leaks = [entry for entry in shared if entry.leak]
    if leaks:
        more = f", and {len(leaks) - 1} more" if len(leaks) > 1 else ""
        raise LeakError(f"{leaks[0]}{more}; leave them out of training, or draw another seed")
