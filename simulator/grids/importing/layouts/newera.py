"""PHOENIX/1D NewEra (Hauschildt+ 2025): one HDF5 file a model.

``lte05000-4.50-0.0.PHOENIX-NewEra-ACES-COND-2023.HSR.h5``, with ``.alpha=+0.4`` before PHOENIX
where [α/Fe] is not 0. ``/PHOENIX_SPECTRUM/wl`` holds vacuum wavelengths [Å], ``flux`` the decimal
logarithm of the surface flux [erg/s/cm²/cm]. Models have wavelengths of their own: sample them
alike.
"""

import re
from collections.abc import Iterator

import numpy as np

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.files.hdf5_check import hdf5_array, open_hdf5
from starsmith.data_contract.surveys.outside_file import damage_of
from starsmith.simulator.grids.importing.layout import FoundModel, Layout, SpectraFile
from starsmith.simulator.grids.importing.node_labels import NodeLabels
from starsmith.simulator.grids.importing.statement import RawSpectrum, Statement

__all__ = ["NEWERA", "newera_labels"]

NAME = re.compile(
    r"n?lte(?P<teff>\d{5})(?P<minus_logg>[-+]\d\.\d{1,2})(?P<m_h>[-+]\d\.\d{1,2})"
    r"(?:\.alpha=(?P<a_m>[-+]?\d\.\d{1,2}))?\.PHOENIX-NewEra-.*HSR.*\.h5"
)
ARRAYS = ("PHOENIX_SPECTRUM/wl", "PHOENIX_SPECTRUM/flux")
MOST_SAMPLES = 2**24
LARGEST_LOG = 30.0  # of a flux; brighter is no star, and overflows


def newera_labels(name: str) -> NodeLabels:
    """Labels of a file's name; GridError where it is none of the grid's."""
    match = NAME.fullmatch(name)
    if match is None:
        raise GridError("no name of NewEra, like lte05000-4.50-0.0.PHOENIX-NewEra-...HSR.h5")
    logg, m_h = 0.0 - float(match["minus_logg"]), 0.0 + float(match["m_h"])
    return NodeLabels(float(match["teff"]), logg, m_h, float(match["a_m"] or 0.0))


def _read(file: SpectraFile) -> Iterator[FoundModel]:
    labels = newera_labels(file.path.name)
    with open_hdf5(file.path) as root:
        arrays = [hdf5_array(root, name, rank=1) for name in ARRAYS]
        if any(array is None for array in arrays):
            raise GridError(f"has no {' and '.join(f'/{name}' for name in ARRAYS)}; fetch it again")
        wave, log_flux = (damage_of(file.path, lambda a=a: _column(a)) for a in arrays)
    if wave.size != log_flux.size:
        raise GridError(f"has {wave.size} wavelengths and {log_flux.size} fluxes; fetch it again")
    if np.any(log_flux > LARGEST_LOG):
        raise GridError("its flux is no decimal logarithm; fetch it again, unconverted")
    yield FoundModel(labels, RawSpectrum(wave=wave, value=10.0**log_flux))


def _column(array: object) -> np.ndarray:
    if array.size > MOST_SAMPLES:  # type: ignore[attr-defined]
        raise ValueError(f"{array.size} samples, expected at most {MOST_SAMPLES}")  # type: ignore[attr-defined]
    return np.asarray(array[()], dtype=np.float64)  # type: ignore[index]


NEWERA = Layout(
    name="newera",
    title="PHOENIX/1D NewEra HSR",
    citation="Hauschildt et al. 2025, A&A (NewEra model grid)",
    says=Statement(
        medium="vacuum", flux="F_lambda", flux_unit="erg / (s cm2 cm)", wave_unit="Angstrom"
    ),
    owns=lambda name: "NewEra" in name and name.endswith(".h5"),
    read=_read,
    labels_of=newera_labels,
    sampled_resolution=True,
)
