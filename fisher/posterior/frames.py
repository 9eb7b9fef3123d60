"""Frames of velocity that spectra are compressed in, no pixel interpolated.

The modes of a `Compression` are moved to the velocity of a frame, and a spectrum's coefficients are
those of the combination of moved modes that fits it best under the typical noise,

    z = (R Rᵀ)⁻¹ R (w y),      R = w times the moved modes, 0 beyond the ends of an arm.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.surveys.standardise.resampling import arms_of

__all__ = ["STEP", "Frames", "frame_velocities"]

STEP = 20.0  # km/s between frames, at most
FEWEST = 4  # pixels of an arm that is interpolated in


def frame_velocities(span: tuple[float, float]) -> np.ndarray:
    """Velocities of the frames for stars of a range of velocities, float64 (n_frame,) [km/s]."""
    n = int(np.ceil((span[1] - span[0]) / STEP))
    edges = np.linspace(span[0], span[1], max(n, 1) + 1)
    return 0.5 * (edges[1:] + edges[:-1])


@dataclass(frozen=True)
class Frames:
    """Frames of a projection.

    Attributes
    ----------
    velocities : float64, shape (n_frame,)
        Receding positive [km/s].
    wave : float64, shape (n_wave,)
        Vacuum [Å].
    weight : float64, shape (n_wave,)
        1 / typical σ of a pixel [1/flux].
    modes : float64, shape (n_mode, n_wave)
        Of stars at rest; see `Compression`.
    """

    velocities: np.ndarray
    wave: np.ndarray
    weight: np.ndarray
    modes: np.ndarray

    def __len__(self) -> int:
        return len(self.velocities)

    def moved(self, spectra: np.ndarray, rv: float) -> np.ndarray:
        """Spectra (n, n_wave) of stars at rest, as they are seen at a velocity; 0 beyond an arm."""
        at = self.wave / (1.0 + rv / LIGHT_SPEED_KM_S)
        seen, covered = np.zeros_like(spectra), self._covered(at)
        for arm in self._arms:
            inside = arm[covered[arm]]
            spline = CubicSpline(self.wave[arm], spectra[:, arm].T)
            seen[:, inside] = spline(at[inside]).T
        return seen

    def covers(self, frame: int) -> np.ndarray:
        """Pixels at which its moved modes are known, bool (n_wave,)."""
        return self._covered(self.wave / (1.0 + self.velocities[frame] / LIGHT_SPEED_KM_S))

    def _covered(self, at: np.ndarray) -> np.ndarray:
        """Pixels whose light at rest, of wavelengths (n_wave,), lies within their arm."""
        inside = np.zeros(at.size, dtype=bool)
        for arm in self._arms:
            first, last = self.wave[arm[[0, -1]]]
            inside[arm] = (at[arm] >= first) & (at[arm] <= last)
        return inside

    def rows(self, frame: int) -> np.ndarray:
        """Moved modes, whitened: R of the module, float64 (n_mode, n_wave)."""
        return self.moved(self.modes / self.weight, self.velocities[frame]) * self.weight

    def projector(self, frame: int) -> np.ndarray:
        """(R Rᵀ)⁻¹ R, float64 (n_mode, n_wave): coefficients of whitened flux."""
        rows = self.rows(frame)
        return np.linalg.solve(rows @ rows.T, rows)

    def flux_modes(self, frame: int) -> np.ndarray:
        """Moved modes in units of flux, float32 (n_mode, n_wave); kept once made."""
        if frame not in self._flux_modes:
            moved = self.moved(self.modes / self.weight, self.velocities[frame])
            self._flux_modes[frame] = moved.astype(np.float32)
        return self._flux_modes[frame]

    @cached_property
    def _flux_modes(self) -> dict[int, np.ndarray]:
        return {}

    @cached_property
    def _arms(self) -> list[np.ndarray]:
        return [arm for arm in arms_of(self.wave) if arm.size >= FEWEST]
