"""Read spectra of the BOSZ 2017 archive (Bohlin+ 2017, AJ 153, 234) in both its formats."""

import io
import math

import numpy as np

from starsmith.data_contract.errors import DataError, GridError
from starsmith.data_contract.files.outside import unpack
from starsmith.data_contract.tables.fits import read_fits_table
from starsmith.simulator.grids.bosz.bosz_spectrum import geometric_wave, most_text
from starsmith.simulator.grids.importing.model_spectrum import ModelSpectrum
from starsmith.simulator.grids.importing.node_labels import ArchiveName

__all__ = ["read_bosz2017"]

COLUMNS = ("Wavelength", "SpecificIntensity", "Continuum")
SURFACE_FLUX = math.pi
"""The archive stores F / pi, the mean intensity of the disc [erg/s/cm²/Å/sr]."""

# Header keyword -> field of the name. INSBROAD holds R although its comment says km/s.
HEADER_LABELS = {"T_EFF": "teff", "LOGG": "logg", "MH": "m_h", "CM": "c_m", "ALPHA": "a_m"}
HEADER_TOLERANCE = 1e-3


def read_bosz2017(content: bytes, file_name: str, name: ArchiveName) -> ModelSpectrum:
    """Spectrum of one file.

    Parameters
    ----------
    content : bytes
        The file as downloaded.
    file_name : str
        Its suffix tells the format.
    name : ArchiveName
        What the file name says; a FITS header must agree.

    Returns
    -------
    spectrum : ModelSpectrum
        Whole range, vacuum, F = pi x the archive's value.

    Raises
    ------
    GridError, DataError
        If the file is damaged or contradicts its name.
    """
    if file_name.endswith(".fits"):
        header, columns = read_fits_table(content, COLUMNS)
        check_header(header, name)
    else:
        packed = file_name.endswith(".bz2")
        columns = _read_ascii(content, most_text(name.resolution), packed)
    wave, flux, continuum = (np.asarray(column, dtype=np.float64) for column in columns)
    return ModelSpectrum(
        wave=geometric_wave(wave, name.resolution),
        flux=(SURFACE_FLUX * flux).astype(np.float32),
        continuum=(SURFACE_FLUX * continuum).astype(np.float32),
    )


def _read_ascii(content: bytes, most: int, compressed: bool) -> np.ndarray:
    try:
        text = unpack(content, "bz2", most) if compressed else content
    except ValueError as problem:
        raise DataError(f"archive is damaged ({problem}); fetch it again") from None
    if not text:
        raise DataError("file is empty; fetch it again")
    try:
        table = np.loadtxt(io.BytesIO(text), ndmin=2, comments=None)
    except ValueError as problem:
        raise DataError(f"text is damaged ({problem}); fetch it again") from None
    if table.shape[1] != len(COLUMNS):
        raise DataError(f"has {table.shape[1]} columns, expected {len(COLUMNS)}: {COLUMNS}")
    return table.T


def check_header(header: dict[str, object], name: ArchiveName) -> None:
    """Compare a FITS header with the file's name.

    Raises
    ------
    GridError
        If a keyword is missing or disagrees.
    """
    expected = {key: getattr(name.labels, label) for key, label in HEADER_LABELS.items()}
    expected |= {"INSBROAD": name.resolution, "ROTBROAD": 0.0}
    # MICROTUR is ten times the microturbulence in km/s.
    expected["MICROTUR"] = 10.0 * name.microturbulence
    for key, value in expected.items():
        found = header.get(key)
        if not isinstance(found, int | float) or abs(found - value) > HEADER_TOLERANCE:
            raise GridError(f"header has {key} = {found}, its name says {value:g}")
