"""Data sets as the commands open them: a keys store finds its bank by itself."""

from pathlib import Path

from starsmith.cli.options import BANK_OPTIONS, BankSource
from starsmith.data_contract.dataset import Dataset, open_dataset
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.names import SPLITS
from starsmith.data_contract.published import write_published
from starsmith.data_contract.shards import open_run

__all__ = ["bank_of", "export_published", "open_any"]


def bank_of(path: Path):
    """Return the bank a data set was made with, found through its resolved configuration.

    Raises
    ------
    DataError
        If the configuration names none, or that bank has changed since.
    """
    header = open_run(path)
    named = {k: header.config[k] for k in BANK_OPTIONS if k in header.config}
    if not named:
        raise DataError(
            f"{path}: its configuration names no bank; give the one it was made with as --bank"
        )
    if "bank" in named:
        named["bank"] = Path(named["bank"])
    bank = BankSource(**named).moving(header.moving).open()
    if bank.digest != header.bank_digest:
        raise DataError(
            f"{path}: made with bank {header.bank_digest[:12]}, but {named} is now "
            f"{bank.digest[:12]}; restore that bank, or generate the data set again"
        )
    return bank


def open_any(path: Path) -> Dataset:
    """Open a data set of any store; one of keys computes its spectra from its bank."""
    if open_run(path).store != "keys":
        return open_dataset(path)
    from starsmith.simulator.observe import model_flux

    bank = bank_of(path)
    return open_dataset(path, regenerate=lambda draws: model_flux(bank, draws))


def export_published(source: Path, target: Path, overwrite: bool) -> list[Path]:
    """Write a data set as one HDF5 file per split; DataError where one is there already."""
    there = [target / f"{split}.h5" for split in SPLITS if (target / f"{split}.h5").exists()]
    if there and not overwrite:
        raise DataError(f"{there[0]} exists already; choose another folder or pass --overwrite")
    return write_published(open_any(source), target)
