"""Whether an archive file arrived whole, judged from its bytes alone."""

import threading
from pathlib import Path

from starsmith.data_contract.errors import InputError
from starsmith.data_contract.files.outside import read_file, unpack
from starsmith.data_contract.tables.fits import read_fits_table
from starsmith.simulator.grids.bosz.bosz_spectrum import most_text
from starsmith.simulator.grids.bosz.cropped import CROPPED, read_cropped
from starsmith.simulator.grids.bosz.read2017 import COLUMNS, check_header
from starsmith.simulator.grids.bosz.releases import parse_archive_name

__all__ = ["find_damage"]

# Reading FITS turns warnings into errors, and warning filters belong to the whole process.
_one_fits_at_a_time = threading.Lock()


def find_damage(file: Path, name: str) -> str | None:
    """Say what is wrong with a file, or None.

    Parameters
    ----------
    file : Path
        Where the bytes are.
    name : str
        Name in the archive: its suffix tells the format, and a FITS header must agree with it.

    Returns
    -------
    damage : str or None
        Compressed text is read to its last checksum; of a FITS file the structure, the
        length, the columns and the header are compared.
    """
    try:
        parsed = parse_archive_name(name.removesuffix(CROPPED))
        if name.endswith(CROPPED):
            read_cropped(file, parsed)
            return None
        most = most_text(parsed.resolution)
        content = read_file(file, most)
        if name.endswith(".fits"):
            with _one_fits_at_a_time:
                header, _ = read_fits_table(content, COLUMNS)
            check_header(header, parsed)
            return None
        text = unpack(content, "bz2" if name.endswith(".bz2") else "gz", most)
    except (InputError, ValueError) as problem:
        return str(problem)
    except OSError as problem:
        if problem.errno is not None:  # the disk's fault, not the file's
            raise
        return str(problem)
    return None if text else "holds nothing"
