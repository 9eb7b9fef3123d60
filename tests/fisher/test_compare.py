"""The alarm rings for models that know too much, and only for them."""

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError, LeakError
from starsmith.fisher.ceilings.ceiling import ceiling
from starsmith.fisher.ceilings.leak_test import check_leak, compare, holm, leak_verdict, match_keys
from starsmith.fisher.posterior.posterior_mean import PosteriorOptions, posterior_mean
from starsmith.simulator.observe import draw_stars, observe


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


def test_too_few_stars_are_refused():
    with pytest.raises(DataError, match="20 are the least"):
        compare(np.zeros(5), np.zeros(5), np.zeros(5), np.ones(5))


def test_bins_of_magnitude_are_judged_beside_those_of_snr(toy_stars, best):
    """Every star lies in one magnitude bin; Holm counts all rows: the p-values only grow."""
    mean, var, ess = best.of("logg")
    inputs = (toy_stars.draws.label("logg"), mean + 0.1, mean, toy_stars.snr, var, ess)

    alone = compare(*inputs)
    both = compare(*inputs, mag=toy_stars.draws.mag)

    by_mag = [row for row in both.rows if row.name.startswith("mag")]
    assert sum(row.n for row in by_mag) == len(toy_stars)
    assert both.verdict("nowhere") == "few stars"
    for row in alone.rows:
        assert both.row(row.name).p_value >= row.p_value


def test_intervals_hold_the_error_of_the_mean(toy_stars, best):
    """Paired bootstrap: the gap's half width is about 2 s.e. / Var; 400 resamples know it to 5 %.

    The variance's own scatter widens it a little.
    """
    mean = best.of("logg")[0]
    truth = toy_stars.draws.label("logg")
    noisy = mean + 0.5 * np.random.default_rng(0).normal(size=mean.size)

    row = compare(truth, noisy, mean, toy_stars.snr).rows[0]

    half = 0.5 * (row.gap_interval[1] - row.gap_interval[0])
    assert half == pytest.approx(1.96 * row.standard_error / truth.var(), rel=0.25)
    assert row.r2_interval[0] < row.r2_model < row.r2_interval[1]


@pytest.fixture(scope="module")
def table(toy_bank, prior):
    """Ceiling of 300 test stars."""
    return ceiling(toy_bank, prior, n_star=300, n_template=8000, statistics=("posterior_mean",))


def ridge_on(spectra, labels, test):
    """Linear regression trained on some spectra, applied to others; all divided by their means."""
    rows, other = (s / s.mean(axis=1, keepdims=True) - 1.0 for s in (spectra, test))
    gram = rows @ rows.T + 1e-4 * np.trace(rows @ rows.T) / len(rows) * np.eye(len(rows))
    return labels.mean() + other @ (rows.T @ np.linalg.solve(gram, labels - labels.mean()))


def test_a_model_that_reads_noiseless_flux_raises_the_alarm(toy_bank, prior, table):
    """The same regression is caught on flux_model, and passes on the flux that is observed."""
    train = observe(toy_bank, draw_stars(toy_bank, prior, 0, "train", np.arange(500)))
    test = observe(toy_bank, draw_stars(toy_bank, prior, 0, "test", np.arange(300)))
    labels = train.draws.label("logg")

    cheat = ridge_on(train.flux_model, labels, test.flux_model)
    honest = ridge_on(train.flux, labels, test.flux)

    caught = leak_verdict(test.draws.index, cheat, table)
    assert caught.verdict("all") == "ABOVE CEILING"
    with pytest.raises(LeakError):
        check_leak(caught, "cheat")
    assert not leak_verdict(test.draws.index[::-1], honest[::-1], table).leak


def test_a_ceiling_without_posterior_judges_nobody(toy_bank, prior):
    table = ceiling(toy_bank, prior, n_star=40, statistics=("bayes_gauss",))
    with pytest.raises(DataError, match="posterior_mean"):
        leak_verdict(np.arange(40), np.zeros(40), table)


def test_posterior_estimator_attains_the_ceiling(toy_bank, prior, table):
    """Other templates, the error as handed over: R² within 4 paired standard errors."""
    test = observe(toy_bank, draw_stars(toy_bank, prior, 0, "test", np.arange(300)))
    options = PosteriorOptions(n_template=6000, seed=5)
    found = posterior_mean(toy_bank, prior, test.flux, test.error, options=options)

    verdict = leak_verdict(test.draws.index, found.of("logg")[0], table)

    row = verdict.row("all")
    assert abs(row.difference) < 4.0 * max(row.standard_error, 2e-3)
    assert not verdict.leak


@pytest.mark.slow
def test_twenty_honest_runs_raise_at_most_one_alarm(toy_bank, prior):
    """The posterior mean from other templates, twenty populations: 0.03 alarms are expected."""
    alarms = 0
    for seed in range(20):
        draws = draw_stars(toy_bank, prior, 100 + seed, "test", np.arange(200))
        table = ceiling(
            toy_bank, prior, draws=draws, n_star=200, n_template=6000,
            statistics=("posterior_mean",),
        )  # fmt: skip
        test = observe(toy_bank, draws, error="smooth")
        options = PosteriorOptions(n_template=6000, seed=1000 + seed)
        found = posterior_mean(
            toy_bank, prior, test.flux, test.error, draws.conditions, None, options
        )
        alarms += leak_verdict(draws.index, found.of("logg")[0], table).leak
    assert alarms <= 1
