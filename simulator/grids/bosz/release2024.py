"""Names and spectra of the BOSZ 2024 archive (Mészáros+ 2024, A&A 688, A197)."""

import io
import math
import re
from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np

from starsmith.data_contract.errors import DataError, GridError
from starsmith.data_contract.files.outside import unpack
from starsmith.simulator.grids.bosz.bosz_spectrum import most_text
from starsmith.simulator.grids.bosz.names2017 import COMPOSITIONS
from starsmith.simulator.grids.importing.model_spectrum import ModelSpectrum
from starsmith.simulator.grids.importing.node_labels import ArchiveName, NodeLabels

__all__ = [
    "ATMOSPHERES",
    "bosz2024_atmosphere",
    "bosz2024_name",
    "bosz2024_nodes",
    "bosz2024_path",
    "bosz2024_url",
    "bosz2024_wave",
    "parse_bosz2024",
    "read_bosz2024",
]

ARCHIVE = "https://archive.stsci.edu/hlsps/bosz/bosz2024"
RESOLUTIONS = (500, 1000, 2000, 5000, 10000, 20000, 50000)
MICROTURBULENCES = (0, 1, 2, 4)  # [km/s]

ATMOSPHERES = {"mp": "MARCS plane-parallel", "ms": "MARCS spherical", "ap": "ATLAS9"}
"""Letters of a name -> model atmosphere; where a node exists twice, the first is taken."""

# Up to this effective temperature [K] log g runs from ... to ..., in steps of 0.5.
GRAVITIES = (
    (4000, -0.5, 5.5),
    (4500, -0.5, 5.0),
    (5250, 0.0, 5.0),
    (5750, 0.5, 5.0),
    (7000, 1.0, 5.0),
    (12000, 2.0, 5.0),
    (16000, 3.0, 5.0),
)
HOTTEST_MARCS = 8000.0  # [K]
LOWEST_PLANE_PARALLEL = 3.5  # MARCS models of lower log g are spherical

SURFACE_FLUX = 4.0 * math.pi
"""The archive stores the Eddington flux H, a quarter of the 2017 value [erg/s/cm²/Å/sr]."""

SAMPLES_PER_R = 15
FIRST_WAVE = 500.0  # [Å]
WAVE_RATIO = 640.0
LAST_VACUUM = 2000.0  # above, wavelengths are those of air [Å]

NAME = re.compile(
    r"bosz2024_(?P<atmosphere>mp|ms|ap)_t(?P<teff>\d{4,5})_g(?P<logg>[+-]\d\.\d)"
    r"_m(?P<m_h>[+-]\d\.\d\d)_a(?P<a_m>[+-]\d\.\d\d)_c(?P<c_m>[+-]\d\.\d\d)"
    r"_v(?P<microturbulence>\d)_r(?P<resolution>\d+)_resam\.txt(?:\.gz)?"
)


def bosz2024_name(name: ArchiveName) -> str:
    """Spell the file name of a node."""
    letters = {atmosphere: letters for letters, atmosphere in ATMOSPHERES.items()}
    teff, logg, m_h, a_m, c_m = (value + 0.0 for value in name.labels)
    return (
        f"bosz2024_{letters[name.atmosphere]}_t{teff:.0f}_g{logg:+.1f}_m{m_h:+.2f}_a{a_m:+.2f}"
        f"_c{c_m:+.2f}_v{name.microturbulence:.0f}_r{name.resolution}_resam.txt.gz"
    )


def bosz2024_path(name: ArchiveName) -> str:
    """Place of a node's file below the archive's address."""
    return f"r{name.resolution}/m{name.labels.m_h + 0.0:+.2f}/{bosz2024_name(name)}"


def bosz2024_url(name: ArchiveName) -> str:
    """Address of a node's file; a plus sign has to be escaped."""
    return f"{ARCHIVE}/{bosz2024_path(name).replace('+', '%2B')}"


def bosz2024_nodes(
    compositions: Iterable[tuple[float, float, float]] = COMPOSITIONS,
) -> Iterator[NodeLabels]:
    """Nodes the release lays out, in label order; two to five percent do not exist.

    Parameters
    ----------
    compositions : iterable of ([M/H], [alpha/M], [C/M])
        All of the release by default, the same as in 2017 [dex].
    """
    compositions = tuple(compositions)
    for teff in np.r_[2800:4001:100, 4250:12001:250, 12500:16001:500].tolist():
        first, last = next(limits for hottest, *limits in GRAVITIES if teff <= hottest)
        gravities = np.arange(first, last + 0.1, 0.5).tolist()
        for logg, composition in product(gravities, compositions):
            yield NodeLabels(float(teff), logg, *composition)


def bosz2024_atmosphere(labels: NodeLabels) -> str:
    """Model atmosphere of a node; from 7500 to 8000 K, where there are two, MARCS."""
    if labels.teff > HOTTEST_MARCS:
        return ATMOSPHERES["ap"]
    return ATMOSPHERES["mp" if labels.logg >= LOWEST_PLANE_PARALLEL else "ms"]


def parse_bosz2024(file_name: str) -> ArchiveName:
    """Labels, resolution and model atmosphere from a 2024 file name, unpacked or not.

    Raises
    ------
    GridError
        If the name is not one the release can have.
    """
    match = NAME.fullmatch(file_name)
    if match is None:
        raise GridError(
            "not a name of the 2024 release (like "
            "bosz2024_mp_t5000_g+4.5_m+0.00_a+0.00_c+0.00_v2_r5000_resam.txt.gz)"
        )
    name = ArchiveName(
        release="2024",
        labels=NodeLabels(*(float(match[label]) for label in NodeLabels._fields)),
        resolution=int(match["resolution"]),
        microturbulence=float(match["microturbulence"]),
        atmosphere=ATMOSPHERES[match["atmosphere"]],
    )
    if bosz2024_name(name) != file_name.removesuffix(".gz") + ".gz":
        raise GridError(f"spelled otherwise than the release would: {bosz2024_name(name)}")
    if name.resolution not in RESOLUTIONS:
        raise GridError(f"r{name.resolution}: the release has R = {RESOLUTIONS}")
    if name.microturbulence not in MICROTURBULENCES:
        raise GridError(f"v{name.microturbulence:.0f}: the release has {MICROTURBULENCES} km/s")
    return name


def bosz2024_wave(resolution: int) -> np.ndarray:
    """Wavelengths of every file of a resolution: the release stores none.

    Returns
    -------
    wave : float64 array, shape (15 R,)
        As the archive means them: vacuum to 2000 Å, air above [Å].
    """
    n_wave = SAMPLES_PER_R * resolution
    return FIRST_WAVE * np.exp(np.arange(n_wave) * (math.log(WAVE_RATIO) / n_wave))


def read_bosz2024(content: bytes, file_name: str, name: ArchiveName) -> ModelSpectrum:
    """Spectrum of one file.

    Parameters
    ----------
    content : bytes
        The file as downloaded, or as a browser unpacked it.
    file_name : str
        Ends in ``.gz`` where it is packed.
    name : ArchiveName
        Its resolution decides the wavelengths.

    Returns
    -------
    spectrum : ModelSpectrum
        Whole range, vacuum, F = 4 pi H.

    Raises
    ------
    DataError
        If the file is damaged or has another number of rows.
    """
    from starsmith.data_contract.air import air_to_vacuum

    try:
        packed = file_name.endswith(".gz")
        text = unpack(content, "gz", most_text(name.resolution)) if packed else content
    except ValueError as problem:
        raise DataError(f"archive is damaged ({problem}); fetch it again") from None
    n_wave = SAMPLES_PER_R * name.resolution
    try:
        table = np.loadtxt(io.BytesIO(text), ndmin=2, comments=None) if text else np.empty((0, 2))
    except ValueError as problem:
        raise DataError(f"text is damaged ({problem}); fetch it again") from None
    if table.shape != (n_wave, 2):
        raise DataError(
            f"has {table.shape[0]} rows of {table.shape[1]} columns, expected {n_wave} rows of H "
            f"and continuum for R = {name.resolution}; fetch it again"
        )
    wave = bosz2024_wave(name.resolution)
    eddington_flux, continuum = table.T
    return ModelSpectrum(
        wave=np.where(wave > LAST_VACUUM, air_to_vacuum(wave), wave),
        flux=(SURFACE_FLUX * eddington_flux).astype(np.float32),
        continuum=(SURFACE_FLUX * continuum).astype(np.float32),
    )
