"""Score a model on a split it was not trained on, over all and in bins of S/N."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.described import described
from starsmith.data_contract.errors import DataError, LeakError
from starsmith.data_contract.files.atomic import json_safe
from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.learners.evaluation.strata import Group, groups_of
from starsmith.learners.prediction.predict import Predictor, predict
from starsmith.learners.scores.metrics import (
    SCORES,
    Interval,
    bootstrap,
    outlier_threshold,
    paired_difference,
)

__all__ = [
    "BIN_MINIMUM",
    "Evaluation",
    "SnrBin",
    "check_predictions",
    "compare",
    "evaluate",
    "evaluate_predictions",
]

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
class GroupScores:
    """Scores of one stellar type or one range of magnitude.

    Attributes
    ----------
    by, name : str
        ``type`` or ``mag``; ``giants``, ``21-21.5``.
    n_spec : int
    middle : float
        Median log g or magnitude of the group; nan if it is empty.
    scores : dict of str to Interval, or None
        As in `SnrBin`.
    """

    by: str
    name: str
    n_spec: int
    middle: float
    scores: dict[str, Interval] | None


@described
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
    groups : tuple of GroupScores
        Stellar types, where log g is known, and magnitudes, where those are.
    n_failed : int
        Spectra the model gave no value for; they are in none of the scores.
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
    groups: tuple[GroupScores, ...] = ()
    n_failed: int = 0

    def _facts(self) -> dict[str, object]:
        return {
            "model": self.model,
            "label": self.label,
            "spectra": self.n_spec,
            "R2": f"{self.scores['r2'].value:.3f} +- {self.scores['r2'].error:.3f}",
            "notice": self.notice,
        }

    def to_dict(self) -> dict:
        """Everything as plain numbers, texts, lists and dicts."""
        return asdict(self)

    def to_json(self) -> str:
        """Everything as JSON; the open last edge is null."""
        return json.dumps(json_safe(self.to_dict()), indent=2, allow_nan=False)

    def to_markdown(self) -> str:
        """Return a table: one row for all spectra, one per bin or group that is not empty."""
        heads = [h.replace("_", " ") for h in TABLE_SCORES]
        lines = [
            f"**{self.model}**, {self.label} [{self.unit}], {self.split} split of "
            f"`{self.dataset[:12]}`, {self.n_spec} spectra",
            "",
            f"| S/N, type, magnitude | n | {' | '.join(heads)} |",
            f"| --- | ---: |{' ---: |' * len(heads)}",
            _row("all", self.n_spec, self.scores),
        ]
        lines += [
            _row(f"{b.snr_min:g}-{b.snr_max:g}", b.n_spec, b.scores) for b in self.bins if b.n_spec
        ]
        lines += [_row(g.name, g.n_spec, g.scores) for g in self.groups if g.n_spec]
        note = f"Outliers: error beyond {self.threshold:g}. ± is the bootstrap standard error."
        if self.n_failed:
            note += f" {self.n_failed} failed fits are in none of the scores."
        return "\n".join([*lines, "", note, *([self.notice] if self.notice else [])]) + "\n"


def _row(name: str, n_spec: int, scores: dict[str, Interval] | None) -> str:
    if scores is None:
        cells = ["-"] * len(TABLE_SCORES)
    else:
        cells = [f"{scores[s].value:.3f} ± {scores[s].error:.3f}" for s in TABLE_SCORES]
    return f"| {name} | {n_spec} | {' | '.join(cells)} |"


def evaluate_predictions(
    predictions: Predictions,
    label: str | None = None,
    snr_edges: tuple[float, ...] = SNR_EDGES,
    n_resample: int = 1000,
    seed: int = 0,
    mag_edges: tuple[float, ...] | None = None,
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
    mag_edges : tuple of float, optional
        Edges of the magnitude bins; half a magnitude apart by default.

    Raises
    ------
    DataError
        If there are no predictions, not of that label, or none in any bin.
    """
    if not len(predictions):
        raise DataError(f"split {predictions.split!r} holds no spectra to score")
    label = label or predictions.labels[0]
    column, threshold = predictions.column(label), outlier_threshold(label)
    truth, value = predictions.truth[:, column], predictions.value[:, column]
    found = predictions.found(label)
    if not found.any():
        raise DataError(
            f"{predictions.model}: not one of {len(predictions)} spectra has both a value and a "
            f"true label"
        )

    def score_rows(rows: np.ndarray) -> dict[str, Interval] | None:
        rows = rows[found[rows]]
        if rows.size < BIN_MINIMUM:
            return None
        return bootstrap(truth[rows], value[rows], threshold, n_resample, seed)

    whole = np.flatnonzero(found)
    known = np.isfinite(predictions.snr).any()  # observed spectra may have no errors
    by_snr = groups_of(predictions, "snr", snr_edges) if known else ()
    return Evaluation(
        model=predictions.model,
        label=label,
        unit=predictions.units[column],
        split=predictions.split,
        dataset=predictions.dataset,
        n_spec=len(predictions),
        threshold=threshold,
        scores=bootstrap(truth[whole], value[whole], threshold, n_resample, seed),
        bins=tuple(_snr_bin(g, score_rows(g.rows)) for g in by_snr),
        notice=predictions.notice,
        groups=tuple(
            GroupScores(
                by=g.by, name=g.name, n_spec=len(g), middle=g.middle, scores=score_rows(g.rows)
            )
            for g in known_groups(predictions, mag_edges)
        ),
        n_failed=int((~np.isfinite(value)).sum()),
    )


def known_groups(
    predictions: Predictions, mag_edges: tuple[float, ...] | None = None
) -> tuple[Group, ...]:
    """Stellar types and magnitudes, as far as the table knows them."""
    groups: tuple[Group, ...] = ()
    if predictions.logg is not None:
        groups += groups_of(predictions, "type")
    if predictions.mag is not None or mag_edges:
        groups += groups_of(predictions, "mag", mag_edges)
    return groups


def _snr_bin(group: Group, scores: dict[str, Interval] | None) -> SnrBin:
    return SnrBin(
        snr_min=group.low, snr_max=group.high, n_spec=len(group), snr=group.middle, scores=scores
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

    Examples
    --------
    >>> scores = starsmith.evaluate(starsmith.load_checkpoint("ridge"), data.split("test"))
    >>> 0 < scores.scores["r2"].error < 1
    True
    """
    check_split(predictor, split, allow_train)
    return evaluate_predictions(predict(predictor, split), label, snr_edges, n_resample, seed)


def check_predictions(predictions: Predictions, path: Path, rows: Split) -> Predictions:
    """Refuse a table of predictions that is not for these very spectra.

    Raises
    ------
    DataError
        If it is for another data set or split, or its keys are not those of the split.
    """
    remedy = "predict that split with `speclearn predict --out`"
    wanted = f"split {rows.name} of {rows.digest[:12]}"
    if (predictions.dataset, predictions.split) != (rows.digest, rows.name):
        raise DataError(
            f"{path}: predictions for split {predictions.split} of data set "
            f"{predictions.dataset[:12]}, expected {wanted}; {remedy}"
        )
    if not np.array_equal(predictions.index, rows.draws.index):
        raise DataError(
            f"{path}: its {len(predictions)} draw keys are not the {len(rows)} of {wanted}; "
            f"{remedy}"
        )
    return predictions


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
    check_same_draws(first, second)
    label = label or first.labels[0]
    rows = np.flatnonzero(first.found(label) & second.found(label))
    truth = first.truth[rows, first.column(label)]
    mine, theirs = (one.value[rows, one.column(label)] for one in (first, second))
    threshold = outlier_threshold(label)
    return {
        name: paired_difference(name, truth, mine, theirs, threshold, n_resample, seed)
        for name in SCORES
    }


def check_same_draws(first: Predictions, second: Predictions) -> None:
    """Raise DataError unless two tables are for the same draws, in the same order."""
    same = (first.dataset, first.split) == (second.dataset, second.split)
    if not (same and np.array_equal(first.index, second.index)):
        raise DataError(
            f"predictions of {first.model} ({first.split} of {first.dataset[:12]}, {len(first)} "
            f"spectra) and {second.model} ({second.split} of {second.dataset[:12]}, "
            f"{len(second)} spectra) are for different draws; predict the same split with both"
        )
