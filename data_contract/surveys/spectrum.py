"""One observed spectrum of a survey: arms on native pixels, and what is known of the star."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from starsmith.data_contract.described import described, span
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.unit_conversion import FLUX_CGS

__all__ = [
    "FLUX_CGS",
    "FRAMES",
    "IDENTITIES",
    "RELATIVE",
    "KnownLabel",
    "SpectrumArm",
    "SurveySpectrum",
    "Velocity",
    "our_mask",
    "planes_of",
]

RELATIVE = "relative"
"""Unit of a flux that is known up to a factor, or was divided by a continuum."""

LARGEST = 1e30  # of any flux or error, and its inverse the smallest error; float32 holds these
BAD = np.uint32(mask_value("BAD"))

FRAMES = ("", "topocentric", "heliocentric", "barycentric", "rest")
"""Frames of wavelengths; empty where the file does not tell, ``rest`` where the star's own
velocity was taken out."""

IDENTITIES = ("gaia_dr3", "gaia_dr2", "apogee_id", "targetid")
"""Names of ids by which one star is known to several surveys, the most widely known first."""


@described
@dataclass(frozen=True, kw_only=True, eq=False)
class SpectrumArm(Observed):
    """One arm of one spectrum, on its native pixels; an `Observed` of shape (n_wave,).

    Attributes
    ----------
    name : str
        As the survey calls it: ``b``.
    fwhm : float, or array of shape (n_wave,), or None
        Full width at half maximum of the line-spread function [Å]; None where it is unknown.
    matrix : float array of shape (n_band, n_wave), or None
        The line-spread function itself: ``matrix[k, i]`` is the share that pixel
        ``j = i + k - n_band // 2`` has in the flux of pixel i. Resolution-matched models are its
        product with a spectrum; ``fwhm`` is its second moment.
    planes : dict of str to int
        Name of a bit of ``flags`` -> the bit, as the survey calls it.
    flags : integer array of shape (n_wave,), or None
        The survey's own mask. ``mask`` holds ours: a bit of `MASK_BITS` is set where the pixel
        cannot be used, and not where the survey only tells something of it.
    """

    name: str = ""
    fwhm: float | np.ndarray | None = None
    matrix: np.ndarray | None = None
    planes: Mapping[str, int] = field(default_factory=dict)
    flags: np.ndarray | None = None

    def __post_init__(self):
        super().__post_init__()
        n_wave = self.wave.size
        wild = np.abs(self.flux) > LARGEST
        if self.error is not None:
            wild |= (self.error > LARGEST) | (self.error < 1.0 / LARGEST)
        if wild.any():  # no survey measures that: the pixel is damaged
            object.__setattr__(self, "mask", np.where(wild, BAD | self.mask, self.mask))
        if self.flux.ndim != 1 or not n_wave:
            raise DataError(f"arm {self.name!r} has flux of shape {self.flux.shape}, expected (n,)")
        if not np.isfinite(self.wave).all() or np.any(np.diff(self.wave) <= 0) or self.wave[0] <= 0:
            raise DataError(f"arm {self.name!r} has wavelengths that do not increase, or NaN")
        for what, shape in (("fwhm", ()), ("matrix", (n_wave,)), ("flags", ())):
            value = getattr(self, what)
            if value is not None and np.shape(value)[-1:] not in (shape, (n_wave,)):
                raise DataError(
                    f"arm {self.name!r} has {what} of shape {np.shape(value)}, {n_wave} pixels"
                )

    def _facts(self) -> dict[str, object]:
        return {
            "name": self.name,
            "pixels": self.wave.size,
            "Å": span(self.wave),
            "R": "" if self.fwhm is None else f"{_median(self.resolving_power):.0f}",
            "usable": f"{np.mean(self.usable):.1%}",
        }

    @property
    def resolving_power(self) -> np.ndarray | None:
        """λ / FWHM at every pixel, float64 (n_wave,); None where the resolution is unknown."""
        if self.fwhm is None:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.wave / np.asarray(self.fwhm, np.float64)

    def flag_counts(self) -> dict[str, int]:
        """Pixels with each of the survey's bits set, by the bit's name."""
        if self.flags is None:
            return {}
        bits = self.flags.astype(np.uint64)
        return {
            name: int(((bits >> np.uint64(bit)) & np.uint64(1)).sum())
            for name, bit in self.planes.items()
        }


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan


@dataclass(frozen=True, kw_only=True)
class Velocity:
    """Frame of the wavelengths, and the star's velocity where it was measured.

    Attributes
    ----------
    frame : str
        One of `FRAMES`.
    rv, rv_error : float, optional
        Of the star against the Sun or the barycentre, receding positive [km/s], and 1σ.
    correction : float
        Added to a velocity measured in this frame, it is one against the Sun [km/s]; 0 unless
        the frame is topocentric.
    """

    frame: str = ""
    rv: float | None = None
    rv_error: float | None = None
    correction: float = 0.0

    def __post_init__(self):
        if self.frame not in FRAMES:
            raise DataError(f"velocity frame {self.frame!r} is not one of {FRAMES}")

    @property
    def shift(self) -> float | None:
        """Velocity by which the spectrum is shifted as it stands [km/s]; None if unknown."""
        if self.frame == "rest":
            return 0.0
        return None if self.rv is None else self.rv - self.correction


@dataclass(frozen=True)
class KnownLabel:
    """A label of a star: value, 1σ where it is known, and who says so."""

    value: float
    error: float | None = None
    source: str = ""


@described
@dataclass(frozen=True, kw_only=True, eq=False)
class SurveySpectrum:
    """One observed spectrum and all that its file says of it.

    Attributes
    ----------
    survey : str
        Name of the reader: ``desi``.
    arms : tuple of SpectrumArm
        In order of wavelength; their ranges may overlap.
    ids : dict of str to str
        Names of the star and of the spectrum; those of `IDENTITIES` are stars'.
    unit : str
        Of every arm's flux and error: `FLUX_CGS`, or `RELATIVE`.
    velocity : Velocity
    labels : dict of str to KnownLabel
        By names of the glossary (``teff`` [K], ``logg``, ``m_h``, ...) or the file's own.
    snr : float, optional
        Median S/N per native pixel as the file states it.
    meta : dict
        What else the file says: ``ra``, ``dec`` [deg], ``epoch`` [Julian year], class, ...;
        ``resampled`` where pixels are not the detector's own.
    covariance : float array, shape (n_wave, n_wave), optional
        Of the flux of a spectrum in one arm, where its pixels are correlated.
    """

    survey: str
    arms: tuple[SpectrumArm, ...]
    ids: Mapping[str, str]
    unit: str = FLUX_CGS
    velocity: Velocity = Velocity()
    labels: Mapping[str, KnownLabel] = field(default_factory=dict)
    snr: float | None = None
    meta: Mapping[str, object] = field(default_factory=dict)
    covariance: np.ndarray | None = None

    def __post_init__(self):
        if not self.arms:
            raise DataError("a spectrum has no arms")
        if self.unit not in (FLUX_CGS, RELATIVE):
            raise DataError(f"flux is in {self.unit!r}, expected {FLUX_CGS!r} or {RELATIVE!r}")

    def _facts(self) -> dict[str, object]:
        return {
            "survey": self.survey,
            "star": self.source_id,
            "arms": " ".join(f"{arm.name or 'one'} ({span(arm.wave)} Å)" for arm in self.arms),
            "unit": self.unit,
            "frame": self.velocity.frame,
            "labels": " ".join(self.labels),
        }

    def seen_at(self, resolution: float | None) -> "SurveySpectrum":
        """The same with lines of this λ/FWHM in every arm that does not know its own."""
        if resolution is None:
            return self
        arms = (
            replace(arm, fwhm=arm.wave / resolution) if arm.fwhm is None else arm
            for arm in self.arms
        )
        return replace(self, arms=tuple(arms))

    @property
    def source_id(self) -> str:
        """Name of the star, the same for all its spectra: ``gaia_dr3 4295806720``.

        The first of `IDENTITIES` that is known, else the first id there is.
        """
        for name in (*IDENTITIES, *self.ids):
            if self.ids.get(name):
                return f"{name} {self.ids[name]}"
        return ""

    @property
    def name(self) -> str:
        """Name of the spectrum: its survey and all ids."""
        return " ".join([self.survey, *self.ids.values()])

    @property
    def has_error(self) -> bool:
        """Whether every arm has an error of its own."""
        return all(arm.error is not None for arm in self.arms)


def planes_of(names: str) -> dict[str, int]:
    """Bits of a mask by their names, which follow one another from bit 0; ``-`` has none."""
    return {name: bit for bit, name in enumerate(names.split()) if name != "-"}


def our_mask(
    flags: np.ndarray, planes: Mapping[str, int], meaning: Mapping[str, str]
) -> np.ndarray:
    """Mask in our bits of a survey's.

    Parameters
    ----------
    flags : integer array
    planes : dict of str to int
        Name -> bit of the survey.
    meaning : dict of str to str
        Name of a survey's bit -> plane of `MASK_BITS`; the others tell, but do not condemn.

    Returns
    -------
    mask : uint32 array, shape of flags
    """
    bits = flags.astype(np.uint64)
    mask = np.zeros(flags.shape, np.uint32)
    for name, plane in meaning.items():
        if name in planes:
            there = (bits >> np.uint64(planes[name])) & np.uint64(1) != 0
            mask[there] |= np.uint32(mask_value(plane))
    return mask
