"""The Kurucz atlases as STScI keeps them: ``ck04models`` and ``k93models``, a FITS table a Teff.

``ckm05_5750.fits`` has [M/H] -0.5 and 5750 K; column ``WAVELENGTH`` is in Å, ``g00`` to ``g50`` are
surface fluxes [erg/s/cm²/Å] of log g 0.0 to 5.0. A column of zeros is a model that was not computed
(Synphot Data User's Guide, appendix A.3). Whether wavelengths are of air is stated nowhere.
"""

import re
from collections.abc import Iterator

import numpy as np

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.surveys.outside_file import damage_of, native, open_outside
from starsmith.simulator.grids.importing.layout import FoundModel, Layout, SpectraFile
from starsmith.simulator.grids.importing.node_labels import NodeLabels
from starsmith.simulator.grids.importing.statement import RawSpectrum, Statement

__all__ = ["STSCI_ATLAS"]

NAME = re.compile(r"c?k(?P<sign>[pm])(?P<tenths>\d\d)_(?P<teff>\d{4,5})\.fits", re.IGNORECASE)
GRAVITY = re.compile(r"g(\d\d)", re.IGNORECASE)
CARDS = {"TEFF": ("teff", 1.0), "LOG_Z": ("m_h", 0.01)}


def _labels(name: str) -> NodeLabels:
    match = NAME.fullmatch(name)
    if match is None:
        raise GridError("no name of the atlases, like ckm05_5750.fits")
    m_h = int(match["tenths"]) / 10.0 * (-1.0 if match["sign"].lower() == "m" else 1.0)
    return NodeLabels(float(match["teff"]), 0.0, 0.0 + m_h)


def _read(file: SpectraFile) -> Iterator[FoundModel]:
    shared = _labels(file.path.name)
    with open_outside(file.path) as opened:
        rows = damage_of(file.path, lambda: opened.columns(1, ("WAVELENGTH",)))
        header = damage_of(file.path, lambda: dict(opened.header(0)))
        names = {
            match[1]: name
            for name in rows.names
            if (match := GRAVITY.fullmatch(name)) and match[1] not in ("",)
        }
        wave_name = next(name for name in rows.names if name.lower() == "wavelength")
        wave = damage_of(file.path, lambda: native(rows[wave_name]).astype(np.float64))
        fluxes = damage_of(file.path, lambda: {g: native(rows[n]) for g, n in names.items()})
    for card, (label, tolerance) in CARDS.items():
        found, expected = header.get(card), getattr(shared, label)
        if isinstance(found, int | float) and not abs(found - expected) < tolerance:
            raise GridError(f"header has {card} = {found}, its name says {expected:g}")
    if not fluxes:
        raise GridError("its table has no columns g00, g05 ... g50; fetch it again")
    for tenths, flux in fluxes.items():
        if np.any(flux):  # zeros: not computed
            labels = shared._replace(logg=int(tenths) / 10.0)
            yield FoundModel(labels, RawSpectrum(wave=wave, value=flux), f"g{tenths}")


STSCI_ATLAS = Layout(
    name="stsci-atlas",
    title="Kurucz atlas (STScI tables)",
    citation="Castelli & Kurucz 2003, IAU Symp. 210, A20; Kurucz 1993 (CD-ROM 13)",
    says=Statement(wave_unit="Angstrom"),
    usual=Statement(flux="F_lambda"),
    owns=lambda name: NAME.fullmatch(name) is not None,
    read=_read,
    sampled_resolution=True,
)
