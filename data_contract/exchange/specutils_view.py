"""Simulated spectra as objects of specutils."""

from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.masks import MASK_BITS
from starsmith.data_contract.quantities import SNR_STATISTICS

if TYPE_CHECKING:
    from specutils import Spectrum

__all__ = ["to_specutils"]


def to_specutils(batch: SpectrumBatch, row: int | None = None) -> "Spectrum":
    """Observed spectra as a specutils Spectrum with its uncertainty, mask and metadata.

    Parameters
    ----------
    batch : SpectrumBatch
        Of one arm (`SpectrumBatch.arm` gives one of several).
    row : int, optional
        One spectrum; all of them, as one object of shape (n_spec, n_wave), by default.

    Returns
    -------
    spectrum : specutils.Spectrum
        Flux and standard deviation [1e-17 erg/s/cm²/Å] over vacuum wavelength [Å]; ``mask`` is
        True for pixels not to be used, and ``meta["mask_bits"]`` says why.

    Raises
    ------
    ModuleNotFoundError
        If specutils is not installed (the extra ``view``).
    """
    from astropy import units
    from astropy.nddata import StdDevUncertainty
    from specutils import Spectrum

    some = slice(None) if row is None else row
    flux_unit = units.Unit("1e-17 erg / (s cm2 Angstrom)")
    draws = batch.draws
    snr = {name: getattr(batch, name) for name in SNR_STATISTICS}
    meta = {name: values[some] for name, values in (draws.columns | snr).items()}
    meta |= {"seed": draws.seed, "split": draws.split, "index": draws.index[some]}
    meta |= {"medium": "vacuum", "mask_bits": batch.mask[some], "mask_planes": dict(MASK_BITS)}
    return Spectrum(
        flux=np.asarray(batch.flux[some], dtype=np.float64) * flux_unit,
        spectral_axis=batch.wave * units.AA,
        uncertainty=StdDevUncertainty(np.asarray(batch.error[some], dtype=np.float64)),
        mask=~batch.usable[some],
        meta=meta,
    )
