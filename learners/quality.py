"""Whether a prediction lies inside what its model knows: named bits for every spectrum."""

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import uniform_filter1d

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quality import quality_value
from starsmith.learners.preprocess import Statistics

__all__ = ["AT_REST", "is_at_rest", "knows_velocities", "quality_of"]

EDGE = 0.02  # of the range of a training label
FEW = 0.9  # of the pixels
FASTEST, STEP = 600.0, 5.0  # km/s; a third of a PFS pixel
AT_REST = 15.0  # km/s; a PFS pixel
SIGNIFICANT = 7.0  # scatter of the correlation far from its peak
CONTINUUM_PIXEL = 201  # wider than any line but the broadest


def quality_of(
    card: Mapping,
    statistics: Statistics,
    seen: Observed,
    value: np.ndarray,
    at_rest: np.ndarray,
    interpolated: bool = False,
) -> np.ndarray:
    """Quality bits of predictions, int64 (n_spec,); see `QUALITY_BITS`.

    Parameters
    ----------
    card : mapping
        Of the checkpoint; what it does not record makes ``limits_unknown``.
    statistics : Statistics
    seen : Observed
        Shape (n_spec, n_wave).
    value : float64 array, shape (n_spec, n_label)
        Predicted labels.
    at_rest : bool array, shape (n_spec,)
        Whether each star is known to be at rest.
    interpolated : bool
        Whether the spectra were shifted onto these pixels.
    """
    quality = np.zeros(len(seen), dtype=np.int64)
    spans = card.get("limits", {}).get("labels", {})
    known = statistics.typical is not None
    for name, column in zip(card["labels"], value.T, strict=True):
        low, high = spans.get(name, (np.nan, np.nan))
        known &= bool(np.isfinite(high - low))
        edge = EDGE * (high - low)
        with np.errstate(invalid="ignore"):
            outside = (column < low) | (column > high)
            at_edge = ~outside & ((column < low + edge) | (column > high - edge))
        quality[outside] |= quality_value("outside_training")
        quality[at_edge] |= quality_value("training_edge")
    usable = seen.usable
    quality[usable.mean(axis=1) < FEW] |= quality_value("few_pixels")
    if statistics.typical is not None:
        normaliser = statistics.normaliser
        unlike = statistics.typical.is_unlike(seen, normaliser.mean, normaliser.std, interpolated)
        quality[unlike] |= quality_value("unlike_training")
    if not known:
        quality |= quality_value("limits_unknown")
    if not knows_velocities(card):
        quality[~at_rest] |= quality_value("unknown_velocity")
    return quality


def knows_velocities(card: Mapping) -> bool:
    """Whether a model was trained on stars that move; one that does not say was not."""
    low, high = card.get("limits", {}).get("velocity", (0.0, 0.0))
    return high > low


def is_at_rest(statistics: Statistics, seen: Observed) -> bool:
    """Whether one spectrum can be told to be at rest, to 15 km/s.

    The lines of the mean training spectrum, shifted from -600 to 600 km/s, are correlated with
    those of the star. It is at rest if the highest peak stands out of the correlation's scatter
    and lies there; if no peak stands out, nobody knows.

    Parameters
    ----------
    statistics : Statistics
    seen : Observed
        Of one spectrum, shape (1, n_wave).
    """
    mean, weight = statistics.normaliser.mean, statistics.normaliser.std**-2.0
    if not mean.any():  # forward models keep none
        mean, weight = _first_component(statistics), np.ones(mean.size)
    usable = seen.usable[0]
    flux = np.interp(np.arange(mean.size), np.flatnonzero(usable), seen.flux[0][usable])
    lines = np.where(usable, _without_continuum(flux / np.median(flux)), 0.0)
    pattern = _without_continuum(mean)
    order = np.argsort(statistics.wave, kind="stable")
    wave, pattern, lines, weight = (x[order] for x in (statistics.wave, pattern, lines, weight))
    velocity = np.arange(-FASTEST, FASTEST + STEP / 2, STEP)
    match = np.empty(velocity.size)
    for k, speed in enumerate(velocity):
        shifted = np.interp(wave / (1.0 + speed / LIGHT_SPEED_KM_S), wave, pattern)
        match[k] = (weight * shifted * lines).sum() / np.sqrt((weight * shifted**2).sum())
    best = velocity[np.argmax(match)]
    far = np.abs(velocity - best) > 20.0 * AT_REST
    scatter = 1.4826 * np.median(np.abs(match[far] - np.median(match[far])))
    stands_out = match.max() - np.median(match[far]) > SIGNIFICANT * scatter
    return bool(stands_out and abs(best) <= AT_REST)


def _first_component(statistics: Statistics) -> np.ndarray:
    if statistics.typical is None:
        return np.ones(statistics.wave.size)
    first = statistics.typical.basis[-1].astype(np.float64)
    return first / np.median(first)


def _without_continuum(flux: np.ndarray) -> np.ndarray:
    return flux - uniform_filter1d(flux, CONTINUUM_PIXEL, mode="nearest")
