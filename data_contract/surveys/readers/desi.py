"""DESI: coadds of b, r and z with their resolution, and the tables made from them.

Layouts: https://desidatamodel.readthedocs.io (coadd, spectra); mask bits: desispec.maskbits.
"""

import numpy as np
from astropy.io import fits  # noqa: TID251

from starsmith.data_contract.observed import error_of_ivar
from starsmith.data_contract.surveys.outside_file import OutsideFile, native
from starsmith.data_contract.surveys.readers.desi_archive import (
    MEANING,
    PLANES,
    read_archived,
    recognise_archived,
)
from starsmith.data_contract.surveys.registry import SpectraFile, Survey, register_survey
from starsmith.data_contract.surveys.spectrum import (
    SpectrumArm,
    SurveySpectrum,
    Velocity,
    our_mask,
)

__all__: list[str] = []

ARMS = ("B", "R", "Z")
FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
GAIA_CATALOGUES = {"G2": "gaia_dr2", "G3": "gaia_dr3"}
"""REF_CAT of a fibre map -> the catalogue that REF_ID counts in."""


def _recognise(file: OutsideFile) -> str:
    if archived := recognise_archived(file):
        return archived
    if "FIBERMAP" not in file.hdu_names or not _arms(file):
        return ""
    return f"DESI coadd of {len(file.hdus['FIBERMAP'].data)} spectra, arms {', '.join(_arms(file))}"


def _arms(file: OutsideFile) -> list[str]:
    return [a for a in ARMS if f"{a}_WAVELENGTH" in file.hdu_names]


def _read(file: OutsideFile) -> SpectraFile:
    if file.kind != "FITS":
        return read_archived(file)
    rows = file.columns("FIBERMAP", ["TARGETID"])
    arms = [_ArmRows(file, name, len(rows)) for name in _arms(file)]
    return SpectraFile(len(rows), lambda k: _spectrum(rows[k], [arm.row(k) for arm in arms]))


class _ArmRows:
    """The HDUs of one arm."""

    def __init__(self, file: OutsideFile, arm: str, size: int):
        self.name = arm.lower()
        self.wave = file.image(f"{arm}_WAVELENGTH", 1)[:].astype(np.float64)
        self.flux, self.ivar = (file.image(f"{arm}_{what}", 2) for what in ("FLUX", "IVAR"))
        optional = {f"{arm}_MASK": 2, f"{arm}_RESOLUTION": 3}
        self.flags, self.matrix = (
            file.image(name, rank) if name in file.hdu_names else None
            for name, rank in optional.items()
        )
        for image in (self.flux, self.ivar, self.flags, self.matrix):
            if image is not None and (image.shape[0], image.shape[-1]) != (size, self.wave.size):
                raise file.error(
                    f"arm {arm} has an image of shape {image.shape}, expected {size} rows of "
                    f"{self.wave.size} pixels"
                )

    def row(self, k: int) -> SpectrumArm:
        """The arm of one spectrum."""
        flags = None if self.flags is None else self.flags[k]
        matrix = None if self.matrix is None else _by_row(self.matrix[k])
        return SpectrumArm(
            wave=self.wave,
            flux=self.flux[k].astype(np.float32, copy=False),
            error=error_of_ivar(self.ivar[k].astype(np.float64)),
            mask=None if flags is None else our_mask(flags, PLANES, MEANING),
            name=self.name,
            fwhm=None if matrix is None else _fwhm(matrix, self.wave),
            matrix=matrix,
            planes=PLANES,
            flags=flags,
        )


def _by_row(bands: np.ndarray) -> np.ndarray | None:
    """Bands aligned with the pixel they make; None where there is no resolution.

    DESI stores them as ``scipy.sparse.dia_matrix`` does, the outermost above the diagonal first:
    aligned with the pixel that light comes from.
    """
    half = len(bands) // 2
    aligned = np.zeros(bands.shape)
    for k, offset in enumerate(range(half, -half - 1, -1)):
        rows = slice(max(0, -offset), bands.shape[1] - max(0, offset))
        columns = slice(max(0, offset), bands.shape[1] + min(0, offset))
        aligned[half + offset, rows] = bands[k, columns]
    return aligned if aligned.any() else None


def _fwhm(matrix: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """FWHM [Å] of a Gaussian with the second moment of each row, NaN where it has none."""
    offset = np.arange(len(matrix)) - len(matrix) // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = offset @ matrix / matrix.sum(axis=0)
        variance = offset**2 @ matrix / matrix.sum(axis=0) - mean**2
        return FWHM_PER_SIGMA * np.sqrt(variance) * np.gradient(wave)


def _spectrum(row: fits.FITS_record, arms: list[SpectrumArm]) -> SurveySpectrum:
    names = {name.lower() for name in row.array.columns.names}
    ids = {"targetid": str(int(row["TARGETID"]))}
    if "ref_cat" in names and (catalogue := GAIA_CATALOGUES.get(str(row["REF_CAT"]).strip())):
        ids[catalogue] = str(int(row["REF_ID"]))
    kept = ("target_ra", "target_dec", "ref_epoch", "coadd_fiberstatus", "objtype", "pmra", "pmdec")
    meta = {name: _plain(row[name]) for name in kept if name in names}
    if not meta.get("ref_epoch"):
        meta.pop("ref_epoch", None)
    renamed = {"target_ra": "ra", "target_dec": "dec", "ref_epoch": "epoch"}
    return SurveySpectrum(
        survey="desi",
        arms=tuple(arms),
        ids=ids,
        velocity=Velocity(frame="barycentric"),
        meta={renamed.get(name, name): value for name, value in meta.items()},
    )


def _plain(value: object) -> object:
    return str(value).strip() if isinstance(value, str) else native(value).item()


register_survey(
    Survey(
        "desi",
        "coadds with FIBERMAP, saved SPARCL results, local HDF5",
        recognise=_recognise,
        read=_read,
    )
)
