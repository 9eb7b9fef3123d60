"""Score a model on a split it was not trained on, over all and in bins of S/N."""

import itertools
import json
from dataclasses import asdict, dataclass

import numpy as np

from starsmith.data_contract.dataset import Split
from starsmith.data_contract.errors import DataError, LeakError
from starsmith.data_contract.names import SNR_EDGES
from starsmith.learners.metrics import (
    SCORES,
    Interval,
    bootstrap,
    outlier_threshold,
    paired_difference,
)
from starsmith.learners.predict import Predictor, predict
from starsmith.learners.predictions import Predictions

__all__ = ["BIN_MINIMUM", "Evaluation", "SnrBin", "compare", "evaluate", "evaluate_predictions"]

BIN_MINIMUM = 20
"""A bin with fewer spectra is listed without scores."""

TABLE_SCORES = ("r2", "mae", "sigma_robust", "rmse", "bias", "outlier_fraction")


@dataclass(frozen=True, kw_only=True)
class SnrBin:
    """Scores of the spectra of one range of S/N.

    Attributes
    ----------
    snr_min, snr_max : float
        Including the lower edge, excluding the upper [per pixel].
    n_spec : int
    snr : float
        Median S/N of the spectra in it; nan if there are none.
    scores : dict of str to Interval, or None
        None with fewer than `BIN_MINIMUM` spectra. R² uses the bin's own label variance.
    """

    snr_min: float
    snr_max: float
    n_spec: int
    snr: float
    scores: dict[str, Interval] | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How good a model is at one label.

    Attributes
    ----------
    model, label, unit, split : str
    dataset : str
        Digest of the data set scored on.
    n_spec : int
    threshold : float
        Error beyond which a prediction counts in ``outlier_fraction`` [unit].
    scores : dict of str to Interval
        Over all spectra.
    bins : tuple of SnrBin
    notice : str
        Of the grid behind the data set, and anything a reader of the scores must know.
    """

    model: str
    label: str
    unit: str
    split: str
    dataset: str
    n_spec: int
    threshold: float
    scores: dict[str, Interval]
    bins: tuple[SnrBin, ...]
    notice: str

    def to_dict(self) -> dict:
        """Everything as plain numbers, texts, lists and dicts."""
        return asdict(self)

    def to_json(self) -> str:
        """Everything as JSON; the open last edge is null."""
        return json.dumps(_finite(self.to_dict()), indent=2, allow_nan=False)

    def to_markdown(self) -> str:
        """Return a table: one row for all spectra, one per bin that is not empty."""
        heads = [h.replace("_", " ") for h in TABLE_SCORES]
        lines = [
            f"**{self.model}**, {self.label} [{self.unit}], {self.split} split of "
            f"`{self.dataset[:12]}`, {self.n_spec} spectra",
            "",
            f"| S/N | n | {' | '.join(heads)} |",
            f"| --- | ---: |{' ---: |' * len(heads)}",
            _row("all", self.n_spec, self.scores),
        ]
        lines += [
            _row(f"{b.snr_min:g}-{b.snr_max:g}", b.n_spec, b.scores) for b in self.bins if b.n_spec
        ]
        note = f"Outliers: error beyond {self.threshold:g}. ± is the bootstrap standard error."
        return "\n".join([*lines, "", note, *([self.notice] if self.notice else [])]) + "\n"


def _row(name: str, n_spec: int, scores: dict[str, Interval] | None) -> str:
    if scores is None:
        cells = ["-"] * len(TABLE_SCORES)
    else:
        cells = [f"{scores[s].value:.3f} ± {scores[s].error:.3f}" for s in TABLE_SCORES]
    return f"| {name} | {n_spec} | {' | '.join(cells)} |"


def _finite(content: object) -> object:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not np.isfinite(content) else content


def evaluate_predictions(
    predictions: Predictions,
    label: str | None = None,
    snr_edges: tuple[float, ...] = SNR_EDGES,
    n_resample: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Score predictions that are already there.

    Parameters
    ----------
    predictions : Predictions
    label : str, optional
        Which; by default the only one, or the first.
    snr_edges : tuple of float
        Edges of the bins [per pixel].
    n_resample, seed : int
        Of the bootstrap.

    Raises
    ------
    DataError
        If there are no predictions, or not of that label.
    """
    if not len(predictions):
        raise DataError(f"split {predictions.split!r} holds no spectra to score")
    label = label or predictions.labels[0]
    column, threshold = predictions.column(label), outlier_threshold(label)
    truth, value = predictions.truth[:, column], predictions.value[:, column]

    def score_rows(rows: np.ndarray) -> dict[str, Interval]:
        return bootstrap(truth[rows], value[rows], threshold, n_resample, seed)

    bins = []
    for low, high in itertools.pairwise(snr_edges):
        rows = np.flatnonzero((predictions.snr >= low) & (predictions.snr < high))
        bins.append(
            SnrBin(
                snr_min=low,
                snr_max=high,
                n_spec=rows.size,
                snr=float(np.median(predictions.snr[rows])) if rows.size else float("nan"),
                scores=score_rows(rows) if rows.size >= BIN_MINIMUM else None,
            )
        )
    return Evaluation(
        model=predictions.model,
        label=label,
        unit=predictions.units[column],
        split=predictions.split,
        dataset=predictions.dataset,
        n_spec=len(predictions),
        threshold=threshold,
        scores=score_rows(np.arange(len(predictions))),
        bins=tuple(bins),
        notice=predictions.notice,
    )


def evaluate(
    predictor: Predictor,
    split: Split,
    label: str | None = None,
    snr_edges: tuple[float, ...] = SNR_EDGES,
    allow_train: bool = False,
    n_resample: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Predict and score a split.

    Parameters
    ----------
    predictor : Predictor
    split : Split
        Of any data set on the model's wavelength grid.
    allow_train : bool
        Score a train split all the same; its scores say how well the model remembers.
    label, snr_edges, n_resample, seed
        As in `evaluate_predictions`.

    Raises
    ------
    LeakError
        If these are the very spectra the model was trained on.
    DataError
        If it is the train split of another data set: equal seeds mean equal stars.
    """
    check_split(predictor, split, allow_train)
    return evaluate_predictions(predict(predictor, split), label, snr_edges, n_resample, seed)


def check_split(predictor: Predictor, split: Split, allow_train: bool) -> None:
    """Refuse a train split unless it is asked for by name; errors as in `evaluate`."""
    if split.name != "train" or allow_train:
        return
    remedy = "score --split test, or name the train split explicitly to see how well it remembers"
    if split.digest == predictor.card["dataset"]["digest"]:
        raise LeakError(f"split 'train': this model was trained on these very spectra; {remedy}")
    raise DataError(
        f"split 'train' of another data set: with the seed of the training data its stars are "
        f"the training stars; {remedy}"
    )


def compare(
    first: Predictions,
    second: Predictions,
    label: str | None = None,
    n_resample: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every score of ``first`` less that of ``second``, resampled over the same spectra.

    Raises
    ------
    DataError
        If they are not predictions for the same draws.
    """
    label = label or first.labels[0]
    same = (first.dataset, first.split) == (second.dataset, second.split)
    if not (same and np.array_equal(first.index, second.index)):
        raise DataError(
            f"predictions of {first.model} ({first.split}, {len(first)} spectra) and "
            f"{second.model} ({second.split}, {len(second)} spectra) are for different draws; "
            f"predict the same split with both"
        )
    truth = first.truth[:, first.column(label)]
    values = first.value[:, first.column(label)], second.value[:, second.column(label)]
    threshold = outlier_threshold(label)
    return {
        name: paired_difference(name, truth, *values, threshold, n_resample, seed)
        for name in SCORES
    }
