"""Scores on the validation split, which choose between epochs, penalties and tree counts."""

from collections.abc import Callable

import numpy as np

from starsmith.data_contract.training import TrainingView
from starsmith.learners.metrics import mae, r2, rmse
from starsmith.learners.preprocess import Statistics, iterate_blocks, select_labels

__all__ = ["validation_scores"]


def validation_scores(
    view: TrainingView, labels: tuple[str, ...], statistics: Statistics, estimator: Callable
) -> dict:
    """Score an estimator on the validation split, in label units.

    Returns
    -------
    scores : dict
        ``val_mae``, ``val_rmse``, ``val_r2``: each a dict by label; ``val_error``: the mean
        over labels of MAE over training spread, which chooses the best epoch;
        ``val_square``: the same of squared errors, which chooses a penalty.
    """
    parts = []
    for rows in iterate_blocks(len(view.val)):
        seen = view.val.observe(rows)
        parts.append(estimator(statistics.normaliser.apply(seen.flux, seen.mask))[0])
    value = statistics.scale.to_labels(np.concatenate(parts)).T
    truth = select_labels(view.val, labels).T
    scores = {
        name: dict(zip(labels, function(truth, value).tolist(), strict=True))
        for name, function in (("val_mae", mae), ("val_rmse", rmse), ("val_r2", r2))
    }
    spread = statistics.scale.std
    return scores | {
        "val_error": float(np.mean(mae(truth, value) / spread)),
        "val_square": float(np.mean((rmse(truth, value) / spread) ** 2)),
    }
