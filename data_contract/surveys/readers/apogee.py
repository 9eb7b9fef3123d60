"""APOGEE: apVisit, apStar and aspcapStar.

Layouts: https://data.sdss.org/datamodel (apVisit, apStar, aspcapStar); mask bits: APOGEE_PIXMASK.
Resolution: R 22,500; the line-spread coefficients of an apVisit are not read.
"""

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys.outside_file import OutsideFile
from starsmith.data_contract.surveys.readers.cards import number, text
from starsmith.data_contract.surveys.registry import SpectraFile, Survey, register_survey
from starsmith.data_contract.surveys.spectrum import (
    FLUX_CGS,
    RELATIVE,
    KnownLabel,
    SpectrumArm,
    SurveySpectrum,
    Velocity,
    our_mask,
    planes_of,
)

__all__ = ["PLANES"]

PLANES = planes_of(
    "BADPIX CRPIX SATPIX UNFIXABLE BADDARK BADFLAT BADERR NOSKY LITTROW_GHOST PERSIST_HIGH "
    "PERSIST_MED PERSIST_LOW SIG_SKYLINE SIG_TELLURIC NOT_ENOUGH_PSF POORSNR FAILFIT"
)
MEANING = {
    **dict.fromkeys(("BADPIX", "UNFIXABLE", "BADDARK", "BADFLAT", "BADERR"), "BAD"),
    **{"CRPIX": "CR", "SATPIX": "SAT", "NOSKY": "SUSPECT", "NOT_ENOUGH_PSF": "NO_DATA"},
}
R = 22_500.0
PIXELS = 8575  # of the grid that visits are combined on
CHIPS = ("a", "b", "c")  # from red to blue, as files have them
LABELS = {"teff": ("TEFF",), "logg": ("LOGG",), "m_h": ("M_H", "METALS"), "a_m": ("ALPHA_M",)}


def _recognise(file: OutsideFile) -> str:
    if len(file.hdus) < 4:
        return ""
    cards, shape = file.header(), getattr(file.hdus[1], "shape", ())
    if len(file.hdus) > 4 and len(shape) == 2 and shape[0] == 3 and "BC" in cards:
        return "APOGEE apVisit, three chips"
    if shape[-1:] != (PIXELS,) or not {"CRVAL1", "CDELT1"} <= set(file.header(1)):
        return ""
    if "NVISITS" in cards:
        return f"APOGEE apStar, {max(1, shape[0] - 1 if len(shape) == 2 else 1)} spectra"
    return "APOGEE aspcapStar" if len(shape) == 1 and file.has_columns(4, []) else ""


def _read(file: OutsideFile) -> SpectraFile:
    cards, shape = file.header(), file.hdus[1].shape
    if len(shape) == 2 and shape[0] == 3 and "BC" in cards:
        return SpectraFile(1, lambda number: _visit(file))
    if "NVISITS" in cards:
        size = max(1, shape[0] - 1) if len(shape) == 2 else 1
        return SpectraFile(size, lambda number: _star(file, number))
    return SpectraFile(1, lambda number: _aspcap(file))


def _arm(name: str, wave: np.ndarray, flux: np.ndarray, error: np.ndarray, flags: np.ndarray):
    """An arm with wavelengths in increasing order; an error of 0, or of 1e10, is none."""
    order = slice(None, None, -1) if wave[0] > wave[-1] else slice(None)
    flags = flags[order].astype(np.int64) & 0xFFFFFFFF
    return SpectrumArm(
        wave=wave[order].astype(np.float64),
        flux=flux[order],
        error=np.where(error[order] < 1e10, error[order], np.nan),
        mask=our_mask(flags, PLANES, MEANING),
        name=name,
        fwhm=wave[order] / R,
        planes=PLANES,
        flags=flags,
    )


def _visit(file: OutsideFile) -> SurveySpectrum:
    cards = file.header()
    flux, error, flags, wave = (file.image(k, 2) for k in (1, 2, 3, 4))
    arms = [_arm(CHIPS[k], wave[k], flux[k], error[k], flags[k]) for k in range(3)]
    visit = "-".join(text(cards, name) for name in ("PLATE", "MJD5", "FIBERID"))
    return _spectrum(
        file,
        tuple(reversed(arms)),
        {"apogee_id": text(cards, "OBJID"), "spectrum": visit},
        velocity=Velocity(
            frame="topocentric",
            rv=number(cards, "VHELIO"),
            rv_error=number(cards, "VRADERR"),
            correction=number(cards, "BC") or 0.0,
        ),
    )


def _grid(file: OutsideFile, n_wave: int) -> np.ndarray:
    cards = file.header(1)
    return 10.0 ** (cards["CRVAL1"] + cards["CDELT1"] * np.arange(n_wave))


def _star(file: OutsideFile, k: int) -> SurveySpectrum:
    """The combined spectrum, then those of the visits; the second combination is not read."""
    row = k if k == 0 else k + 1
    rank = len(file.hdus[1].shape)
    flux, error, flags = (file.image(n, rank)[row if rank == 2 else slice(None)] for n in (1, 2, 3))
    cards = file.header()
    arm = _arm("", _grid(file, flux.size), flux, error, flags)
    ids = {"apogee_id": text(cards, "OBJID"), "spectrum": f"visit {k}" if k else "combined"}
    velocity = Velocity(frame="rest", rv=number(cards, "VHELIO"), rv_error=number(cards, "VERR"))
    return _spectrum(file, (arm,), ids, velocity)


def _aspcap(file: OutsideFile) -> SurveySpectrum:
    """Spectrum divided by a pseudo-continuum, with the labels of the pipeline."""
    flux, error = (file.image(n, 1)[:] for n in (1, 2))
    row = file.columns(4)[0]
    held = set(row.array.columns.names)
    labels = {}
    for name, columns in LABELS.items():
        column = next((c for c in columns if c in held), None)
        if column and (value := number(row, column)) is not None:
            labels[name] = KnownLabel(value, number(row, f"{column}_ERR"), "ASPCAP")
    flags = np.zeros(flux.shape, np.int64)
    arm = _arm("", _grid(file, flux.size), flux, error, flags)
    name = text(row, "APOGEE_ID") if "APOGEE_ID" in held else text(file.header(), "OBJID")
    return _spectrum(
        file, (arm,), {"apogee_id": name}, Velocity(frame="rest"), labels, unit=RELATIVE
    )


def _spectrum(
    file: OutsideFile,
    arms: tuple[SpectrumArm, ...],
    ids: dict[str, str],
    velocity: Velocity,
    labels: dict[str, KnownLabel] | None = None,
    unit: str = FLUX_CGS,
) -> SurveySpectrum:
    cards = file.header()
    if not ids["apogee_id"]:
        raise DataError("it has no OBJID")
    return SurveySpectrum(
        survey="apogee",
        arms=arms,
        ids={name: value for name, value in ids.items() if value},
        unit=unit,
        velocity=velocity,
        labels=labels or {},
        snr=number(cards, "SNR"),
        meta={
            "ra": number(cards, "RA"),
            "dec": number(cards, "DEC"),
            "starflag": number(cards, "STARFLAG"),
        },
    )


register_survey(
    Survey("apogee", "apVisit, apStar and aspcapStar files", recognise=_recognise, read=_read)
)
