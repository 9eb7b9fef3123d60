"""Predictions of a split as a table: values beside what is known of every spectrum."""

from collections.abc import Mapping

import numpy as np

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.predictions import Predictions
from starsmith.learners.preprocess import select_labels

__all__ = ["table_of"]


def table_of(
    card: Mapping,
    split: Split,
    value: np.ndarray,
    uncertainty: np.ndarray | None,
    quality: np.ndarray,
) -> Predictions:
    """Predictions of every spectrum of a split, beside what is known of them.

    ``card`` is that of the model: its name, its labels and their units.
    """
    labels = tuple(card["labels"])
    return Predictions(
        split=split.name,
        seed=split.draws.seed,
        index=split.draws.index,
        snr=split.snr,
        snr_p95=getattr(split, "snr_p95", None),
        mag=None if np.isnan(split.draws.mag).all() else split.draws.mag,
        labels=labels,
        units=tuple(card["units"]),
        truth=_truth(split, labels),
        value=value,
        uncertainty=uncertainty,
        model=card["model"],
        dataset=split.digest,
        notice=split.header.notice,
        quality=quality,
    )


def _truth(split: Split, labels: tuple[str, ...]) -> np.ndarray:
    """Labels of a split, float64 (n_spec, n_label); NaN of those that observed stars lack."""
    if not getattr(split.header, "observed", {}):
        return select_labels(split, labels)
    there = [split.label(n) if n in split.header.label_names else None for n in labels]
    unknown = np.full(len(split), np.nan)
    return np.stack([unknown if values is None else values for values in there], axis=1)
