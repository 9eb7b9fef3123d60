"""What the formal solution needs: the source function and a table of the exponential integral."""

from functools import lru_cache

import numpy as np
from scipy.special import expn

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.kernels.synthesis_transfer import E4_MAX, E4_PER_UNIT
from starsmith.simulator.synthesis.atomic_constants import HC_OVER_K, LIGHT_SPEED, PLANCK

__all__ = ["exponential_integral_table", "planck"]


@lru_cache(maxsize=1)
def exponential_integral_table() -> np.ndarray:
    """Cubic Hermite pieces of E4(x) on cells of 1/32, shape (n_cell, 4), lowest power first.

    Value and slope (-E3) are exact at the cell edges, so differences over a small step keep their
    relative accuracy.
    """
    edges = np.arange(int(E4_MAX * E4_PER_UNIT) + 1) / E4_PER_UNIT  # cell borders in optical depth
    value, slope = expn(4, edges), -expn(3, edges) / E4_PER_UNIT  # dE4/dx = -E3
    left, right = value[:-1], value[1:]
    rise = right - left
    # cubic Hermite: value and slope are right at both ends
    square = 3.0 * rise - 2.0 * slope[:-1] - slope[1:]
    cube = slope[:-1] + slope[1:] - 2.0 * rise
    return np.ascontiguousarray(np.array([left, slope[:-1], square, cube]).T)


def planck(wave: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Planck function B_λ [erg/s/cm²/Å/sr]; ``wave`` in Å, arguments broadcast."""
    cm = wave * 1e-8  # Å to cm
    return (
        2e-8  # 2hc²/λ⁵ per cm; 1e-8 makes it per Å [erg/s/cm²/Å/sr]
        * PLANCK
        * LIGHT_SPEED**2
        / fixed.power(cm, 5)
        / fixed.expm1(HC_OVER_K / (cm * temperature))
    )
