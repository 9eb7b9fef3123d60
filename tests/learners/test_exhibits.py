"""Distance of samples and landscapes of the loss against closed forms."""

import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

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
