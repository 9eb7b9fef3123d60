"""The releases an importer can read, and which of them a file name belongs to."""

from collections.abc import Callable
from typing import NamedTuple

from starsmith.simulator.grids.bosz.names2017 import parse_bosz2017
from starsmith.simulator.grids.bosz.read2017 import read_bosz2017
from starsmith.simulator.grids.bosz.release2024 import parse_bosz2024, read_bosz2024
from starsmith.simulator.grids.importing.model_spectrum import ModelSpectrum
from starsmith.simulator.grids.importing.node_labels import ArchiveName

__all__ = ["RELEASES", "Release", "parse_archive_name"]


class Release(NamedTuple):
    """How to read a release, and what to say of it."""

    read: Callable[[bytes, str, ArchiveName], ModelSpectrum]
    citation: str
    source: str
    stored_flux: str
    stored_medium: str


RELEASES = {
    "2017": Release(
        read=read_bosz2017,
        citation="Bohlin et al. 2017, AJ 153, 234; MAST HLSP BOSZ, doi:10.17909/T95G68",
        source="https://archive.stsci.edu/missions/hlsp/bosz",
        stored_flux="F / pi",
        stored_medium="vacuum",
    ),
    "2024": Release(
        read=read_bosz2024,
        citation=("Mészáros et al. 2024, A&A 688, A197; MAST HLSP BOSZ, doi:10.17909/T95G68"),
        source="https://archive.stsci.edu/hlsps/bosz/bosz2024",
        stored_flux="F / (4 pi)",
        stored_medium="air above 2000 Angstrom",
    ),
}


def parse_archive_name(file_name: str) -> ArchiveName:
    """Release, labels and resolution from a file name.

    Raises
    ------
    GridError
        If no release can have such a name.
    """
    if file_name.startswith("bosz2024"):
        return parse_bosz2024(file_name)
    return parse_bosz2017(file_name)
