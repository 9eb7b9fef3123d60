"""The LAMOST continuum against its slow twin, and where the original slips."""

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys.standardise.continuum import Gaspp, gaspp_continuum
from tests.reference.continuum import gaspp_one


def stars(first=3.568, n_wave=3900):
    """Wavelengths and five spectra from blue to red, with H delta and noise of 5 %."""
    rng = np.random.default_rng(3)
    wave = 10 ** (first + 1e-4 * np.arange(n_wave))
    line = 1 - 0.5 * np.exp(-0.5 * ((wave - 4102.9) / 12.0) ** 2)
    noise = 1 + 0.05 * rng.normal(size=(5, n_wave))
    slopes = np.array([-3.0, -2.0, 0.0, 1.0, 2.0])[:, None]
    return wave, (wave / 5000.0) ** slopes * noise * line + 0.3


@pytest.mark.parametrize("bug_compatible", [False, True])
@pytest.mark.parametrize("snr", [60.0, 30.0])
@pytest.mark.parametrize("first", [3.568, 3.58])
def test_twin(first, snr, bug_compatible):
    """The same algebra: 1e-12."""
    wave, flux = stars(first)
    found = gaspp_continuum(wave, flux, Gaspp(snr, bug_compatible))
    slow = [gaspp_one(wave, one, snr, bug_compatible) for one in flux]
    np.testing.assert_allclose(found, slow, rtol=1e-12)


def test_the_first_slip_moves_windows_of_hot_stars_only():
    """Pixels counted from the spectrum's first, 3.5 % of 3700 Å away: not where H delta is."""
    wave, flux = stars(3.56)
    right, slipped = (gaspp_continuum(wave, flux, Gaspp(60.0, bug)) for bug in (False, True))
    moved = np.abs(slipped / right - 1).max(axis=1)
    assert moved[0] > 1e-4
    assert moved[4] == 0.0
    wave, flux = stars(np.log10(3700.1))
    both = [gaspp_continuum(wave, flux, Gaspp(60.0, bug)) for bug in (False, True)]
    np.testing.assert_array_equal(*both)


def test_a_smooth_star_is_its_own_continuum():
    wave = stars()[0]
    flux = 1.0 + 0.1 * ((wave - 4000.0) / 1000.0) ** 2
    inner = (wave > 3720) & (wave < wave[-1] - 20)
    found = gaspp_continuum(wave, flux[None])[0]
    np.testing.assert_allclose(found[inner], flux[inner], rtol=2e-3)


def test_what_cannot_be_fitted_is_refused():
    wave, flux = stars(3.45, 5000)
    with pytest.raises(DataError, match="cut them at 3700"):
        gaspp_continuum(wave, flux, Gaspp(60.0, True))
    flux[0, 3] = np.nan
    with pytest.raises(DataError, match="finite flux"):
        gaspp_continuum(wave, flux)
