"""Spectra of any kind brought to what a model was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.arms import ArmSpan
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.dataset.training import line_fwhm
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.quality import quality_value
from starsmith.data_contract.rest_frame import RV_METHOD, shift_to_rest, stretch_of
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum, Velocity
from starsmith.data_contract.surveys.standardise.recipe import StandardRecipe
from starsmith.data_contract.surveys.standardise.standardise import standardise
from starsmith.learners.prediction.own_pixels import (
    in_order_of,
    same_wave,
    unit_hint,
    wave_difference,
)
from starsmith.learners.prediction.predict import (
    LabelEstimate,
    Predictor,
    check_usable,
    estimates_of,
    predict,
)
from starsmith.learners.prediction.radial_velocity import MeasuredVelocity
from starsmith.learners.prediction.split_table import table_of
from starsmith.learners.preprocess import iterate_blocks
from starsmith.learners.quality import knows_velocities

__all__ = ["Matched", "SpectrumMatcher", "predict_any", "predictor_of"]

COARSER = 1.5  # times as wide: pixels that several of the spectrum's fall into
BLOCK_ROWS = 256  # spectra read at a time
UNMOVED = StandardRecipe(snr=False, rest=False)


@dataclass(frozen=True)
class Matched:
    """A spectrum on a model's pixels.

    Attributes
    ----------
    seen : Observed
        Shape (n_wave,).
    rv : float or None
        Velocity that was taken out, 0 of a star at rest; None if nothing is known of it [km/s].
    interpolated : bool
        Whether these pixels are others than the spectrum's own.
    quality : int
        Bits of what is doubtful.
    done : tuple of str
        What was done, in words and in order.
    predictor : Predictor
        The model, looking at these pixels.
    """

    seen: Observed
    rv: float | None
    interpolated: bool
    quality: int
    done: tuple[str, ...]
    predictor: Predictor


def _one_after_the_other(spectrum: SurveySpectrum) -> Observed:
    """Pixels of all arms."""
    arms = spectrum.arms
    parts = {name: [getattr(arm, name) for arm in arms] for name in ("wave", "flux", "mask")}
    error = np.concatenate([arm.error for arm in arms]) if spectrum.has_error else None
    return Observed(**{name: np.concatenate(p) for name, p in parts.items()}, error=error)


def _widths(spectrum: SurveySpectrum) -> np.ndarray | None:
    """Width of lines at the pixels of all arms [Å]; None where an arm does not know it."""
    if any(arm.fwhm is None for arm in spectrum.arms):
        return None
    return np.concatenate([np.broadcast_to(arm.fwhm, arm.wave.shape) for arm in spectrum.arms])


def predictor_of(predictor: Predictor, split: Split) -> Predictor:
    """The model as it looks at the pixels of a split; itself if it reads its own only."""
    if not predictor.any_pixels or same_wave(predictor.wave, split.wave):
        return predictor
    return predictor.on(split.wave, line_fwhm(split.header))


class SpectrumMatcher:
    """Brings spectra to a model's pixels, frame and line width, and predicts their labels.

    Spikes are masked; the star is moved to rest by the velocity that is given, that its file
    states, or that is measured against the training set, unless the model knows stars that move;
    sharper lines are smeared to the model's width, broader ones flagged; pixels not covered are
    masked. A spectrum on the model's own pixels keeps them: it is only moved. A model of any
    instrument reads native pixels, whose wavelengths are moved to rest.

    Parameters
    ----------
    predictor : Predictor
    """

    def __init__(self, predictor: Predictor):
        self.predictor = predictor

    def match(self, spectrum: SurveySpectrum, rv: float | None = None) -> Matched:
        """Bring one spectrum, of any number of arms, to the model.

        Parameters
        ----------
        spectrum : SurveySpectrum
        rv : float, optional
            Radial velocity [km/s], whatever the file says.

        Raises
        ------
        DataError
            If no pixel of it is the model's, or the wavelengths look like another unit's.
        """
        if self.predictor.any_pixels:
            return self._native(spectrum, rv)
        own = self._on_own_pixels(spectrum)
        if own is not None:
            check_usable(self.predictor, own)
        known = spectrum.velocity.shift if rv is None else rv
        notes: tuple[str, ...] = ()
        if knows_velocities(self.predictor.card):
            known = rv
        elif known is None:
            known, notes = self._measured(spectrum, own)
        if own is None:
            return self._resampled(spectrum, known, notes)
        if known:
            notes = (*notes, f"moved to rest from {known:+.1f} km/s ({RV_METHOD})")
        moved = shift_to_rest(own, known or 0.0)
        return Matched(moved, known, bool(known), 0, notes, self.predictor)

    def predict(
        self, spectrum: SurveySpectrum, rv: float | None = None
    ) -> tuple[tuple[LabelEstimate, ...], Matched]:
        """Labels of one spectrum, and what was done to it; parameters and errors as `match`."""
        matched = self.match(spectrum, rv)
        check_usable(matched.predictor, matched.seen)
        at_rest = matched.rv is not None
        found = estimates_of(
            matched.predictor, matched.seen, at_rest, matched.interpolated, matched.quality
        )
        return found, matched

    def _native(self, spectrum: SurveySpectrum, rv: float | None) -> Matched:
        """A spectrum on its own pixels, whose wavelengths are those of a star at rest."""
        seen, fwhm = _one_after_the_other(spectrum), _widths(spectrum)
        known, notes = spectrum.velocity.shift if rv is None else rv, ()
        if known is None:
            known, notes = SpectrumMatcher(self.predictor.on(seen.wave, fwhm))._measured(
                spectrum, seen
            )
        factor = stretch_of(known or 0.0)
        model = self.predictor.on(seen.wave / factor, None if fwhm is None else fwhm / factor)
        if known:
            notes = (*notes, f"wavelengths moved to rest from {known:+.1f} km/s")
        return Matched(replace(seen, wave=model.wave), known, False, 0, notes, model)

    def _on_own_pixels(self, spectrum: SurveySpectrum) -> Observed | None:
        """A spectrum whose pixels are the model's, None of others; DataError of another unit."""
        wave = self.predictor.wave
        seen = in_order_of(wave, _one_after_the_other(spectrum))
        if same_wave(wave, seen.wave):
            return seen
        if hint := unit_hint(wave, seen.wave):
            raise DataError(f"spectrum: {wave_difference(wave, seen.wave)}; {hint}")
        return None

    def _resampled(
        self, spectrum: SurveySpectrum, rv: float | None, notes: tuple[str, ...]
    ) -> Matched:
        wave, fwhm = self.predictor.wave, self.predictor.statistics.fwhm
        known = fwhm is not None and all(arm.fwhm is not None for arm in spectrum.arms)
        step = np.median(np.abs(np.diff(wave)))
        native = min(float(np.median(np.diff(arm.wave))) for arm in spectrum.arms)
        method = "conserving" if not known and step > COARSER * native else "quintic"
        recipe = StandardRecipe(resample=method, snr=False)
        moved = replace(spectrum, velocity=Velocity(rv=rv or 0.0))
        found = standardise(moved, recipe, wave, fwhm if known else None)
        quality = quality_value("broad_lines") if "broad_lines" in found.doubts else 0
        if not known:
            quality |= quality_value("unknown_resolution")
        covered = f"{found.usable.mean():.0%} of the model's pixels usable"
        return Matched(found, rv, True, quality, (*notes, *found.done, covered), self.predictor)

    def _measured(
        self, spectrum: SurveySpectrum, own: Observed | None
    ) -> tuple[float | None, tuple[str, ...]]:
        """Velocity by the training set, and how it was had; None where none can be told."""
        found = self._velocity(spectrum, own)
        if np.isnan(found.rv):
            return None, ()
        if not found.known:
            return None, ("its velocity cannot be measured: not moved",)
        if own is not None and found.at_rest:
            return 0.0, ()  # to be shifted on its own pixels costs more than such a velocity
        return found.rv, (f"velocity {found.rv:+.1f} ± {found.error:.1f} km/s measured",)

    def velocity(self, spectrum: SurveySpectrum) -> MeasuredVelocity:
        """Measure the radial velocity of one spectrum, whatever its file says."""
        if self.predictor.any_pixels:
            seen = _one_after_the_other(spectrum)
            model = self.predictor.on(seen.wave, _widths(spectrum))
            return SpectrumMatcher(model)._velocity(spectrum, seen)
        return self._velocity(spectrum, self._on_own_pixels(spectrum))

    def _velocity(self, spectrum: SurveySpectrum, own: Observed | None) -> MeasuredVelocity:
        seen, shared = own, 1.0
        if seen is None:
            seen = standardise(spectrum, UNMOVED, self.predictor.wave)
            shared = max(seen.correlation_length, 1.0)  # pixels whose noise is one
        found = self.predictor.meter.measure(seen)
        return replace(found, error=found.error * shared**0.5)


def predict_any(predictor: Predictor, split: Split) -> Predictions:
    """Predict the labels of every spectrum of a split, on whatever pixels.

    Spectra of stars at rest on the model's pixels are taken as they are; stars that move, and
    observed ones on other pixels, are brought to it one by one, see `SpectrumMatcher`; the velocity
    of a simulated star is measured. One that cannot be used has NaN. Simulated stars on other
    pixels are refused: simulate them again with the model's instrument.

    Parameters
    ----------
    predictor : Predictor
    split : Split

    Raises
    ------
    DataError
        If no spectrum can be used, or simulated stars lack a label or are on other pixels.
    """
    rv, predictor = split.draws.rv, predictor_of(predictor, split)
    moved = not knows_velocities(predictor.card) and bool((rv != 0.0).any())
    own, simulated = same_wave(predictor.wave, split.wave), split.header.noise is not None
    if (own and not moved) or (simulated and not own):
        return predict(predictor, split)
    if simulated:
        rv = np.full(len(split), np.nan)  # what was drawn is no observer's to know
    matcher, fwhm = SpectrumMatcher(predictor), line_fwhm(split.header)
    n_label, problem = len(predictor.labels), None
    value, width = (np.full((len(split), n_label), np.nan) for _ in range(2))
    quality = np.full(len(split), quality_value("few_pixels"))
    for rows in iterate_blocks(len(split), BLOCK_ROWS):
        seen = split.observe(rows)
        for k in range(len(seen)):
            row = rows.start + k
            spectrum = _spectrum_of(seen[k], split.header.arms, fwhm, float(rv[row]))
            try:
                estimates, _ = matcher.predict(spectrum)
            except DataError as found:
                problem = problem or found
                continue
            value[row] = [estimate.value for estimate in estimates]
            width[row] = [
                np.nan if estimate.uncertainty is None else estimate.uncertainty
                for estimate in estimates
            ]
            quality[row] = estimates[0].quality
    if problem and np.isnan(value).all():
        raise DataError(f"split {split.name!r}: no spectrum can be used; the first: {problem}")
    uncertainty = None if np.isnan(width).all() else width
    return table_of(predictor.card, split, value, uncertainty, quality)


def _spectrum_of(
    seen: Observed, arms: Sequence[ArmSpan], fwhm: np.ndarray | None, rv: float
) -> SurveySpectrum:
    """One row of a data set, arm by arm."""
    parts = tuple(
        SpectrumArm(
            wave=seen.wave[arm.pixels],
            flux=seen.flux[arm.pixels],
            error=None if seen.error is None else seen.error[arm.pixels],
            mask=seen.mask[arm.pixels],
            name=arm.name,
            fwhm=None if fwhm is None else fwhm[arm.pixels],
        )
        for arm in arms
    )
    velocity = Velocity(rv=None if np.isnan(rv) else rv)
    return SurveySpectrum(survey="data set", arms=parts, ids={}, velocity=velocity)
