"""Star libraries: MILES and STELIB as the ``sdss-mangadap`` wheel holds them, and plain tables.

MILES v9.1 (Sánchez-Blázquez+ 2006; labels Cenarro+ 2007): 3540-7410 Å in air, FWHM 2.5 Å. STELIB
v3.2 (Le Borgne+ 2003): 3200-9900 Å in air, about 3 Å, dereddened, labels in the headers; telluric
bands were left in and are flagged. The user's own wheel is read, member by member.
"""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from astropy.io import fits  # noqa: TID251

from starsmith.data_contract.air import air_to_vacuum
from starsmith.data_contract.files.outside import read_npz
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.surveys.outside_file import OutsideFile, native
from starsmith.data_contract.surveys.readers.cards import number, text
from starsmith.data_contract.surveys.readers.table_spectrum import spectrum_of_table
from starsmith.data_contract.surveys.registry import SpectraFile, Survey, register_survey
from starsmith.data_contract.surveys.spectrum import (
    RELATIVE,
    KnownLabel,
    SpectrumArm,
    SurveySpectrum,
    Velocity,
)

__all__: list[str] = []

MILES = re.compile(r".*/miles/MILES_res2\.50_star_m(\d{4})V\.fits")
STELIB = re.compile(r".*/stelib/STELIB_v3\.2_(.+)\.fits")
MILES_LABELS = "paramsMILES_v9.1.txt"
MISPRINTED = {"022.": "0221"}  # a number of that table
MOST_MEMBER = 2**22  # bytes; a spectrum has 35 kB, the table 94 kB
MOST_NPZ = 2**27
FWHM = {"miles": 2.5, "stelib": 3.0}  # Å
TELLURIC = ((6860.0, 6960.0), (7160.0, 7340.0), (7590.0, 7720.0), (8130.0, 8350.0))  # Å, STELIB
PLANES = {"TELLURIC": 0, "NO_FLUX": 1}
NPZ_LABELS = {"teff": "teff", "logg": "logg", "fe_h": "m_h"}
SOURCES = {"miles": "MILES v9.1, [Fe/H]", "stelib": "STELIB v3.2, [Fe/H]"}


def _recognise(file: OutsideFile) -> str:
    if file.kind == "zip":
        counts = {"MILES": len(_members(file, MILES)), "STELIB": len(_members(file, STELIB))}
        if any(counts.values()):
            return "star library: " + ", ".join(f"{n} {name} stars" for name, n in counts.items())
        held = {"wave_air.npy": "MILES", "crval_air.npy": "STELIB"}
        found = [name for member, name in held.items() if member in file.zip_names]
        return f"star library: {found[0]}, repacked" if found else ""
    table = file.table
    if table is None or any(table.find(name) is None for name in ("wave", "flux")):
        return ""
    return "table of one spectrum"


def _read(file: OutsideFile) -> SpectraFile:
    if file.kind != "zip":
        return SpectraFile(1, lambda number: _of_table(file))
    miles, stelib = _members(file, MILES), _members(file, STELIB)
    if not miles and not stelib:
        return _repacked(file)
    stars = _miles_stars(file) if miles else {}
    gets: list[Callable[[], SurveySpectrum]] = [
        lambda name=name, key=key: _of_miles(file, name, stars.get(key, {}))
        for key, name in miles.items()
    ]
    gets += [lambda name=name: _of_stelib(file, name) for name in stelib.values()]
    return SpectraFile(len(gets), lambda number: gets[number]())


def _members(file: OutsideFile, pattern: re.Pattern) -> dict[str, str]:
    """What the pattern catches in a member's name -> the member."""
    found = ((pattern.fullmatch(name), name) for name in sorted(file.zip_names))
    return {match[1]: name for match, name in found if match}


def _star_name(name: str) -> str:
    """A star's name as both libraries spell it: ``HD 020902`` and ``HD020902`` are one."""
    return "".join(name.upper().split())


def _miles_stars(file: OutsideFile) -> dict[str, dict[str, object]]:
    """Number of a star -> its name and labels, of the library's table (fixed columns)."""
    member = next((n for n in file.zip_names if n.endswith(f"/{MILES_LABELS}")), None)
    if member is None:
        return {}
    stars = {}
    for line in file.member(member, MOST_MEMBER).decode("latin-1").splitlines():
        key = MISPRINTED.get(line[23:27], line[23:27])
        if key.isdigit():
            values = zip(("teff", "logg", "m_h"), line[51:72].split(), strict=False)
            stars[key] = {"name": line[:22].strip(), "type": line[38:51].strip(), **dict(values)}
    return stars


def _labels(values: Mapping[str, object], source: str) -> dict[str, KnownLabel]:
    known = {name: number(values, name) for name in ("teff", "logg", "m_h")}
    return {n: KnownLabel(v, None, source) for n, v in known.items() if v is not None}


def _linear(cards: fits.Header, n_wave: int) -> np.ndarray:
    return cards["CRVAL1"] + cards["CDELT1"] * (np.arange(n_wave) + 1.0 - cards["CRPIX1"])


def _image(file: OutsideFile, member: str) -> tuple[dict[str, object], np.ndarray, np.ndarray]:
    """Cards, wavelengths in air [Å] and flux of one member."""
    with fits.open(io.BytesIO(file.member(member, MOST_MEMBER))) as hdus:
        cards, flux = hdus[0].header, native(hdus[0].data)
        wanted = ("OBJECT", "SPECTYPE", "ISEXTINC", "TEFF", "LOG_G", "FE_H", "FWHM", "RADVEL")
        return {n: cards[n] for n in wanted if n in cards}, _linear(cards, flux.size), flux


def _of_miles(file: OutsideFile, member: str, star: Mapping[str, object]) -> SurveySpectrum:
    _, wave, flux = _image(file, member)
    name = str(star.get("name") or MILES.fullmatch(member)[1])
    return _spectrum("miles", name, wave, flux, _labels(star, SOURCES["miles"]))


def _of_stelib(file: OutsideFile, member: str) -> SurveySpectrum:
    cards, wave, flux = _image(file, member)
    values = {n: cards.get(c) for n, c in (("teff", "TEFF"), ("logg", "LOG_G"), ("m_h", "FE_H"))}
    name = text(cards, "OBJECT") or STELIB.fullmatch(member)[1]
    return _spectrum("stelib", name, wave, flux, _labels(values, SOURCES["stelib"]))


def _repacked(file: OutsideFile) -> SpectraFile:
    """The same libraries as arrays of one file."""
    kind = "miles" if "wave_air.npy" in file.zip_names else "stelib"
    scale = ("wave_air",) if kind == "miles" else ("crval_air", "cdelt", "crpix", "n")
    held = read_npz(file.path, ("flux", "name", *NPZ_LABELS, *scale), MOST_NPZ)

    def get(k: int) -> SurveySpectrum:
        flux = held["flux"][k]
        if kind == "miles":
            wave = held["wave_air"].astype(np.float64)
        else:
            flux = flux[: int(held["n"][k])]
            pixel = np.arange(flux.size) + 1.0 - held["crpix"][k]
            wave = held["crval_air"][k] + held["cdelt"][k] * pixel
        values = {ours: held[theirs][k] for theirs, ours in NPZ_LABELS.items()}
        labels = _labels(values, SOURCES[kind])
        name = str(held["name"][k]) or f"{kind} {k}"
        return _spectrum(kind, name, wave, flux, labels)

    return SpectraFile(len(held["flux"]), get)


def _spectrum(
    kind: str, name: str, wave: np.ndarray, flux: np.ndarray, labels: dict[str, KnownLabel]
) -> SurveySpectrum:
    flags = np.where(flux == 0.0, 1 << PLANES["NO_FLUX"], 0).astype(np.uint32)
    mask = np.where(flux == 0.0, mask_value("NO_DATA"), 0).astype(np.uint32)
    for low, high in TELLURIC if kind == "stelib" else ():
        inside = (wave >= low) & (wave <= high)
        flags[inside] |= 1 << PLANES["TELLURIC"]
        mask[inside] |= mask_value("SUSPECT")
    arm = SpectrumArm(
        wave=air_to_vacuum(wave),
        flux=flux,
        mask=mask,
        fwhm=FWHM[kind],
        planes=PLANES,
        flags=flags,
    )
    return SurveySpectrum(
        survey="library",
        arms=(arm,),
        ids={"name": _star_name(name), "library": kind},
        unit=RELATIVE,
        velocity=Velocity(frame="rest"),
        labels=labels,
    )


def _of_table(file: OutsideFile) -> SurveySpectrum:
    """A table of one spectrum; the star is called as its file."""
    spectrum = spectrum_of_table(file.table)
    return replace(spectrum, ids={"name": _star_name(spectrum.ids["name"])})


register_survey(
    Survey(
        "library",
        "the sdss-mangadap wheel (MILES, STELIB), tables of one spectrum",
        recognise=_recognise,
        read=_read,
    )
)
