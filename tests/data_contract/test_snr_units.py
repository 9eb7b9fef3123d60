"""S/N per pixel, per Å and per resolution element."""

import numpy as np
import pytest

from starsmith.data_contract.arms import arm_spans
from starsmith.data_contract.snr_units import resolution_pixels, snr_factors
from starsmith.simulator.instruments import load_instrument, resolution_element


def test_factors_of_pfs_mr_are_the_published_ones():
    """1.53 per Å and 1.77 per resolution element, to their printed digits."""
    instrument = load_instrument("pfs_mr")
    factors = snr_factors(instrument.resolved(), instrument.wave)
    assert factors["per_angstrom"] == pytest.approx(1.53, abs=0.005)
    assert factors["per_element"] == pytest.approx(1.77, abs=0.01)


def test_widths_in_quadrature_are_those_of_the_profile():
    """The profile itself, measured at half maximum: within 1 %."""
    instrument = load_instrument("pfs_mr")
    width = resolution_pixels(instrument.resolved(), instrument.wave)
    np.testing.assert_allclose(width, resolution_element(instrument), rtol=0.01)


def test_averaging_pixels_gains_what_the_factor_says():
    """Noise of the mean of n independent pixels falls by √n: S/N per Å of 0.25 Å pixels is 2."""
    assert snr_factors({}, np.arange(7000.0, 7010.0, 0.25))["per_angstrom"] == pytest.approx(2.0)
    assert "per_element" not in snr_factors({}, np.arange(10.0))


def test_arms_have_pixels_of_their_own():
    """The step from one arm to the next is not a pixel."""
    wave = np.concatenate([np.arange(0.0, 10.0), 5.0 + 4.0 * np.arange(30.0)])
    arms = arm_spans(("b", "r"), [0, 10, 40], 40)
    assert snr_factors({}, wave, arms)["per_angstrom"] == pytest.approx(0.5)
