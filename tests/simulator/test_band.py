"""Magnitudes in filters and at wavelengths: closed forms, and grids too narrow."""

import numpy as np
import pytest
from scipy.integrate import quad

from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.simulator.constants import AB_FNU_CGS, LIGHT_SPEED_ANGSTROM_S
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.instruments.pfs_etc.validate import flat_flux
from starsmith.simulator.rendering.band import band_maggies
from starsmith.simulator.rendering.interpolate import interpolate
from starsmith.simulator.rendering.render import render_bank
from tests.simulator.test_render import flat_fnu, make_grid, star

NARROW = np.arange(7050.0, 8900.0, 0.2)  # the arm, and less than the HSC i band


@pytest.fixture(scope="module")
def narrow_grid():
    return make_grid(flat_fnu, wave=NARROW)


@pytest.mark.parametrize("name", ["ab8000", "ab7612.5", "hsc2017-i", "hsc2017-z", "sdss2010-i"])
def test_flat_spectrum_has_the_magnitude_of_its_flux(name):
    """F_nu of 3631 Jy is AB 0 in any band and at any wavelength."""
    grid = make_grid(flat_fnu, wave=6350.0 * np.exp(np.arange(24_000) / 40_000))
    spectra = LIGHT_SPEED_ANGSTROM_S * AB_FNU_CGS / grid.wave[None] ** 2 * [[1.0], [0.01]]

    magnitudes = -2.5 * np.log10(band_maggies(name, grid)(spectra))

    np.testing.assert_allclose(magnitudes, [0.0, 5.0], atol=2e-6)  # the trapezoid rule


def test_pivot_is_the_photon_weighted_mean_of_the_star():
    """Twin: adaptive quadrature of the star's formula across a line of depth one half."""
    grid = make_grid(star)
    found = band_maggies("ab8540", grid)(grid.flux[2, 1, 1][None].astype(float))

    photons, _ = quad(
        lambda x: star(5000.0, 2.5, -1.0, x) * x, 8530.0, 8550.0, epsrel=1e-10, points=[8544.4]
    )
    reference, _ = quad(lambda x: AB_FNU_CGS * LIGHT_SPEED_ANGSTROM_S / x, 8530.0, 8550.0)

    # samples of 0.21 Å across a line of σ 1.5 Å, linear between them at the two edges
    assert found[0] == pytest.approx(photons / reference, rel=2e-5)


def test_a_narrow_grid_is_normalised_at_a_wavelength(narrow_grid):
    """Flat F_nu at ab8000 = 21.5 has that flux at every pixel, whatever the labels."""
    bank = render_bank(narrow_grid, load_instrument("pfs_mr"), "ab8000")

    flux = interpolate(bank, np.array([[4321.0, 3.3, -0.7]]), np.array([21.5]))

    assert bank.mag_band == "ab8000"
    np.testing.assert_allclose(flux[0], flat_flux(bank.wave, 21.5), rtol=2e-5)  # float32


def test_a_band_beyond_the_grid_names_the_pivot(narrow_grid):
    with pytest.raises(GridError, match=r"hsc2017-i.*choose a band.*--mag-band ab79\d0"):
        band_maggies("hsc2017-i", narrow_grid)
    with pytest.raises(GridError, match=r"ab9100.*spans 9090-9110"):
        band_maggies("ab9100", narrow_grid)


@pytest.mark.parametrize("name", ["ab", "abx", "ab-8000", "hsc-q", ""])
def test_unknown_bands_are_refused(narrow_grid, name):
    with pytest.raises(ConfigError, match="neither a speclite filter"):
        band_maggies(name, narrow_grid)
