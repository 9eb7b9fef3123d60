"""Are joint posteriors right? Tests that see correlations, which marginal ones do not."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import kstest

__all__ = ["TarpResult", "TwoSampleResult", "classifier_two_sample", "tarp"]

N_FOLD = 5


@dataclass(frozen=True)
class TarpResult:
    """Coverage of regions around reference points.

    Attributes
    ----------
    credibility : float64, shape (n_spec,)
        Share of the draws that lie nearer to the reference than the truth; uniform if right.
    p_value : float
        Of their flatness (Kolmogorov-Smirnov).
    """

    credibility: np.ndarray
    p_value: float


def tarp(draws: np.ndarray, truth: np.ndarray, reference: np.ndarray) -> TarpResult:
    """Tests of accuracy with random points (Lemos, Coogan, Hezaveh & Perreault-Levasseur 2023).

    Parameters
    ----------
    draws : float64 array, shape (n_spec, n_draw, n_label)
    truth : float64 array, shape (n_spec, n_label)
    reference : float64 array, shape (n_spec, n_label)
        One point a star; points that depend on the data, as a predicted value does, find what
        others miss. They must not depend on the truth.
    """
    scale = draws.std(axis=(0, 1))
    apart = np.linalg.norm((draws - reference[:, None]) / scale, axis=2)
    own = np.linalg.norm((truth - reference) / scale, axis=1)
    credibility = np.mean(apart < own[:, None], axis=1)
    return TarpResult(credibility, float(kstest(credibility, "uniform").pvalue))


@dataclass(frozen=True)
class TwoSampleResult:
    """How well a classifier tells two sets of draws apart.

    Attributes
    ----------
    accuracy, error : float
        Share told right on stars it was not trained on, and its standard error; 0.5 if the
        sets cannot be told apart.
    """

    accuracy: float
    error: float

    @property
    def upper(self) -> float:
        """Upper end of the one-sided 95 % interval."""
        return self.accuracy + 1.645 * self.error


def classifier_two_sample(
    first: np.ndarray, second: np.ndarray, context: np.ndarray, seed: int = 0
) -> TwoSampleResult:
    """Train trees to tell draws of two posteriors apart, cross-validated by star.

    Draws enter whitened with the second posterior's mean and spread of each label, with their
    pairwise products (a wrong correlation is in these), beside what is known of the star
    (Lopez-Paz & Oquab 2017).

    Parameters
    ----------
    first, second : float64 arrays, shape (n_spec, n_draw, n_label)
        Draws of equal weight; of the exact posterior is the second.
    context : float64 array, shape (n_spec, n_context)
        E.g. posterior means, S/N.
    seed : int
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import GroupKFold

    n_spec, n_draw, n_label = first.shape
    centre, spread = second.mean(axis=1, keepdims=True), second.std(axis=1, keepdims=True)
    i, j = np.triu_indices(n_label)
    white = np.concatenate([(one - centre) / spread for one in (first, second)], axis=1)
    star = np.repeat(context[:, None], 2 * n_draw, axis=1)
    table = np.concatenate([white, white[..., i] * white[..., j], star], axis=2)
    table = table.reshape(2 * n_draw * n_spec, -1)
    kind = np.tile(np.repeat([0, 1], n_draw), n_spec)
    groups = np.repeat(np.arange(n_spec), 2 * n_draw)
    right = np.empty(len(kind))
    for train, test in GroupKFold(N_FOLD).split(table, kind, groups):
        model = HistGradientBoostingClassifier(random_state=seed).fit(table[train], kind[train])
        right[test] = model.predict(table[test]) == kind[test]
    by_star = right.reshape(n_spec, -1).mean(axis=1)
    return TwoSampleResult(float(by_star.mean()), float(by_star.std() / np.sqrt(n_spec)))
