"""The preset of the published data set: labels on nodes but one, and its signal-to-noise."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.view import true_error
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.observe import draw_stars, model_flux
from starsmith.simulator.presets import PRESETS, settle
from starsmith.simulator.prior import Prior

PUBLISHED_P95 = {5: 3.71, 25: 5.29, 50: 8.21, 75: 12.53, 95: 17.22}
"""Percentile of stars -> per-spectrum S/N of the published test set, magnitudes 20.5 to 22.5.

Its statistic is the 95th percentile of flux / error over the pixels (inferred).
"""
PUBLISHED_MEDIAN = {20.0: 24.0, 21.5: 7.1, 22.0: 4.6, 22.5: 3.0}
"""Magnitude -> median of flux / error over pixels and spectra."""


def preset_prior(bank):
    return settle("specvit", bank, Prior.default().with_ranges(**PRESETS["specvit"]))


def with_alpha(bank):
    """The bank with an axis of [α/M] along which nothing changes."""
    axes = (*bank.axes, np.array([-0.25, 0.0, 0.25, 0.5]))
    return dataclasses.replace(
        bank,
        label_names=(*bank.label_names, "a_m"),
        axes=axes,
        coef=np.repeat(bank.coef, 4, axis=0),
        band_coef=np.repeat(bank.band_coef, 4),
        filled=np.zeros(int(np.prod([axis.size for axis in axes])), bool),
    )


def test_one_label_is_free_and_the_others_are_nodes(toy_bank):
    """Two of three labels of every star lie on nodes; each is free in a third of the stars.

    3000 stars: 5 standard deviations of a binomial third are 0.043. A free label meets a node
    with probability zero.
    """
    prior = preset_prior(toy_bank)
    draws = draw_stars(toy_bank, prior, 0, "train", np.arange(3000))
    on_node = np.stack([np.isin(draws.label(n), prior.nodes[n]) for n in toy_bank.label_names])
    assert np.all(on_node.sum(axis=0) == 2)
    np.testing.assert_allclose(on_node.mean(axis=1), 2 / 3, atol=0.043)
    assert set(draws.condition("seeing")) == {0.8}


def test_snapping_moves_labels_to_the_nearest_node(toy_bank):
    """Free labels are those of the box's draw; the others moved by at most half a step."""
    plain = Prior.default().with_ranges(**PRESETS["specvit"])
    before = plain.draw(0, "train", np.arange(500))
    after = preset_prior(toy_bank).draw(0, "train", np.arange(500))
    moved = np.abs(after.labels - before.labels)
    assert np.all((moved == 0).sum(axis=1) == 1)
    for k, axis in enumerate(toy_bank.axes):
        assert moved[:, k].max() <= 0.5 * np.diff(axis).max() + 1e-12
    np.testing.assert_array_equal(after.mag, before.mag)


def test_abundances_are_free_where_the_grid_has_them(toy_bank):
    """A grid with an [alpha/M] axis: its whole range, unless one was asked for."""
    wide = with_alpha(toy_bank)
    assert preset_prior(wide).ranges["a_m"] == (-0.25, 0.5)
    asked = Prior.default().with_ranges(a_m=(0.0, 0.3))
    settled = settle("specvit", wide, asked)
    assert settled.ranges["a_m"] == (0.0, 0.3)
    assert settled.nodes["a_m"] == (0.0, 0.25)


def test_what_cannot_be_settled_is_refused(toy_bank):
    """An unknown name, and a range between two nodes."""
    with pytest.raises(ConfigError, match="resnet"):
        settle("resnet", toy_bank, Prior.default())
    narrow = Prior.default().with_ranges(logg=(2.1, 2.9))
    with pytest.raises(ConfigError, match=r"none within logg 2\.1\.\.2\.9"):
        settle("specvit", toy_bank, narrow)
    assert settle("", toy_bank, narrow) is narrow


@pytest.mark.slow
def test_signal_to_noise_is_that_of_the_published_set():
    """Percentiles of the per-spectrum S/N within 10 %, medians by magnitude within 5 %.

    On the demo grid. 2000 stars leave 3 % of scatter in a percentile, 400 x 4096 pixels less
    than 1 % in a median.
    """
    bank = cached_bank("demo", "pfs_mr")
    prior = preset_prior(bank)

    def snr_of_pixels(prior, n):
        draws = draw_stars(bank, prior, 0, "test", np.arange(n))
        flux = model_flux(bank, draws)
        return flux / true_error(bank.noise, flux, draws.conditions)

    by_star = np.percentile(snr_of_pixels(prior, 2000), 95, axis=1)
    for percentile, published in PUBLISHED_P95.items():
        assert np.percentile(by_star, percentile) == pytest.approx(published, rel=0.10)
    for mag, published in PUBLISHED_MEDIAN.items():
        ratio = snr_of_pixels(prior.with_ranges(mag=(mag, mag)), 400)
        assert np.median(ratio) == pytest.approx(published, rel=0.05)


def test_galactic_stars_have_the_alpha_elements_of_their_metallicity(toy_bank):
    """0 at [M/H] = 0, +0.4 below -1, within 0.1; every other label as without the preset."""
    wide = with_alpha(toy_bank)
    with pytest.raises(ConfigError, match="5d"):
        settle("galactic", toy_bank, Prior.default())
    prior = settle("galactic", wide, Prior.default())
    names = ("teff", "logg", "m_h", "a_m")
    draws = prior.draw(0, "train", np.arange(2000), names)
    plain = Prior.default().draw(0, "train", np.arange(2000))
    np.testing.assert_array_equal(draws.labels[:, :3], plain.labels)
    trend = 0.4 * np.clip(-draws.label("m_h"), 0.0, 1.0)
    away = draws.label("a_m") - trend
    assert np.abs(away).max() <= 0.1 + 1e-12
    assert np.std(away) == pytest.approx(0.1 / np.sqrt(3.0), rel=0.1)
