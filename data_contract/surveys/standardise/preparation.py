"""What ingestion does to every spectrum, and what is recorded of it."""

from dataclasses import replace

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum, Velocity
from starsmith.data_contract.surveys.standardise.recipe import StandardRecipe
from starsmith.data_contract.surveys.standardise.standardise import Standardised, standardise

__all__ = ["Standardiser", "wave_of_text"]


class Standardiser:
    """Brings spectra to common pixels by a recipe, one after the other, and counts doubts.

    Parameters
    ----------
    recipe : StandardRecipe
    wave : float64 array, shape (n_wave,), optional
        Pixels [vacuum Å], instead of the recipe's own.

    Raises
    ------
    DataError
        If nobody states pixels.
    """

    def __init__(self, recipe: StandardRecipe, wave: np.ndarray | None = None):
        self.recipe = recipe
        self.wave = recipe.wave if wave is None else wave
        if self.wave is None:
            raise DataError("the recipe states no pixels: give it start, step and count, or --wave")
        self.doubts: dict[str, int] = {}
        self._lengths: list[float] = []

    @property
    def steps(self) -> tuple[str, ...]:
        """What is done, in words and in order."""
        recipe = self.recipe
        words = {
            "spikes": f"spikes masked ({recipe.spikes})" if recipe.spikes else "",
            "snr": "S/N on native pixels" if recipe.snr else "",
            "rest": "moved to rest" if recipe.rest else "",
            "continuum": f"over continuum ({recipe.continuum})" if recipe.continuum else "",
            "lsf": (
                f"lines brought to {recipe.fwhm:g} Å"
                if recipe.fwhm
                else f"lines brought to R = {recipe.resolution:g}"
                if recipe.resolution
                else ""
            ),
            "resample": f"resampled ({recipe.resample}) to {self.wave.size} pixels",
            "median": f"median {recipe.median:g}" if recipe.median else "",
        }
        return tuple(word for word in words.values() if word)

    def recorded(self) -> dict:
        """Recipe, order, and what was found of the spectra so far, as a header holds it."""
        lengths = np.array(self._lengths or [1.0])
        return {
            **self.recipe.recorded(),
            "correlation_length": round(float(np.median(lengths)), 4),
            "doubts": dict(sorted(self.doubts.items())),
        }

    def __call__(self, spectrum: SurveySpectrum) -> SurveySpectrum:
        """One spectrum on the pixels, in one arm; DataError where it cannot be used."""
        found = standardise(spectrum, self.recipe, self.wave)
        if "unknown_velocity" in found.doubts:
            raise DataError(
                "its velocity is not known; give it in the catalogue, or set rest = false"
            )
        for doubt in found.doubts:
            self.doubts[doubt] = self.doubts.get(doubt, 0) + 1
        if len(self._lengths) < 4096:  # a median of so many is known to 2 %
            self._lengths.append(found.correlation_length)
        arm = SpectrumArm(
            wave=self.wave,
            flux=found.flux,
            error=found.error,
            mask=found.mask,
            fwhm=self._fwhm(spectrum, found),
        )
        snr = spectrum.snr if np.isnan(found.snr) else found.snr
        velocity = Velocity(frame="rest") if self.recipe.rest else spectrum.velocity
        return replace(spectrum, arms=(arm,), covariance=None, snr=snr, velocity=velocity)

    def _fwhm(self, spectrum: SurveySpectrum, found: Standardised) -> np.ndarray | None:
        """Width of lines on the new pixels [Å]: the target's, or that of the arm they are from."""
        if "unknown_resolution" in found.doubts or any(a.fwhm is None for a in spectrum.arms):
            return None
        if (target := self.recipe.target_fwhm(self.wave)) is not None:
            return target
        wave = np.concatenate([arm.wave for arm in spectrum.arms])
        fwhm = np.concatenate([np.broadcast_to(a.fwhm, a.wave.shape) for a in spectrum.arms])
        known = np.isfinite(fwhm)
        if not known.any():
            return None
        order = np.argsort(wave[known])
        return np.interp(self.wave, wave[known][order], fwhm[known][order])


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
        if not 1 <= count <= 1e6:
            raise ValueError
    except ValueError:
        raise DataError(
            f"wavelengths {text!r}: expected start:stop:step [Å], or 'start:stop:step log10' with "
            "the step in dex"
        ) from None
    steps = step * np.arange(int(count + 1e-6) + 1)
    return start * 10.0**steps if kind else start + steps
