"""Range and sampling of a synthetic spectrum, and the version of its physics."""

import math
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.errors import GridError

__all__ = ["COVERED", "LINES_COVER", "PHYSICS_VERSION", "Sampling", "wavelength_grid"]

PHYSICS_VERSION = 10  # raise with every change of physics or numbers in code: caches rebuild
LINES_COVER = (6400.0, 9000.0)  # of ``lines.csv`` [Å]
COVERED = ((3200.0, 10_600.0), (15_000.0, 17_000.0))  # vacuum [Å], lines act 40 Å beyond


@dataclass(frozen=True)
class Sampling:
    """Wavelength range and sampling of a synthetic spectrum, and its microturbulence.

    Attributes
    ----------
    wave_min, wave_max : float
        Vacuum [Å].
    step_km_s : float
        Fine step of the synthesis [km/s].
    resolution : float
        λ/FWHM of the Gaussian line-spread function.
    stride : int
        Fine steps per output point.
    microturbulence : float, optional
        [km/s], 0 to 10; by default that usual for the star's labels.
    """

    wave_min: float = 6400.0  # [Å], vacuum
    wave_max: float = 9000.0
    step_km_s: float = 1.0
    resolution: float = 20000.0
    stride: int = 5
    microturbulence: float | None = None

    @property
    def is_wide(self) -> bool:
        """Whether it reaches beyond the lines of 640-900 nm."""
        return not (LINES_COVER[0] <= self.wave_min and self.wave_max <= LINES_COVER[1])

    def __post_init__(self) -> None:
        # points of the output per FWHM
        per_fwhm = LIGHT_SPEED_KM_S / self.resolution / (self.step_km_s * self.stride)
        ends = self.wave_min, self.wave_max
        if not any(low <= ends[0] < ends[1] <= high for low, high in COVERED):
            ranges = " or ".join(f"{low:g}-{high:g} Å" for low, high in COVERED)
            raise GridError(
                f"wavelength range {ends[0]:g}-{ends[1]:g} Å: choose wave_min < wave_max within "
                f"{ranges}, which the line lists cover"
            )
        if self.microturbulence is not None and not 0.0 <= self.microturbulence <= 10.0:
            raise GridError(
                f"microturbulence {self.microturbulence:g} km/s: choose one within 0-10 km/s"
            )
        if per_fwhm < 2.5:
            raise GridError(
                f"{per_fwhm:.2f} output points per FWHM at resolution {self.resolution:g}, "
                f"at least 2.5 are needed: lower stride ({self.stride}) or step_km_s "
                f"({self.step_km_s:g})"
            )


def wavelength_grid(sampling: Sampling) -> np.ndarray:
    """Output wavelengths, vacuum [Å], shape (n_wave,)."""
    step = math.log1p(sampling.step_km_s / LIGHT_SPEED_KM_S) * sampling.stride
    n_wave = math.ceil(math.log(sampling.wave_max / sampling.wave_min) / step) + 1
    return sampling.wave_min * fixed.exp(step * np.arange(n_wave))
