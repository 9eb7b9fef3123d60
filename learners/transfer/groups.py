"""Scores of a transferred model on test stars: all, and the two groups of a stratum."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.data_contract.errors import LeakError
from starsmith.learners.preprocess import LabelScale, Statistics, iterate_blocks
from starsmith.learners.scores.metrics import Interval, bootstrap, outlier_threshold
from starsmith.learners.training.network import NetworkEstimator
from starsmith.learners.transfer.target_views import Strata

__all__ = ["FEWEST", "group_scores", "predict_view", "refuse_shared"]

FEWEST = 10  # stars of a group that is scored


def predict_view(
    estimator: NetworkEstimator, statistics: Statistics, split: TrainingSplit
) -> np.ndarray:
    """Labels of every star of a split on the model's pixels, float64 (n_spec, n_label)."""
    parts = []
    for rows in iterate_blocks(len(split)):
        seen = split.observe(rows)
        parts.append(estimator(statistics.normaliser.apply(seen.flux, seen.mask))[0])
    scale: LabelScale = statistics.scale
    return scale.to_labels(np.concatenate(parts))


def group_scores(
    labels: Sequence[str],
    truth: np.ndarray,
    value: np.ndarray,
    below: np.ndarray | None = None,
    names: tuple[str, str] = ("below", "above"),
) -> dict[str, dict[str, Mapping[str, Interval]]]:
    """Label -> group -> score -> interval, of stars resampled; small groups are left out.

    Parameters
    ----------
    labels : sequence of str
    truth, value : float64 arrays, shape (n_spec, n_label)
    below : bool array, shape (n_spec,), optional
        The first group.
    names : (str, str)
        Of the groups.
    """
    everyone = np.ones(len(truth), dtype=bool)
    groups = {"all": everyone}
    if below is not None:
        groups |= {names[0]: below, names[1]: ~below}
    table: dict[str, dict[str, Mapping[str, Interval]]] = {}
    for k, label in enumerate(labels):
        table[label] = {}
        for name, inside in groups.items():
            known = inside & ~np.isnan(truth[:, k]) & ~np.isnan(value[:, k])
            if known.sum() >= FEWEST:
                table[label][name] = bootstrap(
                    truth[known, k], value[known, k], outlier_threshold(label)
                )
    return table


def below_edge(split: TrainingSplit, strata: Strata | None) -> np.ndarray | None:
    """The first group of the stars of a split; None without strata."""
    return None if strata is None else strata.below(split)


def refuse_shared(learned: Sequence[tuple[str, Split]], test: Split, name: str) -> None:
    """Refuse test stars that a model has learned from, by the id of the star or the draw.

    Parameters
    ----------
    learned : sequence of (str, Split)
        Splits that were learned from or chosen by, each with the name of its data set.
    test : Split
    name : str
        Of the test data.

    Raises
    ------
    LeakError
        Naming the first split that shares stars with the test.
    """
    own = identities(test)
    for other, split in learned:
        theirs = identities(split)
        for by in own.keys() & theirs.keys():
            n_shared = int(np.isin(theirs[by], own[by]).sum())
            if n_shared:
                raise LeakError(
                    f"{other} {split.name}: {n_shared} of its stars are test stars of {name}, by "
                    f"{by}; leave them out of training (`specdata check-leakage` lists them)"
                )


def identities(split: Split) -> dict[str, np.ndarray]:
    """Who the stars of a split are: name of an identity -> its values, those known."""
    if split.header.store == "observed":
        found = {by: split.column(by) for by in ("source_id", "targetid")}
        return {by: ids[ids != -1] for by, ids in found.items() if (ids != -1).any()}
    draws = split.draws
    return {f"draw key of seed {draws.seed}, split {split.name}": draws.index}


def view_of_test(view: TrainingView, test: Split) -> TrainingView:
    """A view whose val split is the test split, to be mapped as the training data are."""
    return replace(view, val=TrainingSplit.of(test, fresh_noise=False))
