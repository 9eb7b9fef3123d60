"""LAMOST low-resolution spectra: an image up to DR7, a table from DR8.

Layouts and mask bits: the data release notes, https://www.lamost.org (rows flux, inverse variance,
wavelength, and-mask, or-mask). The flux is relative. Resolution: R 1800 at 5500 Å; a width that is
the same at all wavelengths is assumed.
"""

import numpy as np

from starsmith.data_contract.air import air_to_vacuum
from starsmith.data_contract.observed import error_of_ivar
from starsmith.data_contract.surveys.outside_file import OutsideFile, native
from starsmith.data_contract.surveys.readers.cards import number, rv_of_redshift, text
from starsmith.data_contract.surveys.registry import SpectraFile, Survey, register_survey
from starsmith.data_contract.surveys.spectrum import (
    RELATIVE,
    SpectrumArm,
    SurveySpectrum,
    Velocity,
    our_mask,
    planes_of,
)

__all__ = ["PLANES"]

PLANES = planes_of("- BADCCD BADPROFILE NOSKY BRIGHTSKY BADCENTER NODATA")
MEANING = {
    "BADCCD": "BAD",
    "BADPROFILE": "BAD",
    "NOSKY": "SUSPECT",
    "BADCENTER": "BAD",
    "NODATA": "NO_DATA",
}
COLUMNS = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
FWHM = 5500.0 / 1800.0  # Å


def _recognise(file: OutsideFile) -> str:
    if not file.hdus or "LAMOST" not in text(file.header(), "TELESCOP"):
        return ""
    if file.has_columns("COADD", COLUMNS):
        return "LAMOST spectrum, table layout (DR8 on)"
    return "LAMOST spectrum, image layout (to DR7)" if file.header().get("NAXIS") == 2 else ""


def _read(file: OutsideFile) -> SpectraFile:
    return SpectraFile(1, lambda number: _spectrum(file))


def _spectrum(file: OutsideFile) -> SurveySpectrum:
    cards = file.header()
    if "COADD" in file.hdu_names:
        row = file.columns("COADD", COLUMNS)[0]
        flux, ivar, wave, flags, _ = (native(row[name]) for name in COLUMNS)
    else:
        flux, ivar, wave, flags, _ = file.image(0, 2)[:5]
    wave = wave.astype(np.float64)
    flags = np.nan_to_num(flags).astype(np.uint32)
    arm = SpectrumArm(
        wave=wave if cards.get("VACUUM", True) else air_to_vacuum(wave),
        flux=flux,
        error=error_of_ivar(ivar.astype(np.float64)),
        mask=our_mask(flags, PLANES, MEANING),
        fwhm=FWHM,
        planes=PLANES,
        flags=flags,
    )
    error = number(cards, "Z_ERR")
    is_star = text(cards, "CLASS").upper() == "STAR"
    ids = {"designation": text(cards, "DESIG"), "obsid": text(cards, "OBSID")}
    ids["file"] = text(cards, "FILENAME")
    return SurveySpectrum(
        survey="lamost",
        arms=(arm,),
        ids={name: value for name, value in ids.items() if value},
        unit=RELATIVE,
        velocity=Velocity(
            frame="heliocentric" if cards.get("HELIO") else "topocentric",
            rv=rv_of_redshift(number(cards, "Z")) if is_star else None,
            rv_error=rv_of_redshift(error) if is_star else None,
        ),
        meta={
            "ra": number(cards, "RA"),
            "dec": number(cards, "DEC"),
            "class": text(cards, "CLASS"),
            "subclass": text(cards, "SUBCLASS"),
            "snr_g": number(cards, "SNRG" if "SNRG" in cards else "SN_G"),
            "plate": text(cards, "PLANID"),
        },
    )


register_survey(
    Survey("lamost", "spectra of either layout, one a file", recognise=_recognise, read=_read)
)
