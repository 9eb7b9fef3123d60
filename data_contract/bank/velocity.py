"""Tables of a bank that let its spectra be shifted in velocity before they meet the pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import zarr

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.bank.components import Piece, pieces
from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.zarr_groups import StoredGroup, read_arrays, write_array

__all__ = ["VelocityTables", "read_velocity", "write_velocity"]

DIMENSIONS = {
    "wave": ("sample",),
    "coef": ("node", "sample"),
    "basis": ("component", "sample"),
    "first": ("wavelength",),
    "weights": ("phase", "wavelength", "tap"),
}
KINDS = {
    "step": ("float64", ()),
    "resolution": ("float64", ()),
    "wave": ("float64", ("sample",)),
    "coef": ("float32", ("node", "spectrum")),
    "basis": ("float32", ("spectrum", "sample")),
    "first": ("int64", ("wavelength",)),
    "weights": ("float32", ("phase", "wavelength", "tap")),
}


@dataclass(frozen=True, kw_only=True)
class VelocityTables:
    """Node spectra on a grid of constant velocity step, and how pixels collect its samples.

    A star of radial velocity rv is seen at wave (1 + rv/c). On a logarithmic grid that is a
    shift by ln(1 + rv/c) / step samples, the same everywhere: ``weights`` are tabulated for
    ``n_phase`` fractions of a sample and interpolated linearly between them.

    Attributes
    ----------
    step : float
        ln(wave) from one sample to the next.
    resolution : float
        wave / FWHM of the Gaussian profile the samples carry.
    wave : float64, shape (n_sample,)
        Rest wavelengths, vacuum [Å].
    coef : float32, shape (n_node, n_sample), or (n_node, n_component) where there is a basis
        Spline coefficients as in the bank, at these samples.
    first : int64, shape (n_wave,)
        First sample that pixel j collects at rest.
    weights : float32, shape (n_phase + 1, n_wave, n_tap)
        Share of samples ``first[j] + k`` in pixel j after a shift by phase / n_phase samples:
        what is left of the line profile, integrated over the pixel; each pixel's sum is 1.
    basis : float32, shape (n_component, n_sample), optional
        Spectra that the coefficients of a compressed bank are amplitudes of.
    """

    step: float
    resolution: float
    wave: np.ndarray
    coef: np.ndarray
    first: np.ndarray
    weights: np.ndarray
    basis: np.ndarray | None = None

    def __post_init__(self):
        n_phase, n_wave, n_tap = self.weights.shape
        spectra = self.coef if self.basis is None else self.basis
        if (
            spectra.shape[1:] != self.wave.shape
            or (self.basis is not None and self.coef.shape[1] != len(self.basis))
            or self.coef.dtype != np.float32
            or self.first.shape != (n_wave,)
            or self.first.min() < 0
            or self.first.max() + n_tap > self.wave.size
            or n_phase < 2
        ):
            raise DataError(
                f"velocity tables do not fit together: coef {self.coef.shape}, "
                f"wave {self.wave.shape}, first {self.first.shape}, weights {self.weights.shape}"
            )

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Pieces of the basis of a compressed bank."""
        return pieces(self.basis)

    @cached_property
    def limits_km_s(self) -> tuple[float, float]:
        """Lowest and highest radial velocity the samples reach [km/s]."""
        n_tap = self.weights.shape[2]
        shifts = np.array([self.first[-1] + n_tap - self.wave.size, self.first[0]])
        low, high = LIGHT_SPEED_KM_S * fixed.expm1(shifts * self.step)
        return float(low), float(high)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as named arrays; scalars have shape ()."""
        present = {name for name in DIMENSIONS if getattr(self, name) is not None}
        return {
            "step": np.float64(self.step),
            "resolution": np.float64(self.resolution),
            **{name: getattr(self, name) for name in DIMENSIONS if name in present},
        }


def write_velocity(group: zarr.Group, tables: VelocityTables) -> None:
    """Store velocity tables as the subgroup ``velocity``."""
    stored = group.create_group("velocity")
    for name, values in tables.arrays().items():
        chunks = (min(64, len(values)), values.shape[1]) if name == "coef" else None
        write_array(stored, name, values, DIMENSIONS.get(name, ()), chunks)


def read_velocity(group: StoredGroup, sizes: Mapping[str, int]) -> VelocityTables | None:
    """Read the subgroup ``velocity``, None where there is none; sizes are those of the bank."""
    if "velocity" not in group:
        return None
    needed = set(KINDS) - {"basis"}
    arrays = read_arrays(group.group("velocity"), KINDS, sizes, needed)
    scalars = {name: float(arrays.pop(name)) for name in ("step", "resolution")}
    return VelocityTables(**scalars, **arrays)
