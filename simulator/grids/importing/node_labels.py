"""What a file says of its model before it is opened."""

from typing import NamedTuple

__all__ = ["ArchiveName", "NodeLabels"]


class NodeLabels(NamedTuple):
    """Labels of one model, in the order of every label array [K, dex, dex, dex, dex]."""

    teff: float
    logg: float
    m_h: float
    a_m: float = 0.0
    c_m: float = 0.0


class ArchiveName(NamedTuple):
    """What an archive file says about itself before it is opened."""

    release: str
    labels: NodeLabels
    resolution: int
    microturbulence: float = 2.0  # [km/s]
    atmosphere: str = "ATLAS9"
