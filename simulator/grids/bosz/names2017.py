"""Names and addresses of the BOSZ 2017 archive's files (Bohlin+ 2017, AJ 153, 234)."""

import re
from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np

from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.simulator.grids.importing.node_labels import ArchiveName, NodeLabels

__all__ = [
    "FORMATS",
    "RESOLUTIONS",
    "ArchiveName",
    "NodeLabels",
    "bosz2017_missing",
    "bosz2017_name",
    "bosz2017_nodes",
    "bosz2017_path",
    "bosz2017_url",
    "fits_bytes",
    "parse_bosz2017",
]

ARCHIVE = "https://archive.stsci.edu/missions/hlsp/bosz"
FORMATS = {"ascii": ".asc.bz2", "fits": ".fits"}
"""Folder of the archive -> suffix of its files."""

RESOLUTIONS = (200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 300000)

# Abundances of the release [dex]; digits of a name are |value| x 10 rounded half up.
M_H = tuple((np.arange(-10, 4) / 4.0).tolist())
A_M = tuple((np.arange(-1, 3) / 4.0).tolist())
C_M = tuple((np.arange(-3, 3) / 4.0).tolist())
COMPOSITIONS = tuple(product(M_H, A_M, C_M))
# Up to this effective temperature [K] log g starts at this value and ends at 5.
LOWEST_LOGG = ((6000, 0.0), (8000, 1.0), (12000, 2.0), (30000, 3.0), (35000, 3.5))

NEVER_COMPUTED = {
    (3500.0, 3.0): (-2.0,),
    (3500.0, 3.5): (-2.5, -2.25, -2.0),
    (3500.0, 4.0): (-2.5, -2.25, -2.0),
    (3500.0, 4.5): (-2.5, -2.25),
    (3500.0, 5.0): (-2.5,),
    (12000.0, 4.5): (-1.25,),
    (27000.0, 3.0): (0.5,),
    (30000.0, 3.0): (0.0, 0.25),
}
"""(teff, logg) -> the [M/H] the archive's R = 20000 listing lacks at solar abundance ratios."""

FITS_BLOCK = 2880
FITS_HEADER_BYTES = 2 * FITS_BLOCK
FITS_ROW_BYTES = 16

NAME = re.compile(
    r"a(?P<m_h>m[mp]\d\d)(?P<c_m>c[mp]\d\d)(?P<a_m>o[mp]\d\d)"
    r"t(?P<teff>\d{4,5})g(?P<logg>\d\d)v20modrt0b(?P<resolution>\d+)rs"
    r"(?P<suffix>\.asc\.bz2|\.asc|\.fits)"
)


def _digits(letter: str, value: float) -> str:
    """Spell an abundance: letter, sign, |value| x 10 rounded half up (-1.25 -> mm13)."""
    return f"{letter}{'m' if value < 0 else 'p'}{int(abs(value) * 10 + 0.5):02d}"


M_H_DIGITS = {_digits("m", value): float(value) for value in M_H}
A_M_DIGITS = {_digits("o", value): float(value) for value in A_M}
C_M_DIGITS = {_digits("c", value): float(value) for value in C_M}


def bosz2017_name(labels: NodeLabels, resolution: int, suffix: str = ".fits") -> str:
    """File name of a node in the 2017 release.

    Parameters
    ----------
    labels : NodeLabels
        A node of the release.
    resolution : int
        wave / FWHM, one of `RESOLUTIONS`.
    suffix : str
        ``.fits`` or ``.asc.bz2``.
    """
    abundances = _digits("m", labels.m_h) + _digits("c", labels.c_m) + _digits("o", labels.a_m)
    return (
        f"a{abundances}t{labels.teff:.0f}g{labels.logg * 10:02.0f}v20modrt0b{resolution}rs{suffix}"
    )


def parse_bosz2017(name: str) -> ArchiveName:
    """Labels and resolution from a 2017 file name.

    Raises
    ------
    GridError
        If the name is not one the release can have.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise GridError(
            "not a name of the 2017 release (like amp00cp00op00t5000g45v20modrt0b5000rs.fits)"
        )
    try:
        labels = NodeLabels(
            teff=float(match["teff"]),
            logg=int(match["logg"]) / 10.0,
            m_h=M_H_DIGITS[match["m_h"]],
            a_m=A_M_DIGITS[match["a_m"]],
            c_m=C_M_DIGITS[match["c_m"]],
        )
    except KeyError as unknown:
        raise GridError(f"{unknown} is no abundance of the 2017 release") from None
    resolution = int(match["resolution"])
    if resolution not in RESOLUTIONS:
        raise GridError(f"b{resolution}: the release has R = {', '.join(map(str, RESOLUTIONS))}")
    return ArchiveName("2017", labels, resolution)


def bosz2017_path(labels: NodeLabels, resolution: int, file_format: str = "fits") -> str:
    """Place of a node's file below the archive's address.

    Parameters
    ----------
    labels, resolution
        As in `bosz2017_name`.
    file_format : str
        ``fits`` or ``ascii``.
    """
    if file_format not in FORMATS:
        raise ConfigError(f"--format {file_format}: choose one of {', '.join(FORMATS)}")
    name = bosz2017_name(labels, resolution, FORMATS[file_format])
    return (
        f"{file_format}/insbroad_{resolution:06d}/metal_{labels.m_h + 0.0:+.2f}"
        f"/carbon_{labels.c_m + 0.0:+.2f}/alpha_{labels.a_m + 0.0:+.2f}/{name}"
    )


def bosz2017_url(labels: NodeLabels, resolution: int, file_format: str = "fits") -> str:
    """Address of a node's file; parameters as in `bosz2017_path`."""
    return f"{ARCHIVE}/{bosz2017_path(labels, resolution, file_format)}"


def _temperatures() -> np.ndarray:
    return np.r_[3500:12000:250, 12000:20000:500, 20000:35001:1000].astype(np.float64)


def bosz2017_nodes(
    compositions: Iterable[tuple[float, float, float]] = COMPOSITIONS,
) -> Iterator[NodeLabels]:
    """Nodes the release lays out, in label order; a few were never computed.

    Parameters
    ----------
    compositions : iterable of ([M/H], [alpha/M], [C/M])
        All of the release by default [dex].
    """
    compositions = tuple(compositions)
    for teff in _temperatures().tolist():
        first = next(logg for limit, logg in LOWEST_LOGG if teff <= limit)
        for logg, composition in product(np.arange(first, 5.1, 0.5).tolist(), compositions):
            yield NodeLabels(teff, logg, *composition)


def bosz2017_missing(labels: NodeLabels) -> bool:
    """Tell whether a node is known not to exist; at other than solar ratios none is known."""
    solar = labels.a_m == labels.c_m == 0.0
    return solar and labels.m_h in NEVER_COMPUTED.get((labels.teff, labels.logg), ())


def fits_bytes(resolution: int) -> int:
    """Size of one FITS file of the release: 1000 Å to 32 µm at dln(wave) = 1/(2 R)."""
    n_wave = int(2 * resolution * np.log(320.0)) + 1
    return FITS_HEADER_BYTES + -(-n_wave * FITS_ROW_BYTES // FITS_BLOCK) * FITS_BLOCK
