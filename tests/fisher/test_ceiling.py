"""The ceiling table: orderings that must hold, and what is written down."""

import dataclasses
import json
import math

import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.figure_kit import symbol_of
from starsmith.data_contract.noise.view import median_snr, true_error
from starsmith.fisher.ceilings.ceiling import ceiling, resampled_error
from starsmith.fisher.figures import ceiling_figure, plot_ceiling
from starsmith.fisher.information.bounds import STATISTICS
from starsmith.simulator.observe import draw_stars, model_flux, observe

SMALL = {"n_star": 400, "n_template": 4000, "snr_edges": (0.0, 3.0, 5.0, 10.0, math.inf)}


@pytest.fixture(scope="module")
def table(toy_bank, prior):
    return ceiling(toy_bank, prior, **SMALL)


def test_bins_hold_every_star_once(table):
    assert [row.name for row in table.rows] == ["all", "0-3", "3-5", "5-10", ">10"]
    assert sum(row.n for row in table.rows[1:]) == table.rows[0].n == 400


def test_stars_are_binned_as_models_are(toy_bank, prior, table):
    """S/N is the contract's: noiseless flux over true sigma; stored rounding leaves 1e-3."""
    draws = draw_stars(toy_bank, prior, 0, "test", np.arange(400))
    flux_model = model_flux(toy_bank, draws)
    snr = median_snr(flux_model, true_error(toy_bank.noise, flux_model, draws.conditions))
    np.testing.assert_allclose(table.stars.snr, snr, rtol=1e-3)
    np.testing.assert_array_equal(table.stars.index, draws.index)


def test_statistics_are_ordered(table):
    """Unbiased <= clipped mean; van Trees never below the exact ceiling."""
    for row in table.rows:
        assert row.r2["unbiased_mean"][0] <= row.r2["mean_clip"][0]
        assert row.r2["bayes_gauss"][0] > row.r2["unbiased_mean"][0]
    pooled = table.row("all")
    exact, error = pooled.r2["posterior_mean"]
    assert pooled.r2["van_trees"][0] > exact - error
    # a good proxy, not a bound: 0.03 in R² in this toy world
    assert pooled.r2["bayes_gauss"][0] == pytest.approx(exact, abs=0.03 + 2 * error)


def test_ceiling_rises_with_signal_to_noise(table):
    values = [row.r2["posterior_mean"][0] for row in table.rows[1:]]
    assert values == sorted(values)


def test_posterior_mean_attains_its_own_ceiling(table):
    """Realised R² within 4 standard errors, bin by bin, and no disagreement flagged."""
    for row in table.rows:
        value, error = row.r2["posterior_mean"]
        assert abs(row.realised[0] - value) < 4.0 * max(row.realised[1], error)
        assert "realised-differs" not in row.flags
        assert abs(row.halving) < 0.01


def test_each_bin_uses_its_own_variance(table):
    stars = table.stars
    row = table.row("3-5")
    members = (stars.snr >= 3) & (stars.snr < 5)
    assert row.variance == pytest.approx(stars.label[members].var())
    expected = 1.0 - stars.var[members].mean() / stars.label[members].var()
    assert row.r2["posterior_mean"][0] == pytest.approx(expected)


def test_bins_may_be_over_the_95th_percentile(toy_bank, prior, table):
    """The same stars in other bins, each as a data set's ``snr_p95`` puts it."""
    few = {**SMALL, "statistics": ("unbiased_mean",)}
    other = ceiling(toy_bank, prior, snr_statistic="p95", **few)
    draws = draw_stars(toy_bank, prior, 0, "test", np.arange(400))
    snr = observe(toy_bank, draws).snr_p95
    np.testing.assert_allclose(other.stars.snr, snr, rtol=1e-3)
    assert np.all(other.stars.snr > table.stars.snr)
    assert other.row("3-5").n == np.sum((other.stars.snr >= 3) & (other.stars.snr < 5))
    assert "95th" in other.header["snr"]
    with pytest.raises(ConfigError, match="--snr-statistic"):
        ceiling(toy_bank, prior, snr_statistic="mean", **few)


def test_same_seed_same_table(toy_bank, prior):
    few = {**SMALL, "n_star": 60, "n_template": 1000}
    one, two = (ceiling(toy_bank, prior, **few).to_dict() for _ in range(2))
    assert one == two


def test_known_amplitude_raises_every_bound(toy_bank, prior):
    choices = {**SMALL, "statistics": ("unbiased_mean", "bayes_gauss")}
    free, known = (
        ceiling(toy_bank, prior, normalise=n, **choices).row("all") for n in ("free", "known")
    )
    for name in choices["statistics"]:
        assert known.r2[name][0] > free.r2[name][0]


def test_given_draws_are_scored(toy_bank, prior):
    draws = draw_stars(toy_bank, prior, 9, "val", np.arange(40))
    found = ceiling(toy_bank, prior, "teff", draws, statistics=("bayes_gauss",), n_star=30)
    assert found.row("all").n == 30
    assert found.stars.split == "val"
    np.testing.assert_array_equal(found.stars.label, draws.label("teff")[:30])
    assert found.unit == "K"


def test_json_and_ecsv_hold_numbers_and_assumptions(table, tmp_path):
    """Both read back; JSON has no NaN; the header names what is known and marginalised."""
    table.write(tmp_path / "ceiling.json")
    content = json.loads((tmp_path / "ceiling.json").read_text(), parse_constant=pytest.fail)
    assert set(content["statistics"]) == set(STATISTICS)
    assert content["header"]["marginalised"] == "teff, logg, m_h"
    assert content["rows"][-1]["high"] is None

    table.write(tmp_path / "ceiling.ecsv")
    read = Table.read(tmp_path / "ceiling.ecsv", format="ascii.ecsv")
    np.testing.assert_allclose(
        read["posterior_mean"], [row.r2["posterior_mean"][0] for row in table.rows]
    )
    assert read.meta["header"]["amplitude"].startswith("unknown")
    assert read.meta["notice"] == table.notice


def test_markdown_has_a_row_per_bin_and_the_notice(table):
    text = table.to_markdown()
    assert table.notice in text
    for row in table.rows:
        assert f"| {row.name} | {row.n} |" in text


def test_bootstrap_error_is_that_of_a_mean():
    """Errors that do not depend on the label: s.e. of the mean over the variance, to 10 %.

    200 resamples know a standard error to 5 %; the label variance adds a little more.
    """
    rng = np.random.default_rng(5)
    label, squared = rng.uniform(-1, 1, 4000), rng.exponential(0.05, 4000)
    variance = label.var()
    kurtosis = np.mean((label - label.mean()) ** 4) / variance**2
    relative = np.hypot(1.0, math.sqrt(kurtosis - 1.0))
    expected = 0.05 / variance / math.sqrt(4000) * relative
    assert resampled_error(squared, label) == pytest.approx(expected, rel=0.2)


def test_holes_of_the_grid_are_kept_out(toy_bank, prior):
    """Stars, templates and re-drawn labels avoid filled nodes; van Trees needs a whole box."""
    filled = toy_bank.filled.copy()
    filled[:2] = True
    bank = dataclasses.replace(toy_bank, filled=filled)
    bright = prior.with_ranges(mag=(18.5, 19.5))
    found = ceiling(bank, bright, **{**SMALL, "n_star": 60, "n_template": 1000}).row("all")
    assert math.isnan(found.r2["van_trees"][0])
    assert 0.9 < found.r2["posterior_mean"][0] < 1.0


@pytest.mark.parametrize(
    ("target", "choices", "words"),
    [
        ("a_m", {}, "does not vary"),
        ("logg", {"statistics": ("r2",)}, "known are"),
        ("logg", {"snr_edges": (3.0, 2.0)}, "must increase"),
    ],
)
def test_impossible_requests_say_what_is_possible(toy_bank, prior, target, choices, words):
    with pytest.raises(ConfigError, match=words):
        ceiling(toy_bank, prior, target, n_star=5, **choices)


def test_figure_carries_labels_models_and_notice(table, tmp_path):
    """Axes say what they show; every statistic and model is in the legend; notice printed."""
    models = {"ridge": {"3-5": (0.4, 0.35, 0.45), "5-10": (0.6, 0.55, 0.65)}}
    figure = ceiling_figure(table, models)
    axes = figure.axes[0]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "S/N per pixel" in axes.get_xlabel()
    assert symbol_of("logg") in axes.get_ylabel()
    assert "ridge" in legend
    assert sum("posterior mean" in text for text in legend) == 1
    assert figure.get_supxlabel() == table.notice
    plot_ceiling(table, tmp_path / "ceiling.png", models)
    assert (tmp_path / "ceiling.png").stat().st_size > 10_000


def test_a_figure_without_a_bin_of_enough_stars_is_refused(table):
    """Every bin below thirty stars leaves nothing to draw: the message says what to change."""
    sparse = dataclasses.replace(
        table, rows=tuple(dataclasses.replace(row, n=29) for row in table.rows)
    )

    with pytest.raises(ConfigError, match="--n-star"):
        ceiling_figure(sparse)


def test_rows_by_magnitude_are_the_same_stars_fainter(toy_bank, prior):
    """Same labels in every row, ceiling falling with magnitude, amplitude not given away."""
    small = {"n_star": 150, "n_template": 3000, "mags": (20.0, 21.0, 22.0)}

    table = ceiling(toy_bank, prior, **small)

    assert [row.name for row in table.rows] == ["mag 20", "mag 21", "mag 22"]
    assert {row.n for row in table.rows} == {150}
    assert len({row.variance for row in table.rows}) == 1
    values = [row.r2["posterior_mean"][0] for row in table.rows]
    assert values == sorted(values, reverse=True)
    assert "mag 19.5..22.5" in table.header["prior"]
    assert table.header["population"].startswith("150 stars at each magnitude")


def test_row_of_a_magnitude_is_the_ceiling_of_its_stars(toy_bank, prior):
    """Alone or beside others: the bounds of stars do not depend on their neighbours."""
    some = {"n_star": 100, "statistics": ("unbiased_mean", "mean_clip")}

    together = ceiling(toy_bank, prior, mags=(20.0, 21.0), **some)
    alone = ceiling(toy_bank, prior, mags=(21.0,), **some)

    assert together.row("mag 21").sigma == pytest.approx(alone.rows[0].sigma, rel=1e-9)
