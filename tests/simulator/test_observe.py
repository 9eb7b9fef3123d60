"""Observation: the fast path against its slow twin, and noise that behaves like noise."""

import numpy as np
import pytest
from scipy.stats import chi2

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.noise.view import honest_error, true_error
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.simulator.observe import draw_stars, model_flux, observe
from starsmith.simulator.prior import Prior
from tests.reference.simulate import error_plainly, flux_plainly


@pytest.fixture(scope="module")
def draws(toy_bank):
    return draw_stars(toy_bank, Prior.default(), 11, "test", np.arange(60))


@pytest.fixture(scope="module")
def batch(toy_bank, draws):
    return observe(toy_bank, draws)


def test_fast_path_equals_the_formulae(toy_bank, draws, batch):
    """Flux to the stored rounding (2^-13), errors to float32 of the same flux."""
    for i in range(len(draws)):
        twin = flux_plainly(toy_bank, draws.labels[i], draws.mag[i])
        np.testing.assert_allclose(batch.flux_model[i], twin, rtol=2**-13 + 2e-6)
        sigma = error_plainly(toy_bank.noise, batch.flux_model[i], draws.conditions[i])
        ratio = batch.flux_model[i] / sigma
        assert batch.snr[i] == pytest.approx(np.median(ratio), rel=1e-5)
        assert batch.snr_p95[i] == pytest.approx(np.percentile(ratio, 95), rel=1e-5)
        honest = error_plainly(toy_bank.noise, batch.flux[i], draws.conditions[i])
        np.testing.assert_allclose(batch.error[i], honest, rtol=2e-6)


def test_noise_has_the_stated_variance(toy_bank):
    """Squared residuals over the true variance follow chi-squared (1e-6 two-sided)."""
    draws = draw_stars(toy_bank, Prior.default(), 3, "train", np.arange(2000))
    batch = observe(toy_bank, draws)
    sigma = true_error(toy_bank.noise, batch.flux_model, draws.conditions)
    pull = (batch.flux.astype(float) - batch.flux_model) / sigma

    for total, n in (
        (np.sum(pull**2), pull.size),
        (np.sum(pull[:, 100] ** 2), len(pull)),
        (np.sum(pull[7] ** 2), pull.shape[1]),
    ):
        assert chi2.ppf(5e-7, n) < total < chi2.ppf(1 - 5e-7, n)
    assert abs(pull.mean()) * np.sqrt(pull.size) < 5


def test_same_bits_alone_in_any_order_and_any_batch(toy_bank, draws, batch):
    """A spectrum is a function of its key alone."""
    order = np.random.default_rng(0).permutation(len(draws))
    shuffled = observe(toy_bank, draws.take(order))
    alone = observe(toy_bank, draw_stars(toy_bank, Prior.default(), 11, "test", np.array([34])))

    for name in ("flux_model", "flux", "error", "snr"):
        np.testing.assert_array_equal(getattr(shuffled, name), getattr(batch, name)[order])
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(batch, name)[34])


def test_splits_seeds_and_epochs_share_nothing(toy_bank):
    """Another split, seed or epoch is another draw; labels do not move with the noise."""
    index = np.arange(50)
    prior = Prior.default()
    labels = {
        (seed, split): prior.draw(seed, split, index).labels
        for seed in (1, 2)
        for split in ("train", "val", "test")
    }
    rows = np.concatenate(list(labels.values()))
    assert len(np.unique(rows[:, 0])) == len(rows)

    draws = draw_stars(toy_bank, prior, 1, "train", index)
    first = observe(toy_bank, draws, stream="training", sub=0)
    again = observe(toy_bank, draws, stream="training", sub=1)
    np.testing.assert_array_equal(first.flux_model, again.flux_model)
    pull = (first.flux - first.flux_model) * (again.flux - again.flux_model)
    spread = np.std(pull) / np.sqrt(pull.size)
    assert abs(pull.mean()) < 5 * spread


def test_a_new_range_leaves_the_other_draws_alone(toy_bank):
    """Every quantity has its own random word."""
    index = np.arange(20)
    plain = Prior.default().draw(4, "train", index)
    bright = (
        Prior.default().with_ranges(mag=(18.0, 19.0), seeing=(0.8, 0.8)).draw(4, "train", index)
    )
    np.testing.assert_array_equal(plain.labels, bright.labels)
    np.testing.assert_array_equal(plain.condition("zenith_angle"), bright.condition("zenith_angle"))


def test_snr_falls_with_magnitude_as_photons_and_sky_say(toy_bank):
    """Photon-limited S/N falls as 10^(-0.2 m); sky-limited as 10^(-0.4 m)."""

    def snr(mag):
        prior = Prior.default().with_ranges(mag=(mag, mag))
        return observe(toy_bank, draw_stars(toy_bank, prior, 1, "val", np.arange(30))).snr

    # at 14 the star is 1e2 times the background variance, at 26 it is 1e-2 of it
    np.testing.assert_allclose(snr(14.0) / snr(15.0), 10**0.2, rtol=0.02)
    np.testing.assert_allclose(snr(25.0) / snr(26.0), 10**0.4, rtol=0.02)


def test_honest_error_is_right_on_average_and_smooth_has_no_lines(toy_bank):
    """`observed` averages to the true variance; `smooth` does not follow a deep line."""
    prior = Prior.default().with_ranges(mag=(19.0, 19.0))
    draws = draw_stars(toy_bank, prior, 9, "train", np.arange(400))
    batch = observe(toy_bank, draws)
    true = true_error(toy_bank.noise, batch.flux_model, draws.conditions).astype(float)
    ratio = np.mean(batch.error.astype(float) ** 2 / true**2)
    assert ratio == pytest.approx(1.0, abs=2e-3)  # 4x the scatter of 120,000 pixels

    flux = np.full_like(batch.flux[:1], 30.0)
    notched = flux.copy()
    notched[:, 100:110] = 6.0
    step = {}
    for kind in ("observed", "smooth"):
        before, after = (
            honest_error(toy_bank.noise, f, draws.conditions[:1], kind)[0] for f in (flux, notched)
        )
        change = after / before - 1
        step[kind] = abs(change[102] - change[98])  # either side of the line's edge
    assert step["observed"] > 0.02
    assert step["smooth"] < 0.05 * step["observed"]  # the slow change of the sky


def test_default_prior_is_table_2_and_uniform():
    """Draws fill the box evenly: mean and variance of a uniform law within 5 sigma."""
    n = 20_000
    draws = Prior.default().draw(0, "train", np.arange(n))
    columns = {name: draws.label(name) for name in draws.label_names} | {
        "mag": draws.mag,
        "seeing": draws.condition("seeing"),
        "zenith_angle": draws.condition("zenith_angle"),
        "field_angle": draws.condition("field_angle"),
    }
    for name, values in columns.items():
        low, high = Prior.default().ranges[name]
        unit = (values - low) / (high - low)
        assert unit.min() >= 0, name
        assert unit.max() <= 1, name
        assert abs(unit.mean() - 0.5) < 5 * np.sqrt(1 / 12 / n), name
        assert abs(unit.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / n), name
    assert set(draws.condition("exp_count")) == {12.0}
    assert len(CONDITIONS) == draws.conditions.shape[1]


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"mag": (23.0, 20.0)}, "mag range 23..20"),
        ({"teff": (-5.0, 4000.0)}, "teff range -5..4000"),
        ({"exp_count": (1.5, 2.0)}, "whole numbers"),
        ({"airmass": (1.0, 2.0)}, "airmass"),
    ],
)
def test_impossible_ranges_are_refused(ranges, words):
    with pytest.raises(ConfigError, match=words):
        Prior.default().with_ranges(**ranges)


def test_conditions_outside_the_instrument_are_refused(toy_bank):
    """The tables end; the message says where."""
    prior = Prior.default().with_ranges(zenith_angle=(70.0, 75.0))
    draws = draw_stars(toy_bank, prior, 1, "train", np.arange(3))
    with pytest.raises(DataError, match=r"zenith_angle spans .* 0\.\.60"):
        observe(toy_bank, draws)


def test_moonlight_is_refused_rather_than_ignored(toy_bank):
    """Tables of a dark sky cannot serve a moonlit one."""
    prior = Prior.default().with_ranges(moon_phase=(0.5, 0.5))
    draws = draw_stars(toy_bank, prior, 1, "train", np.arange(3))
    with pytest.raises(DataError, match="dark sky only"):
        observe(toy_bank, draws)


def test_stored_rounding_is_within_its_bound(toy_bank, draws):
    """Twelve kept bits: relative error at most 2^-13."""
    rounded = model_flux(toy_bank, draws).astype(float)
    exact = model_flux(toy_bank, draws, keep_bits=22).astype(float)
    worst = np.abs(rounded / exact - 1).max()
    assert 2**-15 < worst < 2**-13 * 1.001
