"""SDSS, BOSS and SEGUE: spec and spec-lite files.

Layout: https://data.sdss.org/datamodel (spec-lite); mask bits: idlutils, SPPIXMASK.
"""

import numpy as np

from starsmith.data_contract.observed import error_of_ivar
from starsmith.data_contract.surveys.outside_file import OutsideFile, native
from starsmith.data_contract.surveys.readers.cards import (
    ANGSTROM_FWHM,
    number,
    rv_of_redshift,
    text,
)
from starsmith.data_contract.surveys.registry import SpectraFile, Survey, register_survey
from starsmith.data_contract.surveys.spectrum import (
    SpectrumArm,
    SurveySpectrum,
    Velocity,
    our_mask,
    planes_of,
)

__all__ = ["PLANES"]

PLANES = planes_of(
    "NOPLUG BADTRACE BADFLAT BADARC MANYBADCOLUMNS MANYREJECTED LARGESHIFT BADSKYFIBER "
    "NEARWHOPPER WHOPPER SMEARIMAGE SMEARHIGHSN SMEARMEDSN - - - NEARBADPIXEL LOWFLAT FULLREJECT "
    "PARTIALREJECT SCATTEREDLIGHT CROSSTALK NOSKY BRIGHTSKY NODATA COMBINEREJ BADFLUXFACTOR "
    "BADSKYCHI REDMONSTER"
)
MEANING = {
    **dict.fromkeys(("NOPLUG", "BADTRACE", "BADFLAT", "BADARC", "LOWFLAT", "BADFLUXFACTOR"), "BAD"),
    **dict.fromkeys(("NOSKY", "BADSKYCHI", "REDMONSTER"), "SUSPECT"),
    "FULLREJECT": "NO_DATA",
    "NODATA": "NO_DATA",
}
PHOTO_IDS = ("BESTOBJID", "FLUXOBJID", "TARGETOBJID")
COLUMNS = ("flux", "loglam", "ivar", "and_mask")


def _table(file: OutsideFile) -> int | str:
    """The table of the coadd: by its name, or the first extension of older files."""
    return "COADD" if "COADD" in file.hdu_names else 1


def _recognise(file: OutsideFile) -> str:
    return "SDSS spectrum (spec-lite)" if file.has_columns(_table(file), COLUMNS) else ""


def _read(file: OutsideFile) -> SpectraFile:
    return SpectraFile(1, lambda number: _spectrum(file))


def _spectrum(file: OutsideFile) -> SurveySpectrum:
    rows = file.columns(_table(file), COLUMNS)
    wave = 10.0 ** native(rows["loglam"]).astype(np.float64)
    flags = native(rows["and_mask"]).astype(np.uint32)
    width = None
    if file.has_columns(_table(file), ["wdisp"]):  # pixels, of 1e-4 dex
        pixel = np.gradient(wave)
        width = ANGSTROM_FWHM * native(rows["wdisp"]) * pixel
    arm = SpectrumArm(
        wave=wave,
        flux=native(rows["flux"]),
        error=error_of_ivar(native(rows["ivar"]).astype(np.float64)),
        mask=our_mask(flags, PLANES, MEANING),
        fwhm=width,
        planes=PLANES,
        flags=flags,
    )
    cards = file.header()
    plate = "-".join(text(cards, name) for name in ("PLATEID", "MJD", "FIBERID"))
    star = file.columns("SPECOBJ")[0] if "SPECOBJ" in file.hdu_names else {}
    is_star = text(star, "CLASS") == "STAR"
    # the object of the photometry is the star's name: it may have several spectra
    photo = next((t for n in PHOTO_IDS if (t := text(star, n)).strip("0")), "")
    ids = {
        "sdss_objid": photo,
        "specobjid": text(star, "SPECOBJID") or text(cards, "SPEC_ID"),
        "spectrum": plate,
    }
    return SurveySpectrum(
        survey="sdss",
        arms=(arm,),
        ids={name: value for name, value in ids.items() if value.strip("-")},
        velocity=Velocity(
            frame="heliocentric",
            rv=rv_of_redshift(number(star, "Z")) if is_star else None,
            rv_error=rv_of_redshift(number(star, "Z_ERR")) if is_star else None,
        ),
        snr=number(star, "SN_MEDIAN_ALL"),
        meta={
            "ra": number(cards, "PLUG_RA") or number(cards, "RA"),
            "dec": number(cards, "PLUG_DEC") or number(cards, "DEC"),
            "class": text(star, "CLASS"),
            "subclass": text(star, "SUBCLASS"),
        },
    )


register_survey(
    Survey("sdss", "spec and spec-lite files, one spectrum each", recognise=_recognise, read=_read)
)
