"""What writing a data set would meet and take, without writing it."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.replacing import require_replaceable
from starsmith.data_contract.dataset.shards import accept_run
from starsmith.data_contract.errors import DataError
from starsmith.simulator.generation.conversion import export_published
from starsmith.simulator.generation.generate import Settings, check_request, write_dataset
from starsmith.simulator.prior import Prior

__all__ = ["bytes_needed", "check_place"]

SAMPLES = (96, 192)  # rows of a split


def check_place(
    bank: Bank,
    prior: Prior,
    counts: Mapping[str, int],
    out: Path,
    seed: int,
    settings: Settings,
    replacing: bool = False,
) -> None:
    """Refuse what `write_dataset` would refuse at ``out``; parameters as there.

    Raises
    ------
    ConfigError, DataError, GridError
    """
    header = check_request(bank, prior, counts, seed, settings)
    if out.exists():
        require_replaceable(out) if replacing else accept_run(out, header)
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise DataError(f"{out}: {above} is no folder that can be written; choose another --out")


def bytes_needed(
    bank: Bank,
    prior: Prior,
    counts: Mapping[str, int],
    seed: int,
    settings: Settings,
    published: bool = False,
) -> int:
    """Bytes of a data set on disk, from two small ones of the same kind.

    Parameters
    ----------
    bank, prior, counts, seed, settings
        As in `write_dataset`.
    published : bool
        With the published layout beside it.

    Returns
    -------
    n_bytes : int
        The files' lengths; measured itself where ``counts`` are small.
    """
    sizes = []
    few, many = ({split: min(n, most) for split, n in counts.items()} for most in SAMPLES)
    for sample in (few, many):
        with tempfile.TemporaryDirectory(prefix="starsmith-") as folder:
            where = Path(folder) / "dataset.zarr"
            write_dataset(bank, prior, sample, where, seed, settings)
            if published:
                export_published(where, Path(folder))
            files = (file for file in Path(folder).rglob("*") if file.is_file())
            sizes.append(sum(file.stat().st_size for file in files))
    more = sum(counts.values()) - sum(many.values())
    rows = sum(many.values()) - sum(few.values())
    return sizes[1] + round((sizes[1] - sizes[0]) * more / rows if more else 0)
