"""Simulated spectra in specutils."""

import numpy as np
import pytest
from astropy import units

from starsmith.data_contract.exchange.objects import to_specutils
from starsmith.data_contract.noise.view import NoiseModel
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior


def test_a_spectrum_opens_in_specutils(toy_bank):
    """Numbers, units, uncertainty, mask and labels, for one star and for all at once."""
    pytest.importorskip("specutils", reason="specutils comes with starsmith[view]")
    draws = draw_stars(toy_bank, Prior.default(), 1, "test", np.arange(6))
    batch = observe(toy_bank, draws, noise=NoiseModel(cosmic_rays=0.5))
    one, every = to_specutils(batch, 4), to_specutils(batch)
    assert one.shape == (300,)
    assert every.shape == (6, 300)
    np.testing.assert_array_equal(one.flux.value, batch.flux[4])
    np.testing.assert_array_equal(every.flux.value, batch.flux)
    np.testing.assert_array_equal(one.uncertainty.array, batch.error[4])
    np.testing.assert_array_equal(one.mask, batch.mask[4] != 0)
    assert batch.mask.any()
    assert one.spectral_axis.unit == units.AA
    assert one.flux.unit.to("erg / (s cm2 AA)") == pytest.approx(1e-17)
    assert one.meta["logg"] == draws.label("logg")[4]
    assert one.meta["snr"] == batch.snr[4]
    njy = one.with_flux_unit("nJy")  # specutils' own conversion works on it
    assert njy.flux.value[0] > 0 or batch.flux[4, 0] < 0
