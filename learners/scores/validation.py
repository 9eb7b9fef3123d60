"""Scores on the validation split, which choose between epochs, penalties and tree counts."""

from collections.abc import Callable

import numpy as np

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.learners.preprocess import (
    Statistics,
    iterate_blocks,
    refuse_bad_spectra,
    select_labels,
)
from starsmith.learners.scores.metrics import mae, r2, rmse

__all__ = ["label_scores", "validation_scores"]


def validation_scores(
    view: TrainingView, labels: tuple[str, ...], statistics: Statistics, estimator: Callable
) -> dict:
    """Score an estimator on the validation labels that are known, in label units.

    Returns
    -------
    scores : dict
        ``val_mae``, ``val_rmse``, ``val_r2``: each a dict by label; ``val_error``: the mean
        over labels of MAE over training spread, which chooses the best epoch;
        ``val_square``: the same of squared errors, which chooses a penalty.

    Raises
    ------
    DataError
        If a validation spectrum is not finite.
    """
    parts = []
    for rows in iterate_blocks(len(view.val)):
        seen = view.val.observe(rows)
        scaled = statistics.normaliser.apply(seen.flux, seen.mask)
        refuse_bad_spectra(scaled, view.val.name, np.arange(rows.start, rows.stop))
        parts.append(estimator(scaled)[0])
    value = statistics.scale.to_labels(np.concatenate(parts))
    return label_scores(labels, select_labels(view.val, labels), value, statistics.scale.std)


def label_scores(
    labels: tuple[str, ...], truth: np.ndarray, value: np.ndarray, spread: np.ndarray
) -> dict:
    """Scores of predictions, as `validation_scores` returns them.

    Parameters
    ----------
    labels : tuple of str
    truth, value : float64 arrays, shape (n_spec, n_label)
        In label units; NaN where a label is not known.
    spread : float64 array, shape (n_label,)
        Of the training labels.
    """
    truth, value = truth.T, value.T
    known = [~np.isnan(column) for column in truth]
    scores = {
        f"val_{function.__name__}": {
            name: float(function(truth[k][known[k]], value[k][known[k]]))
            for k, name in enumerate(labels)
        }
        for function in (mae, rmse, r2)
    }
    mean_error = np.array(list(scores["val_mae"].values())) / spread
    square = np.array(list(scores["val_rmse"].values())) / spread
    return scores | {"val_error": mean_error.mean().item(), "val_square": (square**2).mean().item()}
