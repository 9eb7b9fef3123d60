"""Checks of a bank find what was broken on purpose, and agree with the ceilings' own figures."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.fisher.checks.bank_quality import PUBLISHED, check_bank
from starsmith.fisher.information.bounds import paper_median
from starsmith.fisher.information.grid_nodes import node_percentiles, node_spectra, node_weights


def by_name(bank, prior, **choices):
    return {finding.name: finding for finding in check_bank(bank, prior, **choices)}


@pytest.fixture(scope="module")
def found(toy_bank, prior):
    return by_name(toy_bank, prior)


def test_uneven_axes_are_told_from_even_ones(found):
    assert found["largest step in logg"].remark.endswith("5 nodes, 1..5")
    assert found["largest step in logg"].value == 1.0
    assert not found["largest step in m_h"].ok
    assert "steps 0.75..1:" in found["largest step in m_h"].remark


def test_steps_that_change_at_once_deserve_a_look(found, toy_bank, prior):
    def finding(*nodes):
        axes = (*toy_bank.axes[:2], np.array(nodes))
        return by_name(dataclasses.replace(toy_bank, axes=axes), prior)["largest step in m_h"]

    assert finding(-2.5, -1.5, -0.7, 0.0, 0.5).ok
    assert not finding(-2.5, -2.4, -1.0, 0.0, 0.75).ok
    assert not finding(-2.5, -1.7, -0.7, 0.0, 0.75).ok  # wider in the middle


def test_closer_nodes_count_less():
    """A region sampled twice as closely counts as it does on even steps."""
    even = np.arange(0.0, 9.0)
    refined = np.sort(np.append(even, [0.5, 1.5, 2.5, 3.5]))[:, None]

    def middle(labels):
        return node_percentiles(labels[:, 0] ** 2, [50.0], node_weights(labels))[0]

    np.testing.assert_array_equal(node_weights(even[:, None]), 1.0)
    assert middle(refined) == middle(even[:, None]) == 16.0
    assert np.median(refined**2) < 10.0


def test_missing_nodes_are_counted(toy_bank, prior):
    filled = np.zeros(len(toy_bank.coef), dtype=bool)
    filled[[3, 70]] = True

    found = by_name(dataclasses.replace(toy_bank, filled=filled), prior)["missing nodes"]

    assert (found.value, found.ok) == (2.0, False)
    assert "148 exist" in found.remark


def test_product_is_that_of_the_published_statistic(found, toy_bank, prior):
    """Median of clip(1 - CRLB/Var) is 1 - (product / S/N)² / Var while nothing is clipped."""
    nodes = node_spectra(toy_bank, prior)
    snr = 40.0
    mag = np.atleast_1d(nodes.magnitude_at(np.asarray(snr)))
    middle = paper_median(nodes.sigma2("logg", mag)[0], nodes.variance("logg"))[1]

    product = by_name(toy_bank, prior, snr=snr)["sigma x S/N"].value

    # the median node's S/N is read off a curve in steps of 0.25 mag: 1e-3, and an even number
    # of nodes has its median between two: squaring does not commute with their mean
    assert 1.0 - (product / snr) ** 2 / nodes.variance("logg") == pytest.approx(middle, abs=5e-3)


def test_coarse_steps_show_in_the_derivatives(toy_bank, prior):
    """Alternating node spectra are what differences miss altogether and a spline does not."""
    wild = toy_bank.coef.reshape(6, 5, 5, -1).copy()
    wild[:, ::2] *= 1.0 + 0.3 * np.sin(np.arange(wild.shape[-1]))
    coarse = dataclasses.replace(toy_bank, coef=wild.reshape(toy_bank.coef.shape))

    assert not by_name(coarse, prior)["derivative step error"].ok


def test_published_figures_are_for_log_g_only(toy_bank, prior, found):
    assert found["sigma x S/N"].expected.startswith("3 ")
    assert by_name(toy_bank, prior, target="m_h")["sigma x S/N"].expected == ""


def test_published_product_gives_the_logged_medians():
    """The run's medians of sigma at S/N 7.1, 4.6, 3.0, 1.9, to the 3 % by which they scatter."""
    sigma = np.array([0.4255, 0.6588, 1.0281, 1.6133])

    products = sigma * np.array([7.1, 4.6, 3.0, 1.9])

    np.testing.assert_allclose(products, PUBLISHED[3].product, rtol=0.03)


def test_a_label_without_nodes_of_its_own_is_refused(toy_bank, prior):
    with pytest.raises(ConfigError, match="--target"):
        check_bank(toy_bank, prior.with_ranges(logg=(3.0, 3.0)))


def test_published_spread_of_five_labels_follows_from_logged_r2():
    """10th, 50th and 90th percentile of R² at S/N 24, median and 90th at 7.1, to three digits."""
    bright = np.sqrt(1.0 - np.array([0.9109, 0.9892, 0.9980]))
    middle, low = np.sqrt(1.0 - np.array([0.8742, 0.9768]))

    assert PUBLISHED[5].high == pytest.approx(bright[0] / bright[1], abs=0.01)
    assert PUBLISHED[5].low == pytest.approx(middle / low, abs=0.01)
