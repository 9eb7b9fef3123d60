"""Whether a prediction lies inside what its model knows: named bits for every spectrum."""

from collections.abc import Mapping

import numpy as np

from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quality import quality_value
from starsmith.learners.preprocess import Statistics

__all__ = ["knows_velocities", "quality_of"]

EDGE = 0.02  # of the range of a training label
FEW = 0.9  # of the pixels


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
