"""What a network looks at, where the answer is known; training from a checkpoint."""

import numpy as np
import pytest
import torch
from torch import nn

from starsmith.data_contract.errors import ConfigError
from starsmith.learners import create_model, evaluate, fit, load_checkpoint, predict
from starsmith.learners.evaluation.interpret import (
    attention_to_pixels,
    explain,
    information_shares,
    interpretation_figure,
    saliency,
)
from starsmith.learners.recipe import NetworkRecipe, RidgeRecipe
from starsmith.simulator.observe import draw_stars
from starsmith.simulator.prior import Prior
from tests.learners.worlds import lines, make_data, uniform_logg


def test_saliency_of_a_linear_map_is_its_squared_weights():
    layer = nn.Linear(30, 1)

    found = saliency(layer, torch.randn(8, 30), 0)

    weights = layer.weight.detach().numpy()[0].astype(float)
    np.testing.assert_allclose(found, weights**2 / np.sum(weights**2), rtol=1e-5)


def test_attention_adds_up_to_one_over_the_pixels():
    network = create_model("specvit", ["logg"], n_wave=256, dim=32, depth=2, n_head=4).eval()

    found = attention_to_pixels(network, torch.randn(4, 256))

    assert found.shape == (256,)
    assert found.sum() == pytest.approx(1.0)
    assert (found > 0).all()


@pytest.mark.parametrize(("readout", "position"), [("mean", 5), ("tokens", 6)])
def test_attention_follows_a_key_that_was_planted(readout, position):
    """With one token's position made the key all queries want, its pixels get the attention."""
    network = create_model(
        "specvit", ["logg"], n_wave=256, patch=16, dim=16, depth=1, n_head=1, readout=readout
    ).eval()
    block = network.encoder.blocks[0]
    with torch.no_grad():
        network.encoder.positions.zero_()
        # token 5 of the patches, after the summary if there is one
        network.encoder.positions[0, position] = torch.linspace(-40, 40, 16)
        weight = block.query_key_value.weight
        weight.zero_()
        block.query_key_value.bias[:16] = torch.linspace(-1, 1, 16)  # query: the same for all
        weight[16:32] = 8.0 * torch.eye(16)

    found = attention_to_pixels(network, torch.zeros(3, 256))

    assert found[80:96].sum() > 0.8


def test_networks_without_attention_have_none():
    network = create_model("bilstm_tiny", ["logg"], n_wave=256).eval()

    assert attention_to_pixels(network, torch.randn(2, 256)) is None


def test_a_trained_network_looks_at_the_lines(tmp_path):
    """Three narrow lines tell log g; most of the gradient falls on them."""
    data = make_data(lines, uniform_logg, 0.1, (2000, 300, 300))
    recipe = NetworkRecipe(
        learning_rate=3e-3,
        batch_size=100,
        epochs=6,
        ema=0.9,
        options={"patch": 16, "dim": 16, "depth": 1, "n_head": 2, "readout": "tokens"},
    )
    fit("specvit_tiny", data.training(), "logg", recipe, tmp_path)

    found = explain(load_checkpoint(tmp_path), data.split("test").observe(slice(0, 100)))

    pixel = np.arange(128)
    near = np.min([np.abs(pixel - 128 * p) for p in (0.2, 0.5, 0.8)], axis=0) <= 5
    assert found.saliency[near].sum() > 0.7  # a quarter of the pixels
    figure = interpretation_figure(found, "TOY")
    assert len(figure.axes) == 3  # spectrum, attention, saliency


def test_information_lies_in_the_lines_that_change(toy_bank):
    """Toy stars: log g widens the second and fourth line, and deepens all a little."""
    draws = draw_stars(toy_bank, Prior.default(), 0, "test", np.arange(6))

    found = information_shares(toy_bank, draws, "logg")

    span = toy_bank.wave[-1] - toy_bank.wave[0]
    place = (toy_bank.wave - toy_bank.wave[0]) / span
    near = (np.abs(place - 0.4) < 0.12) | (np.abs(place - 0.9) < 0.1)
    assert found.sum() == pytest.approx(1.0)
    assert found[near].sum() > 0.65  # 44 % of the pixels


def test_only_networks_are_explained(line_data, tmp_path):
    fit("ridge", line_data.training(), "logg", RidgeRecipe(), tmp_path)

    with pytest.raises(ConfigError, match="not a network"):
        explain(load_checkpoint(tmp_path), line_data.split("test").observe(slice(0, 5)))


def test_training_goes_on_from_a_checkpoint(line_data, tiny_recipe, tmp_path):
    """One epoch at a vanishing rate from a trained network predicts what that network does."""
    from dataclasses import replace

    view = line_data.training()
    fit("specvit_tiny", view, "logg", tiny_recipe, tmp_path / "first")
    still = replace(
        tiny_recipe, initial=str(tmp_path / "first"), epochs=1, learning_rate=1e-9, ema=0.0,
        learning_rate_min=0.0,
    )  # fmt: skip

    fit("specvit_tiny", view, "logg", still, tmp_path / "second")

    first, second = (load_checkpoint(tmp_path / name) for name in ("first", "second"))
    test = line_data.split("test")
    # 15 steps of at most 1e-9 move no weight of order 0.1 visibly
    np.testing.assert_allclose(predict(second, test).value, predict(first, test).value, atol=1e-4)
    assert evaluate(second, test, n_resample=5).scores["r2"].value > 0.1


@pytest.mark.parametrize(
    ("changes", "target", "says"),
    [({"options": {"patch": 8}}, "logg", "do not fit"), ({}, "m_h", "not of m_h")],
)
def test_a_checkpoint_of_something_else_is_no_start(changes, target, says, tiny_recipe, tmp_path):
    from dataclasses import replace

    data = make_data(
        lambda labels: lines(labels[:, :1]),
        lambda rng, n: rng.uniform([1, -2], [5, 0], (n, 2)),
        0.2,
        (200, 100, 100),
        label_names=("logg", "m_h"),
    )
    first = replace(tiny_recipe, epochs=1)
    fit("specvit_tiny", data.training(), "logg", first, tmp_path / "first")
    options = first.options | changes.get("options", {})
    wrong = replace(first, initial=str(tmp_path / "first"), options=options)

    with pytest.raises(ConfigError, match=says):
        fit("specvit_tiny", data.training(), target, wrong, tmp_path / "second")
