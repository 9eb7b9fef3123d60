"""Interstellar dust: the curve, its unit, and light in proportion."""

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.instruments.light.dust import attenuation, extinction_per_reddening

NM = 10.0


def test_one_magnitude_of_reddening_is_one():
    """A(B) - A(V) = E(B-V) by definition, at the wavelengths Draine's tables use."""
    blue, visual = extinction_per_reddening(np.array([440.5, 547.0]) * NM)
    # linear interpolation of the curve in steps of 0.1 % of the wavelength
    assert blue - visual == pytest.approx(1.0, rel=1e-4)
    assert visual == pytest.approx(3.22, abs=0.01)  # R_V of the model at that V


def test_curve_is_the_calculators(shared_data):
    """A/E(B-V) as the PFS exposure-time calculator tabulates it, from all arms' wavelengths."""
    table = np.load(shared_data / "instrument" / "pfs_etc_modeldata.npz")["dust_norm"]
    wave_nm = 1e4 * np.exp(-np.arange(201) * np.log(10) / 100)
    inside = (wave_nm > 350) & (wave_nm < 1300)
    ours = extinction_per_reddening(wave_nm[inside] * NM)
    np.testing.assert_allclose(ours, table[inside], rtol=2e-4)  # printed to five digits


def test_dust_reddens_and_dims_in_proportion():
    """Twice the dust squares the transmission; blue light suffers more."""
    wave = np.linspace(3800.0, 12600.0, 50)
    once, twice = attenuation(wave, np.array([0.1, 0.2]))
    np.testing.assert_allclose(once**2, twice, rtol=1e-12)
    assert np.all(np.diff(once) > 0)
    assert np.all(attenuation(wave, 0.0) == 1.0)


def test_curve_of_the_user_replaces_the_built_in_one():
    wave_nm = np.array([300.0, 3000.0])
    np.testing.assert_allclose(attenuation([8000.0], 1.0, (wave_nm, [2.5, 2.5])), 0.1, rtol=1e-12)
    with pytest.raises(ConfigError, match="spans 300-3000 nm"):
        attenuation([2000.0], 1.0, (wave_nm, [2.5, 2.5]))


@pytest.mark.parametrize("ebv", [-0.1, np.nan, np.array([0.1, -1.0])])
def test_impossible_reddening_is_refused(ebv):
    with pytest.raises(ConfigError, match=r"E\(B-V\)"):
        attenuation(np.array([8000.0]), ebv)
