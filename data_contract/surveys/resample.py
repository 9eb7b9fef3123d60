"""Observed spectra brought to given wavelengths by straight lines between pixels."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum

__all__ = ["resampled", "wave_of_text"]


def resampled(
    wave: np.ndarray,
) -> Callable[[SurveySpectrum], SurveySpectrum]:
    """What brings a spectrum to wavelengths [Å] by straight lines between pixels of each arm.

    Arms are joined into one; where they overlap, the later one stands. A pixel can be used where
    both neighbours that it falls between can. Errors are interpolated alike: neighbours are no
    longer independent.
    """

    def bring(spectrum: SurveySpectrum) -> SurveySpectrum:
        flux, mask = np.full(wave.size, np.nan), np.full(wave.size, mask_value("NO_DATA"))
        error = np.ones(wave.size) if spectrum.has_error else None
        for arm in spectrum.arms:
            right = np.clip(np.searchsorted(arm.wave, wave), 1, arm.wave.size - 1)
            usable = arm.usable
            here = usable[right - 1] & usable[right]
            here &= (wave >= arm.wave[0]) & (wave <= arm.wave[-1])
            flux[here], mask[here] = np.interp(wave, arm.wave, arm.flux)[here], 0
            if error is not None:
                error[here] = np.interp(wave, arm.wave, arm.error)[here]
        arm = SpectrumArm(wave=wave, flux=flux, error=error, mask=mask.astype(np.uint32), name="")
        return replace(spectrum, arms=(arm,), covariance=None)

    return bring


def wave_of_text(text: str) -> np.ndarray:
    """Wavelengths [Å] of ``start:stop:step``, or ``start:stop:step log10`` in dex.

    Raises
    ------
    DataError
        If it is something else, or no increasing wavelengths of at most a million pixels.
    """
    parts, _, kind = text.partition(" ")
    try:
        start, stop, step = (float(part) for part in parts.split(":"))
        if kind not in ("", "log10") or not 0 < start < stop or not step > 0:
            raise ValueError
        count = (np.log10(stop / start) if kind else stop - start) / step
        if not count <= 1e6:
            raise ValueError
    except ValueError:
        raise DataError(
            f"wavelengths {text!r}: expected start:stop:step [Å], or 'start:stop:step log10' with "
            "the step in dex"
        ) from None
    steps = step * np.arange(int(count + 1e-6) + 1)
    return start * 10.0**steps if kind else start + steps
