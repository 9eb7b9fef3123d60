"""The published data set's prior: labels on nodes but one, its posterior exact."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.noise.covariance import variance_of
from starsmith.fisher.ceilings.ceiling import ceiling
from starsmith.fisher.kernels.posterior import fill_log_marginal
from starsmith.fisher.posterior.posterior_mean import (
    PosteriorOptions,
    amplitude_limits,
    posterior_mean,
)
from starsmith.fisher.posterior.template_lines import lines_of
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.presets import settle
from starsmith.simulator.rendering.interpolate import interpolate, touches_filled
from tests.cli.conftest import call
from tests.conftest import make_toy_bank
from tests.reference.fisher import moments_dense, points_on_lines


@pytest.fixture(scope="module")
def published(toy_bank, prior):
    return settle("specvit", toy_bank, prior)


def twin(bank, prior, stars, variance, n_point):
    """Brute force: every pixel of ``n_point`` evenly spaced points on every line."""
    names = bank.label_names
    nodes, ranges = [prior.nodes[n] for n in names], [prior.ranges[n] for n in names]
    labels, weight = points_on_lines(nodes, ranges, n_point)
    mag = np.full(len(labels), np.mean(prior.ranges["mag"]))
    spectra = interpolate(bank, labels, mag).astype(np.float64)
    cross = (stars.flux / variance) @ spectra.T
    square = (1.0 / variance) @ (spectra**2).T
    log_weight = np.empty_like(cross)
    fill_log_marginal(log_weight, cross, square, amplitude_limits(prior, "free", None, len(cross)))
    found = [moments_dense(row + np.log(weight), labels) for row in log_weight]
    return tuple(np.array(part) for part in zip(*found, strict=True))[:2]


def test_masses_of_lines_are_those_of_draws(toy_bank, published):
    """Shares of 40,000 draws by free label and node: 5 standard errors of the largest share."""
    lines = lines_of(toy_bank, published)
    assert lines.mass.sum() == pytest.approx(1.0, rel=1e-12)
    labels = draw_stars(toy_bank, published, 0, "train", np.arange(40_000)).labels
    for k, name in enumerate(toy_bank.label_names):
        for node in published.nodes[name]:
            on = np.isclose(labels[:, k], node, rtol=0.0, atol=1e-9)
            expected = lines.mass[(lines.free != k) & (lines.fixed[:, k] == node)].sum()
            assert on.mean() == pytest.approx(expected, abs=5 * np.sqrt(expected / 40_000))


def test_lines_end_beside_holes(prior):
    """No stretch leans on a hole, and lengths weighted by mass keep the prior's proportions."""
    bank = make_toy_bank()
    filled = bank.filled.copy()
    filled[len(filled) // 2] = True
    bank = dataclasses.replace(bank, filled=filled)
    lines = lines_of(bank, settle("specvit", bank, prior))
    inside = lines.low[:, None] + np.array([0.01, 0.5, 0.99]) * (lines.high - lines.low)[:, None]
    assert not touches_filled(bank, lines.labels(inside).reshape(-1, 3)).any()
    whole = lines_of(make_toy_bank(), settle("specvit", bank, prior))
    assert lines.mass.sum() == pytest.approx(1.0)
    same = [k for k in range(len(lines)) if lines.high[k] - lines.low[k] > 3.9]
    ratio = lines.mass[same] / whole.mass[whole.free == 1].max()
    assert ratio.max() > 1.0  # those that are left share what the others lost


@pytest.mark.parametrize(("mag", "n_point"), [((20.5, 22.5), 150), ((17.5, 18.5), 1500)])
def test_posterior_is_that_of_brute_force(toy_bank, prior, mag, n_point):
    """Faint stars on shared points, bright ones on refined lines, against every pixel.

    The short basis errs by a twentieth of the noise of the brightest star: 6 % of σ for a
    mean, 2 % of the mean variance.
    """
    chosen = settle("specvit", toy_bank, prior.with_ranges(mag=mag))
    draws = draw_stars(toy_bank, chosen, 1, "test", np.arange(40))
    stars = observe(toy_bank, draws, error="smooth")
    variance = variance_of(toy_bank.noise, stars.flux_model.astype(float), draws.conditions)

    found = posterior_mean(
        toy_bank, chosen, stars.flux, np.sqrt(variance), options=PosteriorOptions(n_template=20_000)
    )

    mean, var = twin(toy_bank, chosen, stars, variance, n_point)
    sigma = np.sqrt(var.mean(axis=0))
    assert np.all(np.abs(found.mean - mean) < 0.06 * sigma)
    np.testing.assert_allclose(found.var.mean(axis=0), var.mean(axis=0), rtol=0.02)
    assert not found.flagged.any()
    assert found.local.any() == (mag[0] < 20.0)


def test_nodes_are_prior_knowledge(toy_bank, prior, published):
    """Stated and realised errors agree; who takes the labels for uniform errs more."""
    choices = {"n_star": 300, "n_template": 10_000, "statistics": ("posterior_mean", "van_trees")}
    draws = draw_stars(toy_bank, published, 0, "test", np.arange(300))

    found = ceiling(toy_bank, published, draws=draws, **choices)
    box = ceiling(toy_bank, prior, draws=draws, **choices)

    row = found.row("all")
    assert row.flags == ()
    assert row.realised[0] > box.row("all").realised[0]
    assert np.isnan(row.r2["van_trees"][0])
    assert "the others on the grid's nodes" in found.header["prior"]


def test_ceiling_of_a_preset_data_set(toy_bank, tmp_path):
    """The command reads the preset from the data set and takes the paper's bins of S/N."""
    data, bank_file = tmp_path / "data.zarr", tmp_path / "bank.zarr"
    toy_bank.save(bank_file)
    line = "specsim generate --preset specvit -n 600 --workers 1 --bank"
    assert call(line, bank_file, "--out", data).exit_code == 0
    quick = "--n-template 1000 --statistic posterior_mean --snr-bins specvit"

    done = call(f"specfisher ceiling {quick}", "--data", data)

    assert "one label of each star uniform" in done.stdout
    assert "| 2.5-3.5 |" in done.stdout
    by_option = call(f"specfisher ceiling --preset specvit --n-star 60 {quick} --bank", bank_file)
    assert "by quadrature along every line" in by_option.stdout
    clash = call("specfisher ceiling --preset specvit", "--data", data)
    assert (clash.exit_code, "--preset" in clash.stderr) == (2, True)
