"""Tables of a bank that let its stars be seen through dust."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import zarr

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.zarr_groups import StoredGroup, read_arrays, write_array

__all__ = ["ReddeningTables", "read_reddening", "write_reddening"]

DIMENSIONS = {
    "ebv": ("reddening",),
    "extinction": ("wavelength",),
    "band_coef": ("reddening", "node"),
}


@dataclass(frozen=True, kw_only=True)
class ReddeningTables:
    """Band fluxes of the nodes behind several columns of dust, and its extinction at the pixels.

    Attributes
    ----------
    ebv : float64, shape (n_ebv,)
        Reddenings E(B-V) tabulated, increasing from 0 [mag].
    extinction : float64, shape (n_wave,)
        A(λ) / E(B-V) at the bank's pixels [mag per mag].
    band_coef : float64, shape (n_ebv, n_node)
        As the bank's ``band_coef``, behind each of them.
    """

    ebv: np.ndarray
    extinction: np.ndarray
    band_coef: np.ndarray

    def __post_init__(self):
        n_ebv = self.ebv.size
        if n_ebv < 2 or self.ebv[0] != 0.0 or np.any(np.diff(self.ebv) <= 0.0):
            raise DataError(f"reddening tables: E(B-V) {self.ebv} does not increase from 0")
        if self.band_coef.ndim != 2 or len(self.band_coef) != n_ebv:
            raise DataError(
                f"reddening tables: band_coef {self.band_coef.shape} does not fit {n_ebv} columns"
            )

    @cached_property
    def _polynomials(self) -> np.ndarray:
        """Matrix from values at the nodes to coefficients of powers of E(B-V) / largest."""
        return fixed.solve(
            np.vander(self.ebv / self.ebv[-1], increasing=True), np.eye(self.ebv.size)
        )

    def dimming(self, rows: np.ndarray, weights: np.ndarray, ebv: np.ndarray) -> np.ndarray:
        """Band flux behind dust over band flux without, by the polynomial through ln of it.

        Parameters
        ----------
        rows : int32 array, shape (n_spec, n_support)
            Nodes that each star is a combination of.
        weights : float64 array, shape (n_spec, n_support)
        ebv : float64 array, shape (n_spec,)

        Returns
        -------
        ratio : float64 array, shape (n_spec,)
            1 where there is no dust.

        Raises
        ------
        DataError
            If a reddening leaves the tables.
        """
        self._check(ebv)
        band = np.einsum("ns,ens->ne", weights, self.band_coef[:, rows])
        powers = np.vander(ebv / self.ebv[-1], self.ebv.size, increasing=True)
        log_ratio = fixed.matmul(fixed.log(band / band[:, :1]), self._polynomials.T)
        return fixed.exp((powers * log_ratio).sum(axis=1))

    def transmission(self, ebv: np.ndarray) -> np.ndarray:
        """Fraction of light that passes the dust, float32 (n_spec, n_wave)."""
        per_mag = (-0.4 * fixed.log(10.0) * self.extinction).astype(np.float32)
        return np.exp(ebv.astype(np.float32)[:, None] * per_mag)

    def _check(self, ebv: np.ndarray) -> None:
        if ebv.size and not (ebv.min() >= 0.0 and ebv.max() <= self.ebv[-1]):
            raise DataError(
                f"ebv spans {ebv.min():g}..{ebv.max():g}, but the bank's tables hold "
                f"0..{self.ebv[-1]:g}; choose --ebv within them"
            )

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as named arrays."""
        return {name: getattr(self, name) for name in DIMENSIONS}


def write_reddening(group: zarr.Group, tables: ReddeningTables) -> None:
    """Store reddening tables as the subgroup ``reddening``."""
    stored = group.create_group("reddening")
    for name, values in tables.arrays().items():
        write_array(stored, name, values, DIMENSIONS[name])


def read_reddening(group: StoredGroup, sizes: Mapping[str, int]) -> ReddeningTables | None:
    """Read the subgroup ``reddening``, None where there is none; sizes are those of the bank."""
    if "reddening" not in group:
        return None
    kinds = {name: ("float64", dims) for name, dims in DIMENSIONS.items()}
    return ReddeningTables(**read_arrays(group.group("reddening"), kinds, sizes, kinds))
