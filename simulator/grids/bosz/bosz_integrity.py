"""Whether an archive file arrived whole, judged from its bytes alone."""

import bz2
import gzip
import threading
import zlib
from pathlib import Path

from starsmith.data_contract.errors import InputError
from starsmith.data_contract.tables.fits import read_fits_table
from starsmith.simulator.grids.bosz.names2017 import parse_bosz2017
from starsmith.simulator.grids.bosz.read2017 import COLUMNS, check_header

__all__ = ["find_damage"]

CHUNK_BYTES = 1 << 20

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
        if name.endswith(".fits"):
            with _one_fits_at_a_time:
                header, _ = read_fits_table(file.read_bytes(), COLUMNS)
            check_header(header, parse_bosz2017(name))
            return None
        with bz2.open(file) if name.endswith(".bz2") else gzip.open(file) as text:
            n_bytes = 0
            while chunk := text.read(CHUNK_BYTES):
                n_bytes += len(chunk)
    except (InputError, EOFError, zlib.error, gzip.BadGzipFile) as problem:
        return str(problem)
    except OSError as problem:
        if problem.errno is not None:  # the disk's fault, not the file's
            raise
        return str(problem)
    return None if n_bytes else "holds nothing"
