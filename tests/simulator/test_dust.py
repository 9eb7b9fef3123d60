"""Interstellar dust: the curve, its unit, and light in proportion."""

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.instruments.dust import (
    attenuation,
    extinction_per_reddening,
    law_curve,
)
from starsmith.simulator.instruments.instrument import with_extinction

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


def test_named_laws_are_normalised_to_their_r_v():
    """A(V) / E(B-V) is R_V by definition, at 5500 Å of Fitzpatrick+ (2019) and others."""
    for law in ("CCM89", "F19", "G23"):
        for r_v in (2.5, 3.1, 5.0):
            wave_nm, ratio = law_curve(f"{law}:{r_v}")
            assert np.interp(550.0, wave_nm, ratio) == pytest.approx(r_v, rel=0.01)
    assert law_curve("d03") is None


def test_flatter_dust_of_larger_r_v_dims_blue_light_less_by_comparison():
    steep, flat = (
        extinction_per_reddening(np.array([4000.0, 5500.0]), law_curve(f"F19:{r_v}"))
        for r_v in (2.5, 5.0)
    )
    assert steep[0] / steep[1] > flat[0] / flat[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("F20", "is not one of"),
        ("F19:9", r"R_V 2\.\.6"),
        ("D03:4", "used with R_V 3.1"),
        ("F19:x", "not a number"),
    ],
)
def test_laws_that_are_none_are_refused(text, says):
    with pytest.raises(ConfigError, match=says):
        law_curve(text)


def test_an_instrument_behind_another_law_is_another_instrument():
    """The law is in the resolved figures, so cached banks differ; D03 is the usual one."""
    usual = load_instrument("pfs_mr")
    other = with_extinction(usual, "f19:2.5")

    assert other.resolved()["dust_table"] == "law:F19:2.5"
    assert other.resolved()["sha256"] != usual.resolved()["sha256"]
    assert with_extinction(usual, "D03") is usual
    np.testing.assert_array_equal(other.dust_curve[1], law_curve("F19:2.5")[1])
