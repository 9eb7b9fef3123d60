"""Archive files cropped to a range as they arrive: flux, continuum, and what the whole file showed.

A cropped file is an ``.npz`` named after its archive file. It holds what an import of the whole
file over the same range would: checks that need the whole range were made before cropping, and
their outcome and the whole file's SHA-256 are kept.
"""

import hashlib
import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from starsmith.data_contract.air import air_to_vacuum
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import read_npz
from starsmith.simulator.grids.bosz.bosz_spectrum import FINEST
from starsmith.simulator.grids.bosz.conventions import check_flux_factor, check_medium
from starsmith.simulator.grids.bosz.release2024 import LAST_VACUUM, bosz2024_wave
from starsmith.simulator.grids.bosz.releases import RELEASES
from starsmith.simulator.grids.importing.model_spectrum import ModelSpectrum
from starsmith.simulator.grids.importing.node_labels import ArchiveName

__all__ = ["CROPPED", "CroppedFile", "cropped_bytes", "cropped_content", "read_cropped"]

CROPPED = ".cropped.npz"
"""What follows the archive's name."""

HEADER_BYTES = 1300  # of the zip archive and its arrays
ARRAYS = ("flux", "continuum", "line", "verified", "sha256")
MOST_SAMPLES = 16 * FINEST
ARCHIVE_RANGE = (400.0, 350_000.0)  # Å, with room: 500 Å to 32 µm


class CroppedFile(NamedTuple):
    """What a cropped file holds."""

    spectrum: ModelSpectrum
    sha256: str
    medium_verified: bool
    flux_verified: bool


def cropped_bytes(name: ArchiveName, wave_min: float, wave_max: float) -> int:
    """Size of a cropped file [byte], to a part in a thousand."""
    per_ratio = RELEASE_SAMPLES[name.release](name.resolution)
    return HEADER_BYTES + int(8 * per_ratio * math.log(wave_max / wave_min))


RELEASE_SAMPLES = {
    "2017": lambda resolution: 2.0 * resolution,
    "2024": lambda resolution: 15.0 * resolution / math.log(640.0),
}
"""Release -> samples a unit of ln(wave)."""


def cropped_content(
    content: bytes, file_name: str, name: ArchiveName, wave_min: float, wave_max: float
) -> bytes:
    """Bytes of the cropped file of an archive file.

    Parameters
    ----------
    content : bytes
        The archive file.
    file_name : str
        Its name, whose suffix tells the format.
    name : ArchiveName
        What the name says.
    wave_min, wave_max : float
        Closed vacuum range kept [Å].

    Raises
    ------
    InputError
        If the file is damaged, contradicts its release, or does not cover the range.
    """
    whole = RELEASES[name.release].read(content, file_name, name)
    verified = [check_medium(whole, name), check_flux_factor(whole, name)]
    kept = whole.crop(wave_min, wave_max)
    digest = np.frombuffer(bytes.fromhex(hashlib.sha256(content).hexdigest()), np.uint8)
    stream = io.BytesIO()
    np.savez(
        stream,
        flux=kept.flux,
        continuum=kept.continuum,
        line=_line(kept.wave, name),
        verified=np.array(verified),
        sha256=digest,
    )
    return stream.getvalue()


def _line(wave: np.ndarray, name: ArchiveName) -> np.ndarray:
    """First of the stored, geometric wavelengths that are kept, and their step, in ln(Å)."""
    if name.release == "2024":
        stored = bosz2024_wave(name.resolution)
        first = int(np.argmin(np.abs(_vacuum(stored, name) - wave[0])))
        return np.array([math.log(stored[first]), math.log(stored[1] / stored[0])])
    step = math.log(wave[-1] / wave[0]) / (wave.size - 1)
    return np.array([math.log(wave[0]), step])


def _vacuum(stored: np.ndarray, name: ArchiveName) -> np.ndarray:
    if name.release != "2024":
        return stored
    return np.where(stored > LAST_VACUUM, air_to_vacuum(stored), stored)


def read_cropped(path: Path, name: ArchiveName) -> CroppedFile:
    """Spectrum of a cropped file and what is known of the whole one.

    Raises
    ------
    DataError
        If it is damaged, or holds something else.
    """
    arrays = read_npz(path, ARRAYS, 8 * MOST_SAMPLES + HEADER_BYTES)
    flux, continuum, line = (arrays[key] for key in ARRAYS[:3])
    verified, digest = arrays["verified"], arrays["sha256"]
    shapes = {key: arrays[key].shape for key in ARRAYS}
    expected = {"flux": flux.shape[:1], "continuum": flux.shape[:1], "line": (2,)}
    expected |= {"verified": (2,), "sha256": (32,)}
    kinds = [arrays[key].dtype for key in ARRAYS]
    if shapes != expected or kinds != ["<f4", "<f4", "<f8", "bool", "uint8"]:
        raise DataError("is no cropped file of the archive; fetch it again")
    if flux.size < 3 or not (np.all(np.isfinite(line)) and line[1] > 0):
        raise DataError("holds no spectrum; fetch it again")
    with np.errstate(over="ignore"):
        stored = np.exp(line[0] + line[1] * np.arange(flux.size))
    if not (ARCHIVE_RANGE[0] < stored[0] and stored[-1] < ARCHIVE_RANGE[1]):
        raise DataError("its wavelengths are none of the archive; fetch it again")
    spectrum = ModelSpectrum(wave=_vacuum(stored, name), flux=flux, continuum=continuum)
    return CroppedFile(spectrum, digest.tobytes().hex(), bool(verified[0]), bool(verified[1]))
