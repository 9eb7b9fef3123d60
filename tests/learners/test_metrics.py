"""Scores agree with their definitions, and their intervals with sampling theory."""

import numpy as np
import pytest

from starsmith.learners.scores import metrics
from tests.reference import metrics as slow

THRESHOLD = 0.5


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(3)
    truth = rng.uniform(1, 5, 501)
    return truth, truth + rng.standard_t(3, truth.size) * 0.4 + 0.1


@pytest.mark.parametrize("name", list(metrics.SCORES))
def test_scores_equal_their_slow_twins(sample, name):
    """Every vectorised score is its definition, star by star (float64 sums: 1e-12)."""
    extra = (THRESHOLD,) if name == "outlier_fraction" else ()

    fast = metrics.score(name, *sample, THRESHOLD)

    assert fast == pytest.approx(getattr(slow, name)(*sample, *extra), rel=1e-12)


def test_gaussian_errors_have_their_own_sigma():
    """On Gaussian errors robust sigma, RMSE and sigma agree; an offset moves all but the first."""
    rng = np.random.default_rng(1)
    truth = rng.uniform(1, 5, 400_000)
    value = truth + 0.3 * rng.standard_normal(truth.size) + 0.4

    # 4 x the scatter of a MAD at this size: 1.17 sigma / sqrt(n) = 5.5e-4
    assert metrics.sigma_robust(truth, value) == pytest.approx(0.3, abs=2.5e-3)
    assert metrics.rmse(truth, value) == pytest.approx(0.5, abs=2.5e-3)  # a 3-4-5 triangle
    assert metrics.sigma_robust_uncentred(truth, value) > 0.55
    assert metrics.bias(truth, value) == pytest.approx(0.4, abs=2.5e-3)


def test_perfect_and_constant_predictions():
    """R2 is one for the truth and zero for its mean."""
    truth = np.linspace(1, 5, 50)

    assert metrics.r2(truth, truth) == 1.0
    assert metrics.r2(truth, np.full(50, truth.mean())) == pytest.approx(0.0, abs=1e-12)
    assert metrics.r2(np.full(50, 3.0), truth) == -np.inf  # no spread to explain


def test_bootstrap_equals_its_slow_twin(sample):
    """Chunked resampling draws the numbers a plain loop draws."""
    fast = metrics.bootstrap(*sample, THRESHOLD, n_resample=40, seed=5)["r2"]

    scores = slow.bootstrap_r2(*sample, 40, 5)
    assert fast.error == pytest.approx(scores.std(ddof=1), rel=1e-10)
    assert (fast.low, fast.high) == pytest.approx(tuple(np.percentile(scores, [2.5, 97.5])))


def test_bootstrap_in_chunks_is_the_same(sample, monkeypatch):
    """How many resamples are held at once changes nothing."""
    whole = metrics.bootstrap(*sample, THRESHOLD, n_resample=30)

    monkeypatch.setattr(metrics, "CHUNK", 1)

    assert metrics.bootstrap(*sample, THRESHOLD, n_resample=30) == whole


def test_bootstrap_error_of_a_mean_is_sigma_over_root_n(sample):
    """The bias is a mean, so its standard error has a closed form."""
    truth, value = sample

    error = metrics.bootstrap(truth, value, THRESHOLD, n_resample=2000)["bias"].error

    expected = np.std(value - truth) / np.sqrt(truth.size)
    assert error == pytest.approx(expected, rel=0.07)  # 4 / sqrt(2 x 2000) = 6.3 %


def test_paired_difference_is_sharper_than_two_separate_intervals(sample):
    """Two models with nearly the same errors are told apart by the paired bootstrap alone."""
    truth, first = sample
    second = first + 0.02 * np.sign(first - truth)  # every error a little larger

    difference = metrics.paired_difference("mae", truth, first, second)
    alone = metrics.bootstrap(truth, first, THRESHOLD)["mae"]

    assert difference.value == pytest.approx(-0.02, abs=1e-9)
    assert difference.high < 0.0
    assert difference.error < 0.01 * alone.error
