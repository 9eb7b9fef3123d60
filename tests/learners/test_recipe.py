"""Recipes say exactly what is trained; nothing mistyped passes."""

import dataclasses
import itertools

import pytest
import torch

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.models import create_model, list_models
from starsmith.learners.optimise import decay_groups, gaussian_nll, learning_rate, loss_function
from starsmith.learners.recipe import NetworkRecipe, list_recipes, load_recipe, recipe_to_toml


def test_every_model_has_a_recipe():
    """The packaged recipes are named after the models they train."""
    assert list_recipes() == list_models()


@pytest.mark.parametrize("name", list_recipes())
def test_a_resolved_recipe_reads_back(name, tmp_path):
    """What is written beside a checkpoint trains the same model again."""
    recipe = load_recipe(name)

    (tmp_path / "recipe.toml").write_text(recipe_to_toml(recipe))

    assert load_recipe(tmp_path / "recipe.toml") == recipe


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "specvit": ("l1", 1e-4, 1e-2),
        "convstem_lstm": ("mse", 3e-4, 1e-4),
        "bilstm": ("mse", 3e-4, 1e-4),
        "resnet18": ("mse", 3e-4, 1e-4),
        "deep_cnn": ("mse", 3e-4, 1e-4),
    }.items(),
)
def test_table_1_of_the_paper(name, expected):
    """Loss, learning rate and weight decay; clip 0.5 and cosine to 1e-5 for all (Sec. 3.7)."""
    recipe = load_recipe(name)

    assert (recipe.loss, recipe.learning_rate, recipe.weight_decay) == expected
    assert (recipe.grad_clip, recipe.learning_rate_min) == (0.5, 1e-5)


def test_options_survive_the_file(tmp_path):
    """Options of a network, lists and texts among them, are written and read."""
    recipe = NetworkRecipe(options={"stem": [8, 16], "readout": "mean", "dropout": 0.1})
    (tmp_path / "r.toml").write_text(recipe_to_toml(recipe))

    assert load_recipe(tmp_path / "r.toml").options == recipe.options


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("learning_rat = 1e-3", "unknown key"),
        ('loss = "mae"', "mse, l1, gaussian_nll"),
        ("epochs = 2.5", "expected a int"),
        ('learning_rate = "fast"', "expected a float"),
        ("ema = 1.0", r"\[0, 1\)"),
        ("epochs = 0", "positive"),
        ('kind = "forest"', "network, ridge, trees"),
        ("not toml", "cannot be read"),
    ],
)
def test_mistakes_are_refused(text, words, tmp_path):
    """Above all: the loss ``mae`` is refused, where the published code trained MSE."""
    path = tmp_path / "recipe.toml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=words):
        load_recipe(path)


def test_unknown_recipe_and_loss_are_refused():
    """Names are exact."""
    with pytest.raises(ConfigError, match="choose one of"):
        load_recipe("specvit_huge")
    with pytest.raises(ConfigError, match="not one of"):
        loss_function("MSE")


def test_a_recipe_cannot_change():
    """What was written beside the checkpoint is what was trained."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_recipe("specvit").epochs = 3


def test_learning_rate_rises_then_ends_with_the_last_step():
    """Linear warm-up to the peak, cosine to the minimum at the very last step, never back up."""
    recipe = NetworkRecipe(learning_rate=1e-3, learning_rate_min=1e-5, warmup=0.1)

    rates = [learning_rate(recipe, step, 200) for step in range(200)]

    assert rates[0] == pytest.approx(1e-3 / 20)
    assert max(rates) == rates[20] == pytest.approx(1e-3)
    assert rates[-1] == pytest.approx(1e-5)
    assert all(a > b for a, b in itertools.pairwise(rates[20:]))


def test_norms_biases_and_positions_do_not_decay():
    """Only matrices are pulled towards zero."""
    model = create_model("convstem_lstm_tiny", ["logg"], n_wave=256)
    names = {id(p): n for n, p in model.named_parameters()}

    decayed, free = decay_groups(model, 0.1)

    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    free_names = {names[id(p)] for p in free["params"]}
    assert {"encoder.positions", "encoder.summary", "context.lstm.bias_hh_l0"} <= free_names
    assert all(p.ndim >= 2 and "bias" not in names[id(p)] for p in decayed["params"])
    assert len(decayed["params"]) + len(free_names) == len(names)


def test_gaussian_loss_is_least_at_the_true_spread():
    """For errors of spread s the likelihood peaks at sigma = s."""
    error = 0.5 * torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    raw = torch.linspace(-3, 1, 81)

    losses = [gaussian_nll(torch.cat([error * 0, 0 * error + r], dim=1), error) for r in raw]

    best = raw[int(torch.stack(losses).argmin())]
    assert torch.exp(0.5 * best).item() == pytest.approx(0.5, abs=0.02)  # steps of 0.05 in raw
