"""Reddening: what a bank needs so that its stars can be seen through dust.

A magnitude is measured behind the dust. Light of a star with reddening E(B-V) is
f = 10^(-0.4 (m + k E(B-V))) F / <F 10^(-0.4 k E(B-V))>, k = A(wave) / E(B-V); the mean over the
band is tabulated per node and interpolated in E(B-V).
"""

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.bank.reddening import ReddeningTables
from starsmith.data_contract.errors import DataError
from starsmith.simulator.instruments.dust import attenuation, extinction_per_reddening
from starsmith.simulator.rendering.band import Maggies

__all__ = ["EBV_NODES", "dust_tables", "reddened_maggies", "reddening_tables"]

EBV_MOST = 2.0  # [mag]
N_EBV = 7
EBV_NODES = 0.5 * EBV_MOST * (1.0 - np.cos(np.pi * np.arange(N_EBV) / (N_EBV - 1)))
"""E(B-V) tabulated: Chebyshev points, where a polynomial errs least."""

DustCurve = tuple[np.ndarray, np.ndarray] | None


def reddened_maggies(
    maggies: Maggies, wave: np.ndarray, reddening: bool, curve: DustCurve = None
) -> list[Maggies]:
    """Ways to measure spectra: as they are, then behind each tabulated column of dust.

    Parameters
    ----------
    maggies : callable
        Of spectra (n_spec, n_wave), as `band_maggies` gives.
    wave : float64 array, shape (n_wave,)
        Of those spectra, vacuum [Å].
    reddening : bool
        Only as they are, if False.
    curve : (wave_nm, a_per_ebv), optional
        The instrument's own dust, see `extinction_per_reddening`.

    Returns
    -------
    measures : list of callable
        Of no dust first.
    """

    def behind(ebv: float) -> Maggies:
        through = attenuation(wave, float(ebv), curve)
        return lambda spectra: maggies(spectra * through)

    return [maggies, *(behind(ebv) for ebv in EBV_NODES[1:])] if reddening else [maggies]


def reddening_tables(
    wave: np.ndarray, band_coefs: list[np.ndarray], curve: DustCurve = None
) -> ReddeningTables:
    """Tables of a bank at pixels ``wave`` [Å], from the band coefficients of each measure."""
    return ReddeningTables(
        ebv=EBV_NODES,
        extinction=extinction_per_reddening(wave, curve),
        band_coef=np.stack(band_coefs),
    )


def dust_tables(bank: Bank, ebv: np.ndarray) -> ReddeningTables:
    """Reddening tables of a bank; DataError where it has none."""
    if bank.reddening is None:
        raise DataError(
            f"E(B-V) up to {np.max(ebv):g} asked for, but this bank knows no dust; render it "
            "again with --reddening, or leave --bank out"
        )
    return bank.reddening
