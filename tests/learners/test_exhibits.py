"""Distance of samples and landscapes of the loss against closed forms."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from starsmith.data_contract.figure_kit import save_figure
from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.quantities import UNITS
from starsmith.fisher.ceilings.ceiling_table import StarCeiling
from starsmith.learners.benchmark.envelopes import envelopes_of, invariance, residual_figure
from starsmith.learners.scores.metrics import one_sided_p
from starsmith.learners.transfer.distances import mmd_squared
from starsmith.learners.transfer.landscape import filter_directions, loss_landscape


def of_gaussians(distance, width, gamma, n_dim):
    """MMD² of two round Gaussians of one width: the kernel's mean over a normal difference."""
    spread = 1.0 + 4.0 * gamma * width**2
    return 2.0 * spread ** (-n_dim / 2) * (1.0 - np.exp(-gamma * distance**2 / spread))


def test_mmd_of_gaussians():
    draw = np.random.default_rng(0)
    x = draw.normal(0.0, 0.3, (4000, 2))
    y = draw.normal(0.0, 0.3, (4000, 2)) + np.array([0.4, 0.0])
    assert mmd_squared(x, y) == pytest.approx(
        of_gaussians(0.4, 0.3, 2.0, 2), rel=0.08
    )  # two errors of 4,000 points
    assert abs(mmd_squared(x[:2000], x[2000:])) < 1e-3  # unbiased: near 0, of either sign
    with pytest.raises(ValueError, match="two at least"):
        mmd_squared(x[:1], y)


def test_mmd_needs_a_block_of_memory():
    x = np.random.default_rng(0).normal(size=(3000, 2))
    tracemalloc.start()
    mmd_squared(x, x[:760])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 130e6  # blocks of 32 MiB and their squares; all pairs at once: 300 MB


def test_the_landscape_of_a_quadratic_loss_is_the_analytic_one():
    network = nn.Linear(6, 3).double()
    x, y = torch.randn(20, 6).double(), torch.randn(20, 3).double()

    def loss(model):
        return float(((model(x) - y) ** 2).mean().detach())

    before = {name: value.clone() for name, value in network.state_dict().items()}
    directions = filter_directions(network, 3)
    for direction in directions:  # every row as long as the row it moves
        torch.testing.assert_close(
            direction["weight"].norm(dim=1), network.weight.norm(dim=1).to(torch.float64)
        )
    step, values = loss_landscape(network, loss, directions)
    assert values.shape == (21, 21)
    centre = values[10, 10]
    assert centre == pytest.approx(loss(network))
    moves = [x @ d["weight"].T.double() + d["bias"].double() for d in directions]
    left = network(x).detach() - y
    a, b = np.meshgrid(step, step, indexing="ij")
    expected = (
        centre
        + 2 * a * float((left * moves[0]).mean())
        + 2 * b * float((left * moves[1]).mean())
        + a**2 * float((moves[0] ** 2).mean())
        + b**2 * float((moves[1] ** 2).mean())
        + 2 * a * b * float((moves[0] * moves[1]).mean())
    )
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    network.bias.requires_grad_(False)
    assert set(filter_directions(network, 3)[0]) == {"weight"}


def star_predictions(value, truth, snr):
    n_spec = truth.size
    return Predictions(
        split="test",
        seed=1,
        index=np.arange(n_spec)[::-1].copy(),
        snr=snr,
        labels=("logg",),
        units=(UNITS["logg"],),
        truth=truth[:, None],
        value=value[:, None],
        uncertainty=None,
        model="toy",
        dataset="0",
        notice="",
    )


def test_residuals_of_an_efficient_estimator_lie_on_the_envelope(tmp_path):
    """Errors drawn with the bound itself: robust scatter and bound agree in every step."""
    random = np.random.default_rng(0)
    snr = random.uniform(3.0, 20.0, 4000)
    sigma, truth = 2.0 / snr, random.uniform(1.0, 5.0, 4000)
    found = star_predictions(truth + sigma * random.standard_normal(4000), truth, snr)
    order = np.arange(4000)[::-1]  # the ceiling's stars in another order
    stars = StarCeiling(
        seed=1,
        split="test",
        index=np.arange(4000),
        snr=snr[order],
        mag=snr[order],
        label=truth[order],
        sigma2=sigma[order] ** 2,
        mean=truth[order],
        var=sigma[order] ** 2,
        ess=snr[order],
    )
    envelopes = envelopes_of(found, stars, "logg")
    assert envelopes.middle.size == 8
    np.testing.assert_allclose(envelopes.model, envelopes.bound[:, 1], rtol=0.15)
    np.testing.assert_allclose(envelopes.exact, envelopes.bound[:, 1], rtol=0.1)
    assert (np.diff(envelopes.bound, axis=1) > 0).all()
    save_figure(residual_figure(envelopes, "toy", "logg"), tmp_path / "residuals.png")
    assert (tmp_path / "residuals.png").stat().st_size > 10_000
    assert envelopes_of(found, replace(stars, index=stars.index + 10_000), "logg") is None


def test_r2_does_not_depend_on_the_scale_of_the_label():
    random = np.random.default_rng(1)
    truth = random.uniform(1.0, 5.0, 300)
    found = star_predictions(truth + random.standard_normal(300), truth, truth)
    assert invariance(found, "logg") < 1e-12


def test_one_sided_p_counts_resamples_that_are_no_better():
    """Two equal models: half of the resamples; a far better one: none."""
    random = np.random.default_rng(2)
    truth = random.uniform(1.0, 5.0, 500)
    one, two, poor = (truth + s * random.standard_normal(500) for s in (0.5, 0.5, 2.0))
    assert one_sided_p(truth, one, one) == 1.0  # no higher than itself
    assert 0.01 < one_sided_p(truth, one, two) < 0.99
    assert one_sided_p(truth, one, poor) == 0.0
    assert one_sided_p(truth, poor, one) == 1.0
