"""Stars of a table: the posterior is Bayes' theorem over its rows, each at its own magnitude."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.tables.population import Population
from starsmith.fisher.ceilings.ceiling import ceiling
from starsmith.fisher.posterior.posterior_mean import PosteriorOptions, posterior_mean
from starsmith.fisher.posterior.templates import TableRows
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.rendering.interpolate import interpolate
from tests.reference.fisher import posterior_over_rows

SCATTER = 0.02  # of magnitude about that of log g: the luminosity all but fixes log g


def population_of(prior, n_row, weight=None, scatter=0.3, seed=4):
    """Stars on a line: log g tells Teff; giants are brighter, with scatter."""
    rng = np.random.default_rng(seed)
    logg = rng.uniform(1.0, 5.0, n_row)
    columns = {
        "teff": 4000.0 + 400.0 * logg,
        "logg": logg,
        "m_h": rng.uniform(-2.0, 0.5, n_row),
        "mag": 20.5 + 0.4 * logg + scatter * rng.normal(size=n_row),
    }
    weight = np.full(n_row, 1.0 / n_row) if weight is None else weight
    return prior.with_population(
        Population(path="stars.ecsv", sha256="0" * 64, columns=columns, weight=weight)
    )


def loud_stars(bank, prior, n_spec, factor, seed=1):
    """Draws of a population, observed with noise ``factor`` times as large: draws, flux, error."""
    draws = draw_stars(bank, prior, 0, "test", np.arange(n_spec))
    batch = observe(bank, draws, error="smooth")
    error = factor * batch.error.astype(float)
    noise = error * np.random.default_rng(seed).normal(size=error.shape)
    return draws, batch.flux_model + noise, error


def twin_over(bank, prior, flux, error):
    """The brute force: every pixel of every row of the prior's table."""
    table = prior.population
    labels = table.labels(bank.label_names)
    spectra = interpolate(bank, labels, table.columns["mag"])
    return posterior_over_rows(flux, error**2, spectra, labels, table.weight)


@pytest.mark.parametrize("factor", [3.0, 30.0])
def test_rows_are_weighed_by_bayes_theorem(toy_bank, prior, factor):
    """Against every pixel of every row, unequal weights: 2 % of σ, 1 % of the variance's mean.

    The short basis errs by a twentieth of the noise of the brightest star.
    """
    weight = np.random.default_rng(3).dirichlet(np.ones(800))
    table = population_of(prior, 800, weight, SCATTER)
    draws, flux, error = loud_stars(toy_bank, table, 60, factor)

    found = posterior_mean(toy_bank, table, flux, error)

    mean, var, _ = twin_over(toy_bank, table, flux, error)
    sigma = np.sqrt(var.mean(axis=0))
    assert np.all(np.abs(found.mean - mean) < 0.02 * sigma)
    np.testing.assert_allclose(found.var.mean(axis=0), var.mean(axis=0), rtol=0.01)
    assert found.exact
    assert found.unseen is None
    rows = TableRows.of(toy_bank, table.population)
    assert np.all(rows.own(draws) >= 0)
    strangers = dataclasses.replace(draws, mag=draws.mag + 1e-6)
    assert np.all(rows.own(strangers) == -1)


def test_where_magnitude_fixes_log_g_the_ceiling_is_the_populations(toy_bank, prior):
    """A table of 8,000 rows against 60,000 other stars drawn from the exact population.

    Noise so large that hundreds of rows resemble each star. Both estimates of the mean
    variance err by 1 / ESS and by chance, together below 3 %; with and without the star's
    own row they enclose it within that.
    """
    table = population_of(prior, 8000, scatter=SCATTER)
    twin = population_of(prior, 60_000, scatter=SCATTER, seed=5)
    draws, flux, error = loud_stars(toy_bank, table, 200, 40.0)
    own = TableRows.of(toy_bank, table.population).own(draws)

    found = posterior_mean(
        toy_bank, table, flux, error, options=PosteriorOptions(n_template=4000), own=own
    )

    _, var, ess = twin_over(toy_bank, twin, flux, error)
    assert np.median(ess) > 500
    assert found.var[:, 1].mean() == pytest.approx(var[:, 1].mean(), rel=0.03)
    label = draws.label("logg")
    for mean in (found.mean[:, 1], found.unseen[:, 1]):
        apart = (mean - label) ** 2 - var[:, 1]
        assert abs(apart.mean()) < 4.0 * apart.std() / np.sqrt(200) + 0.03 * var[:, 1].mean()


def test_stated_and_realised_errors_agree_for_a_luminosity_prior(toy_bank, prior):
    """Survey noise, a table whose magnitudes all but fix log g: no flag, bin by bin.

    What is told of a star without its own row is never better than with it.
    """
    table = population_of(prior, 2000, scatter=SCATTER)
    choices = {"n_star": 150, "n_template": 2000, "statistics": ("posterior_mean",)}

    found = ceiling(toy_bank, table, snr_edges=(0.0, 3.0, 5.0, 10.0, 100.0), **choices)

    for row in found.rows:
        assert "realised-differs" not in row.flags
        if np.isnan(row.r2["posterior_mean"][0]):
            continue  # fewer than ten stars
        assert row.unseen[0] <= row.r2["posterior_mean"][0] + 3.0 * row.unseen[1]
    assert found.row("all").r2["posterior_mean"][0] > 0.99
    assert "not in it reaches" in found.to_markdown().replace("\n", " ")


def test_knowing_the_population_raises_the_ceiling(toy_bank, prior):
    """Stars on a line in labels are told better than under a box as wide: prior knowledge."""
    line = population_of(prior, 1500)
    draws = draw_stars(toy_bank, line, 2, "test", np.arange(120))
    choices = {"n_star": 120, "n_template": 3000, "statistics": ("posterior_mean", "van_trees")}

    table = ceiling(toy_bank, line, draws=draws, **choices)
    box = ceiling(toy_bank, prior.with_ranges(**line.ranges), draws=draws, **choices)

    row = table.row("all")
    assert row.r2["posterior_mean"][0] > box.row("all").r2["posterior_mean"][0] + 0.05
    assert np.isnan(row.r2["van_trees"][0])
    assert table.header["van_trees"].startswith("not applicable")
    assert "1500 rows of stars.ecsv" in table.header["prior"]
    assert "realised-differs" not in row.flags


@pytest.mark.parametrize("choice", [{"mags": (20.0, 21.0)}, {"normalise": "known"}])
def test_tables_of_stars_have_magnitudes_of_their_own(toy_bank, prior, choice):
    with pytest.raises(ConfigError, match="--population"):
        ceiling(toy_bank, population_of(prior, 50), n_star=30, **choice)
