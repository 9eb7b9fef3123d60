"""A survey's spectrum brought to common pixels by a recipe, and what was done to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum
from starsmith.data_contract.surveys.standardise.continuum import Gaspp, gaspp_continuum
from starsmith.data_contract.surveys.standardise.line_spread import brought_to
from starsmith.data_contract.surveys.standardise.recipe import StandardRecipe
from starsmith.data_contract.surveys.standardise.resampling import (
    Resampled,
    pixel_edges,
    resample,
)
from starsmith.data_contract.surveys.standardise.signal_to_noise import measure_snr
from starsmith.data_contract.surveys.standardise.spikes import find_spikes, printed_spikes

__all__ = ["Standardised", "at_rest", "standardise"]

PLAIN = StandardRecipe()
BROAD_SHARE = 0.05  # of the pixels, from which on a spectrum is said to have broad lines
DOUBTS = ("broad_lines", "unknown_resolution", "unknown_velocity")


@dataclass(frozen=True, kw_only=True)
class Standardised(Observed):
    """One spectrum on common pixels, an `Observed` of shape (n_wave,).

    Attributes
    ----------
    snr : float
        Per native pixel, before anything was done to the noise; NaN if not asked for.
    rv : float or None
        Velocity that was taken out [km/s]; None where the star was not moved.
    correlation_length : float
        Median over usable pixels of Σ_k C_jk / C_jj [pixel]; see `Resampled`.
    done : tuple of str
        What was done, in words and in order.
    doubts : tuple of str
        ``broad_lines``: broader than the target by more than 2 %; ``unknown_resolution``: lines
        were to be brought to a width, and theirs is unknown; ``unknown_velocity``.
    """

    snr: float = np.nan
    rv: float | None = None
    correlation_length: float = 1.0
    done: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def standardise(
    spectrum: SurveySpectrum,
    recipe: StandardRecipe = PLAIN,
    wave: np.ndarray | None = None,
    target_fwhm: np.ndarray | None = None,
) -> Standardised:
    """Bring a spectrum to common pixels.

    Parameters
    ----------
    spectrum : SurveySpectrum
    recipe : StandardRecipe
    wave : float64 array, shape (n_wave,), optional
        Pixels [vacuum Å]; the recipe's own unless given.
    target_fwhm : float64 array, shape (n_wave,), optional
        What lines are brought to at those pixels [Å]; the recipe's own unless given.

    Raises
    ------
    DataError
        If nobody states pixels, no pixel can be used, or lines are broader than the target and
        the recipe refuses that.
    """
    wave = recipe.wave if wave is None else np.asarray(wave, np.float64)
    if wave is None:
        raise DataError("standardise: no pixels are stated; give start, step and count")
    if target_fwhm is None:
        target_fwhm = recipe.target_fwhm(wave)
    arms, done = _masked(spectrum, recipe.spikes)
    snr = _snr(arms, native=not spectrum.meta.get("resampled")) if recipe.snr else np.nan
    rv = spectrum.velocity.shift if recipe.rest else None
    doubts = {"unknown_velocity"} if recipe.rest and rv is None else set()
    if rv:
        arms = [at_rest(arm, rv) for arm in arms]
        done.append(f"moved to rest from {rv:+.1f} km/s")
    if recipe.continuum:
        arms = [_over_continuum(arm, recipe.continuum, snr) for arm in arms]
        done.append(f"divided by the continuum ({recipe.continuum})")
    parts, broad = _on_pixels(arms, recipe, wave, target_fwhm)
    doubts |= broad
    if target_fwhm is not None:
        verb = "are broader than" if "broad_lines" in doubts else "brought to"
        done.append(f"lines {verb} {np.median(target_fwhm):.2f} Å FWHM")
    seen = _joined(wave, parts)
    if not seen.usable.any():
        raise DataError(
            f"no usable pixel in {wave.min():.1f}..{wave.max():.1f} Å; the spectrum covers "
            + ", ".join(
                f"{arm.wave[0]:.1f}..{arm.wave[-1]:.1f} ({arm.usable.mean():.0%} usable)"
                for arm in arms
            )
        )
    done.append(f"resampled ({recipe.resample}) to {wave.size} pixels")
    if recipe.median:
        seen = _over_median(seen, recipe.median)
        done.append(f"median {recipe.median:g}")
    lengths = np.concatenate([part.correlation_length[part.usable] for part in parts])
    return Standardised(
        wave=wave,
        flux=seen.flux,
        error=seen.error,
        mask=seen.mask,
        snr=snr,
        rv=rv,
        correlation_length=float(np.median(lengths)),
        done=tuple(done),
        doubts=tuple(doubt for doubt in DOUBTS if doubt in doubts),
    )


def at_rest(arm: SpectrumArm, rv: float) -> SpectrumArm:
    """Move the wavelengths of an arm by a velocity [km/s]; f_λ dλ is conserved."""
    beta = rv / LIGHT_SPEED_KM_S
    stretch = np.sqrt((1.0 + beta) / (1.0 - beta))
    return replace(
        arm,
        wave=arm.wave / stretch,
        flux=arm.flux * stretch,
        error=None if arm.error is None else arm.error * stretch,
        fwhm=None if arm.fwhm is None else np.asarray(arm.fwhm) / stretch,
    )


def _masked(spectrum: SurveySpectrum, method: str) -> tuple[list[SpectrumArm], list[str]]:
    """Arms with their spikes masked, and how many there were, in words."""
    if not method:
        return list(spectrum.arms), []
    arms = [_without_spikes(arm, method) for arm in spectrum.arms]
    pairs = zip(spectrum.arms, arms, strict=True)
    count = sum(int(one.usable.sum() - new.usable.sum()) for one, new in pairs)
    return arms, [f"{count} spikes masked"]


def _without_spikes(arm: SpectrumArm, method: str) -> SpectrumArm:
    usable = arm.usable
    if method == "printed":
        found = printed_spikes(arm.flux, usable)
    else:
        width = None
        if arm.fwhm is not None:
            width = float(np.nanpercentile(arm.fwhm / np.diff(pixel_edges(arm.wave)), 10.0))
        found = find_spikes(arm.flux, arm.error, usable, width)
    mask = arm.mask | np.where(found, mask_value("CR"), 0).astype(arm.mask.dtype)
    return replace(arm, mask=mask)


def _snr(arms: Sequence[SpectrumArm], native: bool) -> float:
    """Median flux over error of all usable pixels; without errors, from the longest arm's flux.

    NaN where neither can be had: the flux of resampled pixels does not tell.
    """
    if all(arm.error is not None for arm in arms):
        ratio = np.concatenate([arm.flux[arm.usable] / arm.error[arm.usable] for arm in arms])
        return float(np.median(ratio)) if ratio.size else np.nan
    longest = max(arms, key=lambda arm: int(arm.usable.sum()))
    try:
        return measure_snr(longest.flux, longest.usable, native)
    except DataError:
        return np.nan


def _over_continuum(arm: SpectrumArm, method: str, snr: float) -> SpectrumArm:
    usable = arm.usable
    if not usable.any():
        return arm
    whole = np.interp(arm.wave, arm.wave[usable], arm.flux[usable].astype(np.float64))
    options = Gaspp(60.0, bug_compatible=method.endswith("bug_compatible"))
    continuum = gaspp_continuum(arm.wave, whole[None], options)[0]
    error = None if arm.error is None else arm.error / continuum
    return replace(arm, flux=arm.flux / continuum, error=error)


def _on_pixels(
    arms: Sequence[SpectrumArm],
    recipe: StandardRecipe,
    wave: np.ndarray,
    target_fwhm: np.ndarray | None,
) -> tuple[list[Resampled], set[str]]:
    """Every arm on the new pixels, its lines as wide as the target's, and doubts of that."""
    parts, doubts = [], set()
    order = np.argsort(wave)
    for arm in arms:
        widths = None
        if target_fwhm is not None and arm.fwhm is None:
            doubts.add("unknown_resolution")
        elif target_fwhm is not None:
            target = np.interp(arm.wave, wave[order], target_fwhm[order])
            widths = (np.broadcast_to(arm.fwhm, arm.wave.shape), target)
        operator, broader = brought_to(arm.wave, wave, recipe.resample, widths)
        there = (arm.wave >= wave.min()) & (arm.wave <= wave.max())
        if there.any() and broader[there].mean() > BROAD_SHARE:
            if recipe.broader == "refuse":
                raise DataError(
                    f"arm {arm.name!r}: lines of {np.nanmedian(arm.fwhm):.2f} Å are broader than "
                    f"the {np.median(target_fwhm):.2f} Å they are to be brought to"
                )
            doubts.add("broad_lines")
        parts.append(resample(arm, wave, operator=operator))
    return parts, doubts


def _joined(wave: np.ndarray, parts: Sequence[Resampled]) -> Observed:
    """Arms in one: where several can be used, their mean, weighted by 1/σ² if they have one."""
    if len(parts) == 1:
        return parts[0]
    has_error = all(part.error is not None for part in parts)
    usable = np.array([part.usable for part in parts])
    sigma = np.array([part.error if has_error else np.ones(wave.size) for part in parts])
    weight = np.where(usable, np.where(usable, sigma, 1.0) ** -2.0, 0.0)
    total = weight.sum(axis=0)
    known = total > 0
    total = np.where(known, total, 1.0)
    flux = (weight * np.array([part.flux for part in parts])).sum(axis=0) / total
    mask = np.where(known, 0, mask_value("NO_DATA")).astype(np.uint32)
    return Observed(wave, flux, total**-0.5 if has_error else None, mask)


def _over_median(seen: Observed, level: float) -> Observed:
    """Flux and error times level / median; the median is of usable pixels above 0."""
    positive = seen.usable & (seen.flux > 0)
    if not positive.any():
        raise DataError("the median needs a pixel whose flux is above 0")
    factor = level / np.median(seen.flux[positive])
    error = None if seen.error is None else seen.error * factor
    return replace(seen, flux=seen.flux * factor, error=error)
