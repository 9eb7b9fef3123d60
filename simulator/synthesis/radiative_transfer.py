"""What the formal solution needs besides opacity: the source function."""

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.synthesis.atomic_constants import HC_OVER_K, LIGHT_SPEED, PLANCK

__all__ = ["planck"]


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
