"""S/N straight from conditions has the bits of every pixel's error and ratio, sorted."""

from dataclasses import replace

import numpy as np
import pytest

from starsmith.data_contract.noise.detector import expected_error, expected_snr
from starsmith.data_contract.noise.view import snr_statistics
from tests.data_contract.example import draw

N = 200


def strange(kind, flux, rng):
    """Spectra that a search could stumble over."""
    n_spec, n_wave = flux.shape
    return {
        "plain": flux,
        "flat": np.ones_like(flux),
        "steps": np.round(4 * flux) / 4 + 0.25,
        "faint": 1e-12 * flux,
        "bright": 1e9 * flux,
        "deep lines": np.where(rng.random(flux.shape) < 0.5, flux, 1e-3 * flux),
        "one spike": np.where(np.arange(n_wave) == 7, 1e6 * flux, flux),
        "zero pixels": np.where(rng.random(flux.shape) < 0.3, 0.0, flux),
        "negative": flux - 1.0,
        "infinite": np.where(np.arange(n_wave) == 5, np.inf, flux),
        "unlike": flux * 10.0 ** rng.uniform(-4, 4, (n_spec, n_wave)),
    }[kind].astype(np.float32)


KINDS = (
    *("plain", "flat", "steps", "faint", "bright", "deep lines", "one spike"),
    *("zero pixels", "negative", "infinite", "unlike"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_both_statistics_have_the_bits_of_the_long_way(noise, kind):
    rng = np.random.default_rng(3)
    conditions = draw(5, "train", np.arange(N)).conditions
    flux = rng.lognormal(0.0, 0.5, (N, noise.wave.size))
    flux = strange(kind, flux, rng)
    _require_bits_of_long_way(noise, flux, conditions)


def test_steep_extinction_has_them_too(noise):
    """A smooth part that falls by a thousand between two knots has no slope in float32."""
    steep = replace(noise, extinction=7.5 * (np.arange(noise.knot_wave.size) % 2.0))
    conditions = draw(6, "train", np.arange(N)).conditions
    flux = np.random.default_rng(4).lognormal(0.0, 0.5, (N, noise.wave.size))
    _require_bits_of_long_way(steep, flux.astype(np.float32), conditions)


def _require_bits_of_long_way(noise, flux, conditions):
    found = expected_snr(noise, flux, conditions)
    expected = snr_statistics(flux, expected_error(noise, flux, conditions))
    np.testing.assert_array_equal(found[:, 0], expected["snr"])
    np.testing.assert_array_equal(found[:, 1], expected["snr_p95"])
