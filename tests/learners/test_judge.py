"""Statistics that judge models, held against worlds whose answers are known."""

import numpy as np
import pytest
from scipy.stats import binom

from starsmith.data_contract.errors import ConfigError, DataError, LeakError
from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.quantities import UNITS
from starsmith.fisher.ceilings.ceiling_table import StarCeiling
from starsmith.learners import evaluate_predictions, fit, load_checkpoint, predict
from starsmith.learners.evaluation.calibration import calibrate
from starsmith.learners.evaluation.evaluation_figures import calibration_figure, models_figure
from starsmith.learners.evaluation.leak import hold_against, refuse_leaks
from starsmith.learners.evaluation.noise_marginal import marginalise_noise
from starsmith.learners.evaluation.pairs import against_best, differences
from starsmith.learners.evaluation.strata import default_mag_edges, groups_of
from starsmith.learners.evaluation.weighting import (
    parse_fractions,
    reweight,
    type_weights,
    weighted_median,
    weighted_scores,
)
from starsmith.learners.scores.metrics import SCORES, bootstrap, score

PRIOR_MEAN, PRIOR_STD = 3.0, 1.0


def table(truth, value, uncertainty=None, **changes):
    """Predictions of log g for stars of a made-up split."""
    n = truth.size
    entries = {
        "split": "test",
        "seed": 0,
        "index": np.arange(n),
        "snr": np.linspace(1.0, 30.0, n),
        "labels": ("logg",),
        "units": (UNITS["logg"],),
        "truth": truth[:, None],
        "value": value[:, None],
        "uncertainty": None if uncertainty is None else uncertainty[:, None],
        "model": "toy",
        "dataset": "d" * 64,
        "notice": "",
        "mag": 20.0 + np.arange(n) % 4 * 0.5,
    }
    return Predictions(**(entries | changes))


def gaussian_world(n, sigma=0.8, seed=0):
    """Truth, posterior mean and posterior σ where prior and noise are Gaussian."""
    rng = np.random.default_rng(seed)
    truth = PRIOR_MEAN + PRIOR_STD * rng.standard_normal(n)
    seen = truth + sigma * rng.standard_normal(n)
    share = PRIOR_STD**2 / (PRIOR_STD**2 + sigma**2)
    mean = PRIOR_MEAN + share * (seen - PRIOR_MEAN)
    return truth, mean, np.full(n, sigma * np.sqrt(share))


def test_bootstrap_intervals_cover_the_truth_as_often_as_they_say():
    """95 % intervals of R², MAE and bias hold the population's value in 95 % of repeated tests."""
    n_trial, n_star, sigma = 300, 200, 0.8
    share = 1.0 / (1.0 + sigma**2)
    left = sigma * np.sqrt(share)
    truth_of = {"r2": share, "mae": left * np.sqrt(2 / np.pi), "rmse": left, "bias": 0.0}
    held = dict.fromkeys(truth_of, 0)
    for trial in range(n_trial):
        truth, mean, _ = gaussian_world(n_star, sigma, seed=trial)
        found = bootstrap(truth, mean, 0.5, n_resample=200, seed=trial)
        for name, expected in truth_of.items():
            held[name] += found[name].low <= expected <= found[name].high

    # percentile intervals of 200 stars are a little narrow: 92 % allowed, less 4 binomial σ
    least = binom.ppf(3e-5, n_trial, 0.92)
    assert min(held.values()) >= least
    assert max(held.values()) <= n_trial


def test_paired_intervals_find_a_small_gain_and_rarely_a_null_one():
    """Errors 2 % smaller are always found; equal errors are called different in 5 % of tests."""
    n_trial, gains, alarms = 100, 0, 0
    for trial in range(n_trial):
        rng = np.random.default_rng([1, trial])
        truth, mean, _ = gaussian_world(400, seed=trial)
        better = table(truth, truth + 0.98 * (mean - truth), model="better")
        flip = np.where(rng.random(400) < 0.5, 0.97, 1.03)  # as often better as worse
        null = table(truth, truth + flip * (mean - truth), model="null")
        plain = table(truth, mean)
        choices = {"n_resample": 200, "pooled_only": True}
        gains += differences(better, plain, **choices)[0].verdict == "better"
        alarms += differences(null, plain, **choices)[0].verdict != "same"

    assert gains == n_trial
    # 5 %, of which percentile intervals make 7 at most here; 4 binomial σ above that
    assert alarms <= binom.ppf(1 - 3e-5, n_trial, 0.07)


def test_calibration_is_flat_where_the_posterior_is_known():
    """Exact Gaussian posteriors: coverage as stated, z of unit width, PIT histogram flat."""
    truth, mean, sigma = gaussian_world(20_000)

    found = calibrate(table(truth, mean, sigma))

    assert abs(found.z_mean) < 4 * found.z_mean_error
    assert abs(found.z_std - 1.0) < 4 * found.z_std_error
    for level, seen, error in zip(found.levels, found.coverage, found.coverage_error, strict=True):
        assert abs(seen - level) < 4 * error
    assert found.pit_p > 1e-4
    assert found.miscalibration < 0.01


@pytest.mark.parametrize(("factor", "too"), [(0.7, "narrow"), (1.4, "wide")])
def test_wrong_uncertainties_are_not_flat(factor, too):
    """Errors stated too small miss the truth too often, too large too seldom."""
    truth, mean, sigma = gaussian_world(4000)

    found = calibrate(table(truth, mean, factor * sigma))

    assert found.z_std == pytest.approx(1.0 / factor, rel=0.05)
    assert (found.coverage[1] < found.levels[1] - 0.1) == (too == "narrow")
    assert (found.coverage[1] > found.levels[1] + 0.1) == (too == "wide")
    assert found.pit_p < 1e-6


def test_a_model_without_uncertainties_cannot_be_calibrated():
    truth, mean, _ = gaussian_world(50)

    for ask in (calibrate, lambda t: calibration_figure([t])):
        with pytest.raises(DataError, match="states no uncertainties"):
            ask(table(truth, mean))


def test_groups_hold_every_star_once():
    """Every grouping is a partition, and giants are those below 2.5."""
    truth = np.array([1.0, 2.49, 2.5, 4.0, 4.01, 5.0])
    predictions = table(truth, truth)

    for by in ("snr", "type", "mag"):
        rows = np.concatenate([g.rows for g in groups_of(predictions, by)])
        assert sorted(rows) == list(range(6))
    assert [g.rows.tolist() for g in groups_of(predictions, "type")] == [[0, 1], [2, 3], [4, 5]]


def test_a_single_magnitude_is_one_bin():
    assert default_mag_edges(np.array([19.0, 19.0])) == (19.0, 19.5)
    assert default_mag_edges(np.array([20.6, 22.5])) == (20.5, 21.0, 21.5, 22.0, 22.5, 23.0)


def test_bins_without_a_single_star_are_refused():
    truth, mean, _ = gaussian_world(50)

    with pytest.raises(DataError, match=r"no spectrum .* snr bins 100, 200; its snr spans 1..30"):
        evaluate_predictions(table(truth, mean), snr_edges=(100.0, 200.0))


def test_empty_and_thin_groups_are_listed_without_scores():
    truth = np.linspace(4.1, 5.0, 60)

    groups = evaluate_predictions(table(truth, truth + 0.1), n_resample=20).groups

    assert [(g.name, g.n_spec, g.scores is None) for g in groups if g.by == "type"] == [
        ("giants", 0, True),
        ("subgiants", 0, True),
        ("dwarfs", 60, False),
    ]


def test_failed_fits_are_counted_and_scored_by_nobody():
    truth, mean, _ = gaussian_world(100)
    broken = mean.copy()
    broken[:10] = np.nan

    result = evaluate_predictions(table(truth, broken), n_resample=20)

    assert result.n_failed == 10
    assert result.scores["mae"].value == pytest.approx(np.abs(mean - truth)[10:].mean())
    assert differences(table(truth, broken), table(truth, mean))[0].n_spec == 90


def test_stars_whose_label_nobody_knows_are_left_out():
    truth, mean, _ = gaussian_world(100)
    unknown = truth.copy()
    unknown[:30] = np.nan

    result = evaluate_predictions(table(unknown, mean), n_resample=20)

    assert result.n_failed == 0
    assert result.scores["mae"].value == pytest.approx(np.abs(mean - truth)[30:].mean())


def test_whole_weights_are_repeated_stars():
    """Weighted scores are by definition those of a set that repeats every star so often."""
    rng = np.random.default_rng(3)
    truth = rng.uniform(1, 5, 101)
    value = truth + rng.standard_t(3, 101) * 0.4
    weight = rng.integers(1, 5, 101)

    found = weighted_scores(truth, value, weight.astype(float), 0.5)

    repeated = np.repeat(truth, weight), np.repeat(value, weight)
    for name in SCORES:
        assert found[name] == pytest.approx(score(name, *repeated, 0.5), rel=1e-12), name


def test_the_weighted_median_of_equal_weights_is_the_median():
    values = np.random.default_rng(0).normal(size=50)

    assert weighted_median(values, np.full(50, 0.3)) == pytest.approx(np.median(values))
    assert weighted_median(values[:49], np.full(49, 0.3)) == pytest.approx(np.median(values[:49]))


def test_reweighting_recovers_another_population():
    """A balanced test set, reweighted to 62 % dwarfs, scores as 62 % dwarfs do."""
    rng = np.random.default_rng(5)
    shares = {"giants": 0.14, "subgiants": 0.24, "dwarfs": 0.62}
    spans = {"giants": (1.0, 2.5), "subgiants": (2.5, 4.0), "dwarfs": (4.01, 5.0)}

    def stars(n_of):
        logg = np.concatenate([rng.uniform(*spans[k], n) for k, n in n_of.items()])
        return table(logg, logg + (0.1 + 0.2 * (5.0 - logg)) * rng.standard_normal(logg.size))

    balanced = stars(dict.fromkeys(spans, 4000))
    real = stars({k: int(30_000 * share) for k, share in shares.items()})

    found = reweight(balanced, shares, n_resample=100).scores
    expected = evaluate_predictions(real, n_resample=100).scores

    for name in ("mae", "rmse", "sigma_robust"):
        apart = found[name].value - expected[name].value
        assert abs(apart) < 4 * np.hypot(found[name].error, expected[name].error), name
        assert found[name].value < evaluate_predictions(balanced, n_resample=2).scores[name].value
    assert type_weights(balanced, shares).mean() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "text", ["giants", "giants=1", "giants=1,subgiants=1,dwarfs=-1", "giants=1,dogs=1,dwarfs=1", ""]
)
def test_populations_that_make_no_sense_are_refused(text):
    with pytest.raises(ConfigError, match="share of each stellar type"):
        parse_fractions(text)


def test_a_population_with_types_nobody_tested_is_refused():
    truth = np.linspace(4.1, 5.0, 60)

    with pytest.raises(DataError, match="giants asked for"):
        reweight(table(truth, truth), {"giants": 0.5, "subgiants": 0.3, "dwarfs": 0.2})


def ceiling_of(predictions, mean, sigma, **changes):
    """What `specfisher` would say of the stars, were this mean the exact posterior's."""
    n = len(predictions)
    entries = {
        "seed": 0,
        "split": "test",
        "index": predictions.index,
        "snr": predictions.snr,
        "mag": predictions.mag,
        "label": predictions.truth[:, 0],
        "sigma2": sigma**2,
        "mean": mean,
        "var": sigma**2,
        "ess": np.full(n, 1e4),
    }
    return StarCeiling(**(entries | changes))


def test_an_honest_model_passes_and_a_leak_is_caught_pooled_or_in_one_bin():
    """Squared error below the posterior mean's, anywhere in S/N or magnitude, is an alarm."""
    truth, mean, sigma = gaussian_world(4000)
    honest = table(truth, mean + 0.2)
    pooled = table(truth, truth + 0.8 * (mean - truth))
    faint = honest.mag >= 21.0
    hidden = table(truth, np.where(faint, truth + 0.6 * (mean - truth), mean + 0.3))
    stars = ceiling_of(honest, mean, sigma)

    verdicts = [hold_against(t, stars) for t in (honest, pooled, hidden)]

    assert [v.leak for v in verdicts] == [False, True, True]
    assert verdicts[0].comparison.rows[0].gap_interval[0] > 0.0
    assert verdicts[0].share < 1.0 < verdicts[1].share
    assert "mag" in min(verdicts[2].comparison.rows, key=lambda row: row.p_value).name
    refuse_leaks(verdicts[:1])
    with pytest.raises(LeakError):
        refuse_leaks(verdicts)


def test_ceilings_of_other_stars_are_refused():
    truth, mean, sigma = gaussian_world(100)
    predictions = table(truth, mean)

    for changes, says in (
        ({"seed": 1}, "of seed 1"),
        ({"index": np.arange(100) + 50}, "have no posterior"),
        ({"label": truth[::-1].copy()}, "must come from one data set"),
    ):
        with pytest.raises(DataError, match=says):
            hold_against(predictions, ceiling_of(predictions, mean, sigma, **changes))


def test_every_model_is_compared_with_the_best():
    truth, mean, _ = gaussian_world(300)
    tables = [table(truth, truth + k * (mean - truth), model=str(k)) for k in (1.5, 1.0, 2.0)]

    rows = against_best(tables, n_resample=50, pooled_only=True)

    assert [(r.first, r.second, r.verdict) for r in rows] == [
        ("1.5", "1.0", "worse"),
        ("2.0", "1.0", "worse"),
    ]


def test_different_draws_are_not_compared():
    truth, mean, _ = gaussian_world(40)

    with pytest.raises(DataError, match="different draws"):
        differences(table(truth, mean), table(truth, mean, index=np.arange(40) + 1))
    with pytest.raises(DataError, match="different draws"):
        differences(table(truth, mean), table(truth, mean, dataset="e" * 64))


def test_noise_marginalisation_measures_how_a_linear_model_carries_noise(line_data, tmp_path):
    """For ridge the scatter over noise draws is its weights times the noise, the mean its own."""
    fit("ridge", line_data.training(), "logg", None, tmp_path)
    model, split = load_checkpoint(tmp_path), KeyedSplit(line_data.split("test"))
    plain = predict(model, split)

    found = marginalise_noise(model, split, 60)

    estimator = model.estimator
    weights = estimator.weights[:, 0] * model.statistics.scale.std[0]
    expected = 0.2 * np.linalg.norm(weights / model.statistics.normaliser.std)
    # σ 0.2 on flux 1, so that the noisy median changes little: 5 % allowed for it
    assert np.median(found.uncertainty) == pytest.approx(expected, rel=0.05)
    apart = found.value - plain.value
    assert np.abs(apart).max() < 5.5 * expected / np.sqrt(60)
    again = marginalise_noise(model, split, 60)
    np.testing.assert_array_equal(found.value, again.value)


class KeyedSplit:
    """The first spectra of a toy split."""

    def __init__(self, split):
        from types import SimpleNamespace

        self._split, self.name, self.wave = split, "test", split.wave
        self.snr, self.digest, self.header = split.snr[:80], split.digest, split.header
        index = np.arange(80)
        self.draws = SimpleNamespace(seed=0, index=index, mag=np.full(80, 21.0))

    def __len__(self):
        return 80

    def label(self, name):
        return self._split.label(name)[:80]

    def observe(self, rows=None):
        return self._split.observe(np.arange(80)[rows if rows is not None else slice(None)])


def test_one_noise_draw_has_no_scatter(line_data, tmp_path):
    fit("ridge", line_data.training(), "logg", None, tmp_path)

    with pytest.raises(ConfigError, match="two draws at least"):
        marginalise_noise(load_checkpoint(tmp_path), KeyedSplit(line_data.split("test")), 1)


def test_figures_show_as_many_panels_as_models():
    truth, mean, sigma = gaussian_world(200)
    tables = [table(truth, mean, sigma, model=name) for name in "ab"]

    assert len(models_figure(tables).axes) == 3
    assert len(calibration_figure(tables).axes) == 3
