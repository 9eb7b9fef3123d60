"""Spectra of any file: a survey's, recognised by its content, or a table of the user's."""

from collections.abc import Iterator
from pathlib import Path

from starsmith.data_contract.exchange.pfs_files import is_pfs_object
from starsmith.data_contract.surveys.outside_file import open_outside
from starsmith.data_contract.surveys.readers.table_spectrum import spectrum_of_table
from starsmith.data_contract.surveys.registry import open_spectra, recognise
from starsmith.data_contract.surveys.spectrum import SurveySpectrum
from starsmith.data_contract.tables.user_table import read_table

__all__ = ["read_any"]


def read_any(path: Path | str, air: bool = False) -> Iterator[SurveySpectrum]:
    """Read the spectra of a file, one after the other.

    Parameters
    ----------
    path : path
        Of a survey, or a table with a row per pixel.
    air : bool
        Wavelengths of a table are those of air; also where it says so.

    Raises
    ------
    DataError
        If nothing can be read, or a column or spectrum cannot be used.
    """
    path = Path(path)
    if not (air and is_pfs_object(path)):
        with open_outside(path) as file:
            if not air and recognise(file):
                yield from open_spectra(file)
                return
    yield spectrum_of_table(read_table(path, ("wave", "flux")), air)
