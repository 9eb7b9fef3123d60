"""Spectra that are no single star: rotation against its closed form, and that all are keyed."""

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.domains.contaminants import CONTAMINANTS, contaminants, rotated
from starsmith.simulator.domains.domain import Knobs, build_domain
from tests.simulator.test_domains import grid, survey  # noqa: F401


def test_rotation_keeps_a_line_and_gives_it_the_variance_of_the_disc():
    """Its variance is that of the line and of the disc, limb darkening 0.6, by a plain sum."""
    wave = np.exp(np.arange(9.0, 9.02, 2e-6))
    centre = wave[wave.size // 2]
    line = np.exp(-0.5 * ((wave - centre) / 0.3) ** 2)
    found = 1.0 - rotated(wave, 1.0 - line, 150.0)
    assert found.sum() == pytest.approx(line.sum(), rel=1e-6)
    speed = 299792.458 * np.log(wave / centre)
    x = np.linspace(-1.0, 1.0, 20_001)
    disc = 0.8 * np.sqrt(1.0 - x**2) + 0.3 * np.pi * (1.0 - x**2)  # e = 0.6
    expected = (0.3 / centre * 299792.458) ** 2 + 150.0**2 * (disc * x**2).sum() / disc.sum()
    assert (found * speed**2).sum() / found.sum() == pytest.approx(expected, rel=2e-3)


def test_contaminants_are_keyed_and_unlike_their_star(grid, survey):  # noqa: F811
    domain = build_domain(survey, Knobs(seed=3), grid)
    plain = domain.draw(5, "test")
    for kind in CONTAMINANTS:
        many, few = contaminants(domain, kind, 5), contaminants(domain, kind, 2)
        np.testing.assert_array_equal(many.model[:2], few.model)
        assert (many.model > 0).all()
        np.testing.assert_allclose(many.model.mean(axis=1), 1.0)
        assert np.abs(many.model / plain.model - 1.0).max() > 0.02, kind
        assert np.isnan(many.labels).all() == (kind in ("white_dwarf", "galaxy"))
    with pytest.raises(ConfigError, match="choose one of pair"):
        contaminants(domain, "comet", 1)
