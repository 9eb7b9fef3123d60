"""The one grid of pixels of a data set, and observed spectra placed on it without resampling."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum

__all__ = ["PixelGrid", "Placed"]

SAME_PIXEL = 0.02  # of a pixel: wavelengths stored as float32 differ by less


@dataclass(frozen=True)
class Placed:
    """A spectrum on the pixels of a grid.

    Attributes
    ----------
    flux : float32, shape (n_wave,)
        Straight lines across pixels that cannot be used.
    error : float32, shape (n_wave,), or None
        1σ, likewise.
    mask : uint32, shape (n_wave,)
    snr : float
        Median over usable pixels of flux over error; NaN without an error.
    """

    flux: np.ndarray
    error: np.ndarray | None
    mask: np.ndarray
    snr: float


@dataclass(frozen=True, eq=False)
class PixelGrid:
    """Wavelengths of every arm, vacuum [Å]; arms follow one another and may overlap.

    Attributes
    ----------
    names : tuple of str
    waves : tuple of float64 arrays
    """

    names: tuple[str, ...]
    waves: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, spectrum: SurveySpectrum) -> "PixelGrid":
        """Grid of a spectrum's own pixels."""
        return cls(
            tuple(arm.name for arm in spectrum.arms), tuple(arm.wave for arm in spectrum.arms)
        )

    @property
    def wave(self) -> np.ndarray:
        """Wavelengths of all arms, float64 (n_wave,) [Å]."""
        return np.concatenate(self.waves)

    @property
    def arms(self) -> list[dict]:
        """Name and first pixel of each arm."""
        starts = np.cumsum([0, *(wave.size for wave in self.waves[:-1])])
        return [{"name": n, "start": int(s)} for n, s in zip(self.names, starts, strict=True)]

    def widened(self, spectrum: SurveySpectrum) -> "PixelGrid":
        """The grid that holds a further spectrum, whose pixels continue those of this one.

        Raises
        ------
        DataError
            If its pixels are others.
        """
        arms = {arm.name: arm for arm in spectrum.arms}
        if strangers := sorted(set(arms) - set(self.names)):
            raise DataError(f"it has arms {strangers}, those before it have {list(self.names)}")
        waves = tuple(
            _union(wave, arms[name].wave) if name in arms else wave
            for name, wave in zip(self.names, self.waves, strict=True)
        )
        if all(new is old for new, old in zip(waves, self.waves, strict=True)):
            return self
        return PixelGrid(self.names, waves)

    def place(self, spectrum: SurveySpectrum) -> Placed:
        """Put a spectrum on this grid: pixels that it has not are flagged ``NO_DATA``."""
        arms = {arm.name: arm for arm in spectrum.arms}
        parts = [
            _on(wave, arms.get(name)) for name, wave in zip(self.names, self.waves, strict=True)
        ]
        flux, error, mask = (
            parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        )
        good = mask == 0
        flux = _bridged(flux, good)
        if not spectrum.has_error:
            return Placed(flux, None, mask, np.nan if spectrum.snr is None else spectrum.snr)
        error = _bridged(error, good)
        with np.errstate(over="ignore"):
            ratio = flux / error
        return Placed(flux, error, mask, float(np.median(ratio if good.all() else ratio[good])))


def _union(wave: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Wavelengths of both; ``wave`` itself where it holds the other's already."""
    start = _offset(wave, other)
    before, after = max(0, -start), max(0, start + other.size - wave.size)
    if not before and not after:
        return wave
    return np.concatenate([other[:before], wave, other[other.size - after :]])


def _offset(wave: np.ndarray, other: np.ndarray) -> int:
    """Pixel of ``wave`` that the first of ``other`` is; DataError where they are no same grid."""
    if wave.size == other.size and np.array_equal(wave, other):
        return 0
    if other[0] >= wave[0]:
        start = int(np.argmin(np.abs(wave - other[0])))
    else:
        start = -int(np.argmin(np.abs(other - wave[0])))
    ours = wave[max(0, start) : max(0, start + other.size)]
    theirs = other[max(0, -start) : max(0, -start) + ours.size]
    if theirs.size < 2 or np.abs(ours - theirs).max() > SAME_PIXEL * np.diff(theirs).min():
        raise DataError(
            f"its pixels ({other.size} of {other[0]:.2f}..{other[-1]:.2f} Å) are not those of the "
            f"spectra before it ({wave.size} of {wave[0]:.2f}..{wave[-1]:.2f} Å); bring all to one "
            "grid with --wave"
        )
    return start


def _on(wave: np.ndarray, arm: SpectrumArm | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if arm is not None and np.array_equal(wave, arm.wave):
        error = np.ones(wave.size, np.float32) if arm.error is None else arm.error
        return arm.flux, error, _condemned(arm.mask.astype(np.uint32, copy=False), arm.usable)
    flux, error = np.zeros(wave.size), np.ones(wave.size)
    mask = np.full(wave.size, mask_value("NO_DATA"), np.uint32)
    if arm is None:
        return flux, error, mask
    start = _offset(wave, arm.wave)
    here = slice(max(0, start), max(0, start) + arm.wave.size - max(0, -start))
    there = slice(max(0, -start), max(0, -start) + wave[here].size)
    flux[here] = arm.flux[there]
    if arm.error is not None:
        error[here] = arm.error[there]
    mask[here] = _condemned(arm.mask[there].astype(np.uint32), arm.usable[there])
    return flux, error, mask


def _condemned(mask: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """A mask with a bit set wherever a pixel cannot be used."""
    silent = ~usable & (mask == 0)
    return np.where(silent, np.uint32(mask_value("BAD")), mask) if silent.any() else mask


def _bridged(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    if good.all():
        return values.astype(np.float32, copy=False)
    pixel = np.arange(values.size)
    return np.interp(pixel, pixel[good], values[good]).astype(np.float32)
