"""Dust before the magnitude: tabulated band fluxes against the direct integral."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.data_contract.bank.reddening import ReddeningTables
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.generation.generate import check_prior
from starsmith.simulator.instruments.dust import attenuation
from starsmith.simulator.observe import model_flux, observe
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.band import band_maggies
from starsmith.simulator.rendering.compress import compress_bank
from starsmith.simulator.rendering.interpolate import interpolate
from starsmith.simulator.rendering.reddened import EBV_NODES, reddened_maggies, reddening_tables

WAVE = np.arange(6400.0, 9100.0, 2.0)


def stars():
    """A hot and a cool continuum, with lines, over the whole of HSC i."""
    slope = (WAVE / 8000.0) ** np.array([[-3.5], [2.0]])
    lines = 1 - 0.6 * np.exp(-0.5 * ((WAVE - 8542.0) / 8.0) ** 2)
    return slope * lines


@pytest.fixture(scope="module")
def maggies():
    grid = GridData(
        name="toy",
        axes={"teff": np.array([1.0, 2.0])},
        wave=WAVE,
        flux=stars().astype(np.float32),
        valid=np.ones(2, bool),
        resolution=5000.0,
        provenance={},
    )
    return band_maggies("hsc2017-i", grid)


@pytest.fixture(scope="module")
def dusty_bank(toy_bank, maggies):
    """The toy bank behind a grey screen per node: band fluxes fall as its pixels do."""
    extinction = np.full(toy_bank.wave.size, 1.7)
    band = [toy_bank.band_coef * 10 ** (-0.4 * 1.7 * ebv) for ebv in EBV_NODES]
    tables = ReddeningTables(ebv=EBV_NODES, extinction=extinction, band_coef=np.stack(band))
    return dataclasses.replace(toy_bank, reddening=tables)


def test_band_fluxes_are_interpolated_to_1e_5_mag(maggies):
    """Any E(B-V) up to 2 mag, against the integral over the band behind that very dust."""
    band = [measure(stars()) for measure in reddened_maggies(maggies, WAVE, True)]
    tables = reddening_tables(WAVE, band)
    ebv = np.linspace(0.0, 2.0, 41)
    for node in (0, 1):
        rows = np.full((ebv.size, 1), node, dtype=np.int32)
        found = tables.dimming(rows, np.ones((ebv.size, 1)), ebv)
        direct = maggies(stars()[node] * attenuation(WAVE, ebv)) / maggies(stars()[node : node + 1])
        assert np.abs(-2.5 * np.log10(found / direct)).max() < 1e-5
    assert tables.dimming(rows[:1], np.ones((1, 1)), np.zeros(1)) == 1.0


def test_a_grey_screen_leaves_normalised_spectra_alone(dusty_bank, toy_bank):
    """Dust before the magnitude: a star of given magnitude behind grey dust looks the same.

    Float32 products of the transmission: 1e-6.
    """
    labels = np.array([[5000.0, 3.0, -1.0]] * 3)
    mag, ebv = np.full(3, 21.0), np.array([0.0, 0.3, 2.0])
    plain = interpolate(toy_bank, labels, mag)
    dusty = interpolate(dusty_bank, labels, mag, ebv=ebv)
    np.testing.assert_array_equal(dusty[0], plain[0])
    np.testing.assert_allclose(dusty, plain, rtol=2e-6)


def test_reddened_spectra_have_the_shape_of_the_dust(dusty_bank):
    """The ratio of two reddenings is the transmission, up to the normalisation."""
    tables = dusty_bank.reddening
    sloped = dataclasses.replace(tables, extinction=np.linspace(2.0, 1.5, 300))
    bank = dataclasses.replace(dusty_bank, reddening=sloped)
    labels, mag = np.array([[5000.0, 3.0, -1.0]] * 2), np.full(2, 21.0)
    none, much = interpolate(bank, labels, mag, ebv=np.array([0.0, 0.5])).astype(float)
    shape = much / none
    expected = 10 ** (-0.4 * 0.5 * sloped.extinction)
    np.testing.assert_allclose(shape / shape[0], expected / expected[0], rtol=2e-6)


def test_reddening_survives_saving_and_compression(dusty_bank, tmp_path):
    """The digest covers it, so a bank with dust is another bank than one without."""
    dusty_bank.save(tmp_path / "dusty.zarr")
    again = load_bank(tmp_path / "dusty.zarr")
    np.testing.assert_array_equal(again.reddening.band_coef, dusty_bank.reddening.band_coef)
    assert again.digest != dataclasses.replace(dusty_bank, reddening=None).digest
    assert compress_bank(dusty_bank, 1e-3).reddening is dusty_bank.reddening


def test_draws_redden_and_are_checked(dusty_bank, toy_bank):
    """An E(B-V) prior reaches the spectra; banks without dust and too much dust are refused."""
    prior = Prior.default().with_ranges(ebv=(0.0, 0.3))
    draws = prior.draw(1, "train", np.arange(50))
    assert draws.ebv.min() >= 0
    assert 0.2 < draws.ebv.max() <= 0.3
    assert isinstance(draws, Draws)
    batch = observe(dusty_bank, draws)
    np.testing.assert_array_equal(batch.flux_model[7], model_flux(dusty_bank, draws.take([7]))[0])
    with pytest.raises(DataError, match="knows no dust"):
        check_prior(toy_bank, prior)
    with pytest.raises(DataError, match=r"ebv spans .* 0\.\.2"):
        check_prior(dusty_bank, Prior.default().with_ranges(ebv=(0.0, 3.0)))


def test_stars_do_not_change_when_dust_is_added():
    """E(B-V) is a word of its own: labels, magnitudes and skies stay."""
    plain = Prior.default().draw(3, "val", np.arange(20))
    dusty = Prior.default().with_ranges(ebv=(0.0, 1.0)).draw(3, "val", np.arange(20))
    for name in ("labels", "mag", "rv", "conditions"):
        np.testing.assert_array_equal(getattr(dusty, name), getattr(plain, name))
