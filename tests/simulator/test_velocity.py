"""Radial velocities: the shifted bank against the star shifted at full resolution."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract import load_bank, open_dataset, verify_dataset
from starsmith.data_contract.bank.velocity import LIGHT_SPEED_KM_S
from starsmith.data_contract.errors import ConfigError, DataError, GridError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.generation.generate import Settings, write_dataset
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.observe import draw_stars, model_flux, observe
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import interpolate
from starsmith.simulator.rendering.render import pixel_operator, render_bank
from tests.reference.velocity import moving_star_plainly

RESOLUTION = 20_000.0
LOGG = np.array([1.0, 2.0, 3.0, 4.0])


def line_star(wave, logg=2.0):
    """300 lines as narrow as the grid's profile, up to 80 % deep, one width apart and blended."""
    rng = np.random.default_rng(1)
    centres = rng.uniform(6600.0, 8980.0, 300)
    depths = rng.uniform(0.0, 0.8, 300) * (0.6 + 0.1 * logg)
    transmission = np.ones_like(wave)
    for centre, depth in zip(centres, depths, strict=True):
        sigma = centre / RESOLUTION / 2.3548
        near = np.abs(wave - centre) < 8 * sigma
        transmission[near] *= 1 - depth * np.exp(-0.5 * ((wave[near] - centre) / sigma) ** 2)
    return 1e6 * (wave / 8000.0) ** -2.5 * transmission


def make_grid(flux_of=line_star, wave=None):
    wave = 6350.0 * np.exp(np.arange(14_500) / 40_000) if wave is None else wave
    flux = np.stack([flux_of(wave, logg) for logg in LOGG]).astype(np.float32)[None, :, None]
    axes = {"teff": np.array([5000.0]), "logg": LOGG, "m_h": np.array([0.0])}
    valid = np.ones((1, 4, 1), dtype=bool)
    return GridData(
        name="lines", axes=axes, wave=wave, flux=flux, resolution=RESOLUTION, valid=valid
    )


@pytest.fixture(scope="module")
def instrument():
    """pfs_mr with the Gaussian profile that the slow twin integrates."""
    optics = load_instrument("pfs_mr")
    return dataclasses.replace(optics, arms=(dataclasses.replace(optics.arm, lsf="gaussian"),))


@pytest.fixture(scope="module")
def bank(instrument):
    return render_bank(make_grid(), instrument, velocity_step_km_s=10.0)


@pytest.fixture(scope="module")
def moving_prior():
    return Prior.default().with_ranges(
        teff=(5000.0, 5000.0), logg=(1.0, 4.0), m_h=(0.0, 0.0), rv=(-500.0, 500.0)
    )


def star_at(bank, rv, logg=2.0):
    rv = np.atleast_1d(np.asarray(rv, dtype=float))
    labels = np.tile([5000.0, logg, 0.0], (rv.size, 1))
    return interpolate(bank, labels, np.full(rv.size, 20.0), rv)


@pytest.fixture(scope="module")
def scale(bank, instrument):
    """Flux of the bank's star per unit of surface flux, from the star at rest."""
    at_rest = pixel_operator(make_grid().wave, RESOLUTION, instrument)
    rendered = at_rest @ line_star(make_grid().wave)
    return np.median(star_at(bank, 0.0)[0] / rendered)


@pytest.mark.parametrize("rv", [-500.0, -37.3, 4.9, 500.0])
def test_equals_the_grid_shifted_before_it_is_rendered(bank, instrument, scale, rv):
    """Shift at full resolution, convolve, integrate: the same to 5e-5 of the flux at any pixel.

    What is left are the phases (3e-6), the 4.5 σ of the pixel weights (7e-6) and float32.
    """
    moved = pixel_operator(make_grid().wave * (1 + rv / LIGHT_SPEED_KM_S), RESOLUTION, instrument)
    truth = scale * (moved @ line_star(make_grid().wave))

    np.testing.assert_allclose(star_at(bank, rv)[0], truth, rtol=5e-5)


def test_the_optics_profile_moves_with_the_star():
    """With wings: to 1e-3, as wings beyond 16 pixels (0.2 % of the light) stay behind."""
    optics, rv = load_instrument("pfs_mr"), 123.4
    bank = render_bank(make_grid(), optics, velocity_step_km_s=10.0)
    moved = pixel_operator(make_grid().wave * (1 + rv / LIGHT_SPEED_KM_S), RESOLUTION, optics)
    truth = moved @ line_star(make_grid().wave)
    seen = star_at(bank, rv)[0]
    np.testing.assert_allclose(seen / np.median(seen / truth), truth, rtol=1e-3)


def test_equals_the_star_itself_shifted(bank, instrument, scale):
    """Twin without a grid: the star's formula at wave / (1 + rv/c); its sampling adds 1e-4."""
    some = np.arange(0, 4096, 16)
    truth = scale * moving_star_plainly(line_star, 123.4, instrument, RESOLUTION, some)

    np.testing.assert_allclose(star_at(bank, 123.4)[0, some], truth, rtol=2e-4)


def test_receding_stars_are_redder(bank):
    """The deepest line is found at wave (1 + rv/c), to a tenth of a pixel."""
    flux = star_at(bank, [0.0, 300.0])
    wave = bank.wave
    deepest = np.argmin(flux[0] * wave**2.5)
    expected = wave[deepest] * (1 + 300.0 / LIGHT_SPEED_KM_S)

    moved = np.interp(wave, wave * (1 + 300.0 / LIGHT_SPEED_KM_S), flux[0])
    near = np.abs(wave - expected) < 3.0
    offsets = np.linspace(-1.0, 1.0, 201)
    misfit = [
        np.sum((np.interp(wave[near] + d, wave, moved) - flux[1][near]) ** 2) for d in offsets
    ]

    assert abs(offsets[np.argmin(misfit)]) < 0.04  # of pixels of 0.43 Å


def test_a_flat_spectrum_stays_flat(instrument):
    flat = make_grid(lambda wave, logg: np.ones_like(wave))
    bank = render_bank(flat, instrument, velocity_step_km_s=10.0)

    flux = star_at(bank, [-450.0, 0.0, 123.4])

    np.testing.assert_allclose(flux, flux[1, 0], rtol=1e-6)  # float32


def test_stars_at_rest_keep_their_bits(bank, instrument):
    """A bank that can shift gives stars at rest, in any company, what the plain bank gives."""
    plain = render_bank(make_grid(), instrument)

    mixed = star_at(bank, [0.0, 50.0, 0.0])

    np.testing.assert_array_equal(mixed[0], star_at(plain, 0.0)[0])
    np.testing.assert_array_equal(mixed[2], mixed[0])
    np.testing.assert_array_equal(mixed[1], star_at(bank, 50.0)[0])
    assert plain.digest != bank.digest


def test_velocities_leave_all_other_draws_alone():
    """The word of rv is appended: labels, magnitudes and conditions keep their bits."""
    index = np.arange(50)
    still = Prior.default().draw(3, "train", index)
    moving = Prior.default().with_ranges(rv=(-300.0, 300.0)).draw(3, "train", index)

    for name in ("labels", "mag", "conditions"):
        np.testing.assert_array_equal(getattr(still, name), getattr(moving, name))
    assert not still.rv.any()
    assert -300 < moving.rv.min() < -200 < 200 < moving.rv.max() < 300
    np.testing.assert_array_equal(moving.take(slice(3, 9)).rv, moving.rv[3:9])


def test_bank_file_keeps_its_velocity_tables(bank, tmp_path):
    bank.save(tmp_path / "bank.zarr")
    again = load_bank(tmp_path / "bank.zarr")

    assert again.digest == bank.digest
    np.testing.assert_array_equal(star_at(again, -77.0), star_at(bank, -77.0))
    assert again.velocity.limits_km_s == bank.velocity.limits_km_s
    assert -650 < again.velocity.limits_km_s[0] < -500 < 500 < again.velocity.limits_km_s[1] < 650


@pytest.mark.parametrize("store", ["noiseless", "keys"])
def test_data_sets_of_moving_stars_hold_their_velocities(bank, moving_prior, tmp_path, store):
    path = tmp_path / "data.zarr"
    write_dataset(bank, moving_prior, 50, path, 2, Settings(store=store))
    draws = draw_stars(bank, moving_prior, 2, "test", np.arange(5))

    data = open_dataset(path, regenerate=lambda some: model_flux(bank, some))
    test = data.split("test")

    np.testing.assert_array_equal(test.draws.rv, draws.rv)
    np.testing.assert_array_equal(test.observe().flux, observe(bank, draws).flux)
    assert verify_dataset(path).ok


def test_data_sets_of_stars_at_rest_have_no_velocity_column(toy_bank, tmp_path):
    """Their layout, header and so their digest are those of before."""
    path = tmp_path / "data.zarr"
    write_dataset(toy_bank, Prior.default(), 20, path, 2)

    header = open_dataset(path).header

    assert "rv" not in header.columns
    assert "rv" not in header.prior
    assert not open_dataset(path).split("test").draws.rv.any()


def test_impossible_velocities_are_refused(bank, toy_bank, instrument):
    with pytest.raises(DataError, match=r"specsim bank --velocity-step"):
        interpolate(toy_bank, np.array([[5000.0, 2.0, 0.0]]), np.array([20.0]), np.array([9.0]))
    with pytest.raises(DataError, match=r"--rv .*900.* leaves the bank's -6"):
        star_at(bank, 900.0)
    with pytest.raises(ConfigError, match="rv range"):
        Prior.default().with_ranges(rv=(-1e5, 0.0))
    with pytest.raises(GridError, match="smaller velocity step"):
        render_bank(make_grid(), instrument, velocity_step_km_s=30.0)
    with pytest.raises(ConfigError, match="velocity step"):
        render_bank(make_grid(), instrument, velocity_step_km_s=0.0)
    with pytest.raises(DataError, match="do not fit"):
        dataclasses.replace(bank.velocity, wave=bank.velocity.wave[:-9])
