"""Scores on the validation split, which choose between epochs, penalties and tree counts."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.learners.preprocess import (
    Normaliser,
    Statistics,
    iterate_blocks,
    refuse_bad_spectra,
    select_labels,
)
from starsmith.learners.scores.metrics import mae, r2, rmse

__all__ = ["label_scores", "standardised_blocks", "validation_scores"]


def validation_scores(
    view: TrainingView,
    labels: tuple[str, ...],
    statistics: Statistics,
    estimator: Callable,
    blocks: Iterable | None = None,
) -> dict:
    """Score an estimator on the validation labels that are known, in label units.

    Parameters
    ----------
    view : TrainingView
    labels : tuple of str
    statistics : Statistics
    estimator : callable
        Of standardised flux; its first answer are z-scores.
    blocks : iterable of float32 arrays or tensors, shape (n_row, n_wave), optional
        Standardised validation spectra in order, where somebody has kept them; read unless given.

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
    if blocks is None:
        blocks = standardised_blocks(view.val, statistics.normaliser)
    parts = [estimator(scaled)[0] for scaled in blocks]
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


def standardised_blocks(split: TrainingSplit, normaliser: Normaliser) -> Iterator[np.ndarray]:
    """Standardised spectra of a split, float32 (n_row, n_wave) at a time.

    Raises
    ------
    DataError
        If a spectrum is not finite.
    """
    for rows in iterate_blocks(len(split)):
        seen = split.observe(rows)
        scaled = normaliser.apply(seen.flux, seen.mask)
        refuse_bad_spectra(scaled, split.name, np.arange(rows.start, rows.stop))
        yield scaled
