"""The rotational lines of a molecule, as its band model hands them over."""

from dataclasses import dataclass

import numpy as np

__all__ = ["RotationalLines"]


@dataclass(frozen=True)
class RotationalLines:
    """Lines of one molecule, arrays of shape (n_line,).

    Attributes
    ----------
    wavenumber : float64
        [1/cm], vacuum.
    gf : float64
        Oscillator strength times lower weight.
    energy : float64
        Lower level above the molecule's lowest [eV].
    """

    wavenumber: np.ndarray
    gf: np.ndarray
    energy: np.ndarray
