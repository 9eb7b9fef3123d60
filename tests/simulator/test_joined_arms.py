"""Several arms as one instrument: each rendered and observed as if it were alone."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract import load_bank, open_dataset, verify_dataset
from starsmith.data_contract.errors import ConfigError, DataError, GridError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.data_contract.noise.view import background, sensitivity, true_error
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.instruments import load_instrument, noise_tables, with_source
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import interpolate
from starsmith.simulator.rendering.render import render_bank

CONDITION = np.array([[0.9, 30.0, 0.3, 45.0, 60.0, 0.25, 900.0, 12.0]])
LABELS = np.array([[5300.0, 3.3, -0.7]])


def slope_star(teff, logg, m_h, wave):
    """A sloping continuum with one narrow line in each arm."""
    flux = 1e6 * (teff / 5000.0) ** 4 * (wave / 8000.0) ** -2.0
    for centre in (4500.0, 8000.0, 10500.0):
        flux = flux * (1 - (0.4 + 0.05 * logg) * np.exp(-0.5 * ((wave - centre) / 2.0) ** 2))
    return flux * (1 + 0.05 * m_h)


@pytest.fixture(scope="module")
def wide_grid():
    """370-1280 nm at R 20000, two nodes a side."""
    axes = {
        "teff": np.array([5000.0, 6000.0]),
        "logg": np.array([3.0, 4.0]),
        "m_h": np.array([-1.0, 0.0]),
    }
    wave = 3700.0 * np.exp(np.arange(54_000) / 43_000)
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    flux = [slope_star(*labels, wave) for labels in zip(*map(np.ravel, mesh), strict=True)]
    return GridData(
        name="wide",
        axes=axes,
        wave=wave,
        flux=np.reshape(flux, (2, 2, 2, -1)).astype(np.float32),
        resolution=20_000.0,
        valid=np.ones((2, 2, 2), dtype=bool),
    )


@pytest.fixture(scope="module")
def joined():
    return load_instrument("pfs_lr")


@pytest.fixture(scope="module")
def bank(wide_grid, joined):
    return render_bank(wide_grid, joined)


def test_low_resolution_is_three_arms(joined):
    assert [arm.name for arm in joined.arms] == ["blue", "red", "nir"]
    assert joined.wave.size == 3 * 4096
    again = load_instrument("b+r+n")
    np.testing.assert_array_equal(again.wave, joined.wave)
    assert [arm.name for arm in load_instrument("b+m+n").arms] == ["blue", "red-mr", "nir"]


def test_joined_tables_are_those_of_each_arm(bank):
    """Floor and stray light stay within an arm; aperture and air are shared."""
    tables = bank.noise
    for name, span in zip(("pfs_b", "pfs_r", "pfs_n"), tables.arms, strict=True):
        alone = noise_tables(load_instrument(name))
        for evaluate in (sensitivity, background):
            np.testing.assert_allclose(
                evaluate(tables, CONDITION)[:, span.pixels],
                evaluate(alone, CONDITION),
                rtol=1e-4,  # the arms' own knots at their edges divide others' 5 nm
            )
    assert tables.arm("n").sample_factor == 1.2
    assert tables.read_variance.tolist() == [80.0, 80.0, 80.0]


def test_each_arm_is_rendered_as_if_alone(bank, wide_grid):
    """The same bits, where both are scaled by the same median."""
    for name, span in zip(("pfs_b", "pfs_r", "pfs_n"), bank.noise.arms, strict=True):
        alone = render_bank(wide_grid, load_instrument(name))
        seen = interpolate(bank, LABELS, np.array([20.0]))[:, span.pixels]
        # coefficients are float32
        np.testing.assert_allclose(seen, interpolate(alone, LABELS, np.array([20.0])), rtol=1e-6)


@pytest.mark.slow
def test_moving_stars_in_all_arms(wide_grid):
    """Every arm's line moves by its own wavelength times rv / c."""
    low = load_instrument("r+n")
    gaussian = tuple(
        dataclasses.replace(one, arms=(dataclasses.replace(one.arm, lsf="gaussian"),))
        for one in low.members
    )
    narrow = dataclasses.replace(low, members=gaussian)  # needs fewer samples per pixel
    bank = render_bank(wide_grid, narrow, velocity_step_km_s=12.0)
    rest, moved = (
        interpolate(bank, LABELS, np.array([20.0]), np.array([rv])) for rv in (0.0, 150.0)
    )
    for span, centre in zip(bank.noise.arms, (8000.0, 10500.0), strict=True):
        wave = bank.wave[span.pixels]
        near = np.abs(wave - centre) < 20
        place = []
        for flux in (rest, moved):
            own = flux[0, span.pixels][near]
            depth = np.maximum(np.interp(wave[near], wave[near][[0, -1]], own[[0, -1]]) - own, 0)
            place.append(np.average(wave[near], weights=depth))
        assert place[1] - place[0] == pytest.approx(centre * 150.0 / 299792.458, abs=0.03)


def test_batch_is_a_list_of_arms(bank):
    prior = Prior.default().with_ranges(teff=(5000, 6000), logg=(3, 4), m_h=(-1, 0))
    draws = draw_stars(bank, prior, 3, "train", np.arange(4))
    batch = observe(bank, draws)
    assert [arm.name for arm in batch.arms] == ["blue", "red", "nir"]
    red = batch.arm("r")
    assert red.wave.size == red.flux.shape[1] == 4096
    np.testing.assert_array_equal(red.flux, batch.flux[:, 4096:8192])
    assert np.all(np.diff(red.wave) > 0)
    with pytest.raises(DataError, match="'x' is not one of 'blue', 'red', 'nir'"):
        batch.arm("x")


def test_bank_of_several_arms_survives_its_file(bank, tmp_path):
    bank.save(tmp_path / "bank.zarr")
    again = load_bank(tmp_path / "bank.zarr")
    assert again.digest == bank.digest
    assert again.noise.arms == bank.noise.arms
    flux = interpolate(again, LABELS, np.array([20.0]))
    np.testing.assert_array_equal(
        true_error(again.noise, flux, CONDITION), true_error(bank.noise, flux, CONDITION)
    )


def test_data_sets_of_several_arms(bank, tmp_path):
    """Written, read and verified; wavelengths increase within each arm only."""
    prior = Prior.default().with_ranges(teff=(5000, 6000), logg=(3, 4), m_h=(-1, 0))
    out = tmp_path / "data.zarr"
    write_dataset(bank, prior, 20, out, 5)
    data = open_dataset(out)
    assert verify_dataset(out).ok
    assert [arm.name for arm in data.header.noise.arms] == ["blue", "red", "nir"]
    split = data.split("val")
    seen = split.observe()
    batch = observe(bank, split.draws)
    np.testing.assert_array_equal(seen.flux, batch.flux)
    np.testing.assert_array_equal(seen.error, batch.error)


def test_arms_outside_the_grid_are_refused_by_name(wide_grid, joined):
    inside = (wide_grid.wave > 6400) & (wide_grid.wave < 9000)
    narrow = dataclasses.replace(
        wide_grid, wave=wide_grid.wave[inside], flux=wide_grid.flux[..., inside]
    )
    with pytest.raises(GridError, match=r"'blue' needs 3789.*'red' needs .*'nir' needs .*import"):
        render_bank(narrow, joined)
    assert render_bank(narrow, load_instrument("pfs_mr"), "ab8000").wave.size == 4096


def test_arms_of_different_telescopes_are_not_joined(tmp_path):
    folder = load_instrument("pfs_mr").folder
    text = (folder / "pfs_mr.toml").read_text()
    (tmp_path / "big.toml").write_text(text.replace("diameter_m = 8.3", "diameter_m = 30.0"))
    with pytest.raises(ConfigError, match=r"\[telescope\] of 'pfs_mr' differs from that of 'pfs_b"):
        load_instrument(f"b+{tmp_path / 'big.toml'}")
    with pytest.raises(ConfigError, match="different names"):
        load_instrument("r+r")
    with pytest.raises(ConfigError, match="empty name"):
        load_instrument("b++n")


def test_source_is_changed_in_all_arms():
    """A disc of 0.3 arcsec loses light everywhere, and sky stays."""
    joined = load_instrument("b+n")
    disc = noise_tables(with_source(joined, reff=0.3, offset=0.0))
    star = noise_tables(with_source(joined, reff=0.0, offset=0.0))
    ratio = sensitivity(disc, CONDITION) / sensitivity(star, CONDITION)
    assert np.all(ratio < 0.9)
    np.testing.assert_array_equal(background(disc, CONDITION), background(star, CONDITION))
    with pytest.raises(ConfigError, match="reff_arcsec is -1"):
        with_source(joined, reff=-1.0)
