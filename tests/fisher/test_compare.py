"""The alarm rings for models that know too much, and only for them."""

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError, LeakError
from starsmith.fisher.compare import check_leak, compare, holm, match_keys
from starsmith.fisher.posterior import PosteriorOptions, posterior_mean


@pytest.fixture(scope="module")
def best(toy_bank, prior, toy_stars):
    return posterior_mean(
        toy_bank,
        prior,
        toy_stars.flux,
        toy_stars.error,
        toy_stars.draws.conditions,
        options=PosteriorOptions(n_template=8000),
    )


def against(toy_stars, best, prediction):
    mean, var, ess = best.of("logg")
    return compare(toy_stars.draws.label("logg"), prediction, mean, toy_stars.snr, var, ess)


def test_independent_posterior_mean_raises_no_alarm(toy_bank, prior, toy_stars, best):
    """The best estimator, from other templates and the error the network sees."""
    honest = posterior_mean(
        toy_bank,
        prior,
        toy_stars.flux,
        toy_stars.error,
        options=PosteriorOptions(n_template=6000, seed=77),
    )
    comparison = against(toy_stars, best, honest.of("logg")[0])
    assert not comparison.leak
    assert comparison.rows[0].efficiency == pytest.approx(1.0, abs=0.05)
    check_leak(comparison, "honest")


def test_cheater_that_sees_noiseless_flux_is_caught(toy_bank, prior, toy_stars, best):
    """A regression on flux_model at hundreds of times the honest S/N."""
    peek = posterior_mean(
        toy_bank,
        prior,
        toy_stars.flux_model,
        toy_stars.error / 5.0,
        options=PosteriorOptions(n_template=6000),
    )
    comparison = against(toy_stars, best, peek.of("logg")[0])
    assert comparison.leak
    with pytest.raises(LeakError, match="noiseless flux"):
        check_leak(comparison, "cheater")


def test_mild_leak_is_caught_when_pooled(toy_stars, best):
    """Predictions a third of the way from the posterior mean to the truth."""
    mean = best.of("logg")[0]
    better = mean + (toy_stars.draws.label("logg") - mean) / 3.0
    assert against(toy_stars, best, better).rows[0].too_good


def test_shrunk_predictions_raise_no_alarm(toy_stars, best):
    """Predicting the prior's mean wins among middling stars; never in bins of S/N."""
    for weight in (0.0, 0.5, 0.9):
        shrunk = 3.0 + weight * (best.of("logg")[0] - 3.0)
        assert not against(toy_stars, best, shrunk).leak


def test_difference_is_paired(toy_stars, best):
    """Mean and standard error by hand."""
    truth, mean = toy_stars.draws.label("logg"), best.of("logg")[0]
    prediction = mean + 0.1
    row = compare(truth, prediction, mean, toy_stars.snr).rows[0]
    gain = (prediction - truth) ** 2 - (mean - truth) ** 2
    assert row.difference == pytest.approx(gain.mean())
    assert row.standard_error == pytest.approx(gain.std(ddof=1) / np.sqrt(len(gain)))
    assert row.r2_best - row.r2_model == pytest.approx(gain.mean() / truth.var())


def test_holm_by_hand():
    """Three tests: factors 3, 2, 1 in order of p, never decreasing."""
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1.0, 1.0])


def test_keys_are_matched_or_refused():
    np.testing.assert_array_equal(match_keys(np.array([7, 3]), np.array([3, 5, 7])), [2, 0])
    with pytest.raises(DataError, match="1 of 2 stars"):
        match_keys(np.array([7, 4]), np.array([3, 5, 7]))
    with pytest.raises(DataError, match="repeat"):
        match_keys(np.array([3]), np.array([3, 3]))


def test_unusable_predictions_are_refused():
    with pytest.raises(DataError, match="not finite"):
        compare(np.zeros(30), np.full(30, np.nan), np.zeros(30), np.ones(30))
