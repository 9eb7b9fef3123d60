"""PHOENIX HiRes (Husser+ 2013, A&A 553, A6): one FITS image of flux a model, one of wavelengths.

``lte05700-4.50-0.0.PHOENIX-ACES-AGSS-COND-2011-HiRes.fits`` is 5700 K, log g +4.50 (the sign before
it is a hyphen's), [Fe/H] -0.0; ``.Alpha=+0.20`` follows where [α/Fe] is not 0. Flux is that of the
surface in erg/s/cm²/cm, wavelengths are in vacuum [Å], sampled at R = 500,000 in the optical.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.surveys.outside_file import damage_of, open_outside
from starsmith.simulator.grids.importing.layout import FoundModel, Layout, SpectraFile
from starsmith.simulator.grids.importing.node_labels import NodeLabels
from starsmith.simulator.grids.importing.statement import RawSpectrum, Statement

__all__ = ["PHOENIX", "WAVE_FILE", "phoenix_labels"]

WAVE_FILE = "WAVE_PHOENIX-ACES-AGSS-COND-2011.fits"
ADDRESS = "https://phoenix.astro.physik.uni-goettingen.de/data/HiResFITS/"
NAME = re.compile(
    r"lte(?P<teff>\d{5})(?P<minus_logg>[-+]\d\.\d\d)(?P<m_h>[-+]\d\.\d)"
    r"(?:\.Alpha=(?P<a_m>[-+]\d\.\d\d))?\.PHOENIX-ACES-AGSS-COND-2011-HiRes\.fits"
)
CARDS = {"PHXTEFF": "teff", "PHXLOGG": "logg", "PHXM_H": "m_h", "PHXALPHA": "a_m"}
CARD_TOLERANCE = {"teff": 1.0}
LABEL_TOLERANCE = 0.01
RESOLUTION = 500_000.0  # wave / step in 3000-25000 Å, Husser+ 2013, section 4.1


def phoenix_labels(name: str) -> NodeLabels:
    """Labels of a file's name; GridError where it is none of the library's."""
    match = NAME.fullmatch(name)
    if match is None:
        raise GridError(f"no name of {PHOENIX.title}, like lte05700-4.50-0.0.PHOENIX-ACES-...fits")
    # 0.0 - x: a log g of +0.0 has no sign
    logg, m_h = 0.0 - float(match["minus_logg"]), 0.0 + float(match["m_h"])
    return NodeLabels(float(match["teff"]), logg, m_h, float(match["a_m"] or 0.0))


def _owns(name: str) -> bool:
    return "PHOENIX-ACES" in name and name != WAVE_FILE


def _wave(path: Path) -> np.ndarray:
    status = path.stat()
    return _read_wave(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read_wave(path: Path, changed: int, size: int) -> np.ndarray:
    with open_outside(path) as file:
        wave = damage_of(path, lambda: np.array(_only_row(file.image(0, 1)), dtype=np.float64))
    return wave


def _only_row(image: object) -> np.ndarray:
    return image[slice(None)]  # type: ignore[index]


def _wave_path(path: Path) -> Path:
    """The file of wavelengths: beside a model, or in a folder above it."""
    for folder in (path.parent, *list(path.parent.parents)[:3]):
        if (found := folder / WAVE_FILE).is_file():
            return found
    raise GridError(f"no {WAVE_FILE} beside it or above; curl -o {WAVE_FILE} {ADDRESS}{WAVE_FILE}")


def _read(file: SpectraFile) -> Iterator[FoundModel]:
    labels = phoenix_labels(file.path.name)
    wave = _wave(_wave_path(file.path))
    with open_outside(file.path) as opened:
        header = damage_of(file.path, lambda: dict(opened.header(0)))
        flux = damage_of(file.path, lambda: np.array(_only_row(opened.image(0, 1))))
    for card, label in CARDS.items():
        found, expected = header.get(card), getattr(labels, label)
        tolerance = CARD_TOLERANCE.get(label, LABEL_TOLERANCE)
        if isinstance(found, int | float) and not abs(found - expected) < tolerance:
            raise GridError(f"header has {card} = {found}, its name says {expected:g}")
    if flux.size != wave.size:
        raise GridError(f"has {flux.size} fluxes, {WAVE_FILE} {wave.size}; fetch both again")
    unit = header.get("BUNIT")
    says = Statement(flux_unit=unit if isinstance(unit, str) else None)
    yield FoundModel(labels, RawSpectrum(wave=wave, value=flux, says=says))


PHOENIX = Layout(
    name="phoenix",
    title="PHOENIX-ACES-AGSS-COND-2011 HiRes",
    citation="Husser et al. 2013, A&A 553, A6",
    says=Statement(
        medium="vacuum",
        flux="F_lambda",
        flux_unit="erg / (s cm2 cm)",
        wave_unit="Angstrom",
        resolution=RESOLUTION,
    ),
    owns=_owns,
    read=_read,
    labels_of=phoenix_labels,
)
