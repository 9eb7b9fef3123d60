"""Mask bits: names and numbers as in the data products of the PFS pipeline."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["MASK_BITS", "mask_value"]

MASK_BITS: Mapping[str, int] = MappingProxyType(
    {
        "BAD": 0,
        "SAT": 1,
        "INTRP": 2,
        "CR": 3,
        "EDGE": 4,
        "DETECTED": 5,
        "DETECTED_NEGATIVE": 6,
        "SUSPECT": 7,
        "NO_DATA": 8,
    }
)
"""Plane -> bit: the planes that every mask of the LSST image classes, and so of PFS, begins with.

Simulated spectra use ``CR`` (one or more exposures lost to a cosmic ray), ``INTRP`` and
``NO_DATA`` (all of them lost: the flux is interpolated).
"""


def mask_value(*names: str) -> int:
    """Mask with the bits of some planes set; KeyError for an unknown plane."""
    return sum(1 << MASK_BITS[name] for name in set(names))
