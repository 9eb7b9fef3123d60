"""Populations: tables of stars as priors."""

import hashlib

import numpy as np
import pytest
from astropy import units
from astropy.table import Table

from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.random import DrawKey
from starsmith.data_contract.tables.population import read_population
from starsmith.simulator.generation.generate import check_population, check_prior
from starsmith.simulator.observe import draw_stars
from starsmith.simulator.presets import settle
from starsmith.simulator.prior import Prior


def catalogue(n=40):
    """A mock catalogue on the toy bank's grid."""
    rng = np.random.default_rng(1)
    return Table(
        {
            "teff": rng.uniform(4000, 5900, n) * units.K,
            "logg": rng.uniform(1.1, 4.9, n),
            "m_h": rng.uniform(-2.4, 0.7, n),
            "mag": rng.uniform(20, 22, n),
            "weight": np.linspace(0.0, 2.0, n),
        }
    )


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    path = tmp_path_factory.mktemp("stars") / "mock.ecsv"
    catalogue().write(path, format="ascii.ecsv")
    return read_population(path)


def test_stars_are_rows_in_proportion_to_their_weight(population, toy_bank):
    """Every star is one row, labels and magnitude together; counts follow the weights.

    20,000 draws of 40 rows: each count within 5 standard deviations of n p.
    """
    prior = Prior.default().with_population(population)
    n = 20_000
    draws = draw_stars(toy_bank, prior, 3, "train", np.arange(n))
    rows = population.rows(DrawKey(3, "train", np.arange(n)))
    np.testing.assert_array_equal(draws.labels, population.labels(toy_bank.label_names)[rows])
    np.testing.assert_array_equal(draws.mag, population.columns["mag"][rows])
    counts = np.bincount(rows, minlength=len(population))
    p = population.weight
    assert counts[0] == 0  # its weight is zero
    assert np.all(np.abs(counts - n * p) <= 5 * np.sqrt(n * p * (1 - p)))
    assert p.sum() == pytest.approx(1.0, abs=1e-12)  # 40 additions of numbers near 1/40


def test_a_star_depends_on_its_key_alone(population):
    """Drawn alone or among others, and skies that do not move with the stars."""
    prior = Prior.default().with_population(population)
    many = prior.draw(5, "test", np.arange(100))
    alone = prior.draw(5, "test", np.array([42]))
    np.testing.assert_array_equal(alone.labels[0], many.labels[42])
    np.testing.assert_array_equal(
        many.conditions, Prior.default().draw(5, "test", np.arange(100)).conditions
    )


def test_ranges_and_record_are_the_tables(population):
    """What a data set declares as its prior covers every row."""
    prior = Prior.default().with_population(population)
    for name, values in population.columns.items():
        assert prior.ranges[name] == (values.min(), values.max())
    record = population.recorded()
    with open(population.path, "rb") as file:
        assert record["sha256"] == hashlib.sha256(file.read()).hexdigest()
    assert record["rows"] == 40
    assert population.n_effective < 40  # weights differ


@pytest.mark.parametrize("suffix", ["fits", "csv"])
def test_fits_and_csv_hold_the_same_stars(population, tmp_path, suffix):
    """Formats differ in digits only: FITS keeps float64, CSV the shortest repr."""
    path = tmp_path / f"mock.{suffix}"
    catalogue().write(path)
    again = read_population(path)
    for name, values in population.columns.items():
        np.testing.assert_array_equal(again.columns[name], values)


def test_units_are_converted(tmp_path):
    """A column in m/s becomes km/s."""
    table = catalogue()
    table["rv"] = np.full(len(table), 5000.0) * units.m / units.s
    table.write(tmp_path / "moving.ecsv")
    assert read_population(tmp_path / "moving.ecsv").columns["rv"][0] == pytest.approx(5.0)


def test_everything_wrong_with_a_table_is_told_at_once(tmp_path):
    """Missing columns in one message; bad values in another."""
    table = catalogue()
    table.remove_columns(["teff", "mag"])
    table.write(tmp_path / "short.ecsv")
    with pytest.raises(ConfigError, match=r"\['teff', 'mag'\] are missing"):
        read_population(tmp_path / "short.ecsv")
    table = catalogue()
    table["logg"][3] = np.nan
    table["m_h"][:2] = np.inf
    table.write(tmp_path / "holes.ecsv")
    with pytest.raises(ConfigError, match=r"logg .* 1 row.*m_h .* 2 row"):
        read_population(tmp_path / "holes.ecsv")
    table = catalogue()
    table["weight"] = -1.0
    table.write(tmp_path / "negative.ecsv")
    with pytest.raises(ConfigError, match="weights must be at least 0"):
        read_population(tmp_path / "negative.ecsv")
    with pytest.raises(ConfigError, match=r"\.txt: a population is a table"):
        read_population(tmp_path / "stars.txt")
    with pytest.raises(ConfigError, match="no population table there"):
        read_population(tmp_path / "absent.ecsv")


def test_rows_outside_the_grid_are_named_by_label(tmp_path, toy_bank):
    """Both labels, with their numbers of rows; nothing is clipped."""
    table = catalogue()
    table["teff"][:3] = 9000.0 * units.K
    table["logg"][7] = 5.5
    table["a_m"] = 0.2
    table.write(tmp_path / "hot.ecsv")
    stars = read_population(tmp_path / "hot.ecsv")
    with pytest.raises(GridError, match=r"teff of 3 row.*logg of 1 row.*a_m of 40 row.*without"):
        check_population(toy_bank, stars)
    with pytest.raises(GridError, match="teff of 3 row"):
        check_prior(toy_bank, Prior.default().with_population(stars))


def test_nothing_else_decides_what_the_table_says(population, toy_bank):
    """A range beside a column, and a preset beside a table, would be silently without effect."""
    prior = Prior.default().with_population(population)
    with pytest.raises(ConfigError, match="mag of stars drawn from"):
        prior.with_ranges(mag=(20.0, 21.0))
    assert prior.with_ranges(seeing=(0.8, 0.8)).population is population
    with pytest.raises(ConfigError, match="draws its own stars"):
        settle("specvit", toy_bank, prior)
