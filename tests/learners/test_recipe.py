"""Recipes say exactly what is trained; nothing mistyped passes."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.networks import create_model, list_models
from starsmith.learners.recipe import NetworkRecipe, list_recipes, load_recipe, recipe_to_toml
from starsmith.learners.training.optimise import decay_groups, learning_rate, loss_function


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


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("specvit", ("l1", 1e-4, 1e-2)),
        ("specvit_tiny", ("l1", 1e-4, 1e-2)),
        ("bilstm", ("mse", 3e-4, 1e-4)),
        ("convstem_lstm", ("mse", 3e-4, 1e-4)),
    ],
)
def test_the_papers_recipe_for_each_network(model, expected):
    """``--recipe paper``: Table 1, in half precision, without warm-up or running mean."""
    recipe = load_recipe("paper", model, epochs=3)

    assert (recipe.loss, recipe.learning_rate, recipe.weight_decay) == expected
    assert (recipe.precision, recipe.warmup, recipe.ema, recipe.epochs) == ("float16", 0.0, 0.0, 3)
    with pytest.raises(ConfigError, match="the paper trains no 'mlp'"):
        load_recipe("paper", "mlp")


def test_options_are_merged_with_the_recipes(tmp_path):
    """One option on the command line does not undo those of the file."""
    (tmp_path / "r.toml").write_text('[options]\npatch = 32\nreadout = "mean"\n')

    recipe = load_recipe(tmp_path / "r.toml", options={"patch": 16})

    assert recipe.options == {"patch": 16, "readout": "mean"}


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


def nll(name, output, truth, error=None, **options):
    total, number = loss_function(name, **options)(output, truth, error)
    return (total / number).item()


@pytest.mark.parametrize(("own", "expected"), [(0.0, 0.5), (0.3, 0.4)])
def test_gaussian_loss_is_least_at_the_true_spread(own, expected):
    """For errors of spread s it peaks at sigma = s; what labels themselves err is not counted."""
    error = 0.5 * torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    raw = torch.linspace(-3, 1, 81)

    losses = [
        nll("gaussian_nll", torch.cat([error * 0, 0 * error + r], dim=1), error, 0 * error + own)
        for r in raw
    ]

    best = raw[int(np.argmin(losses))]
    # steps of 0.05 in the log variance are 2.5 per cent
    assert torch.exp(0.5 * best).item() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("name", "n_output"), [("mse", 2), ("l1", 2), ("gaussian_nll", 4)])
def test_labels_that_are_missing_teach_nothing(name, n_output):
    """A NaN label adds nothing to loss or gradient; the others count as if it were not there."""
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(6, n_output, generator=generator, requires_grad=True)
    truth = torch.randn(6, 2, generator=generator)
    truth[2:, 1] = torch.nan

    total, number = loss_function(name)(output, truth)
    total.backward()

    assert number.item() == 8
    assert (output.grad[2:, 1] == 0).all()
    assert (output.grad[:, 0] != 0).all()
    assert torch.isfinite(output.grad).all()


def test_labels_with_large_errors_weigh_less():
    """An error of sqrt(3) spreads weighs a fourth in mse, half in l1."""
    output, truth = torch.full((1, 1), 2.0), torch.zeros(1, 1)
    error = torch.full((1, 1), 3.0**0.5)

    assert nll("mse", output, truth, error) == pytest.approx(1.0)
    assert nll("l1", output, truth, error) == pytest.approx(1.0)
    assert nll("mse", output, truth) == pytest.approx(4.0)


def test_beta_weighs_gradients_between_likelihood_and_mse():
    """With beta 1 the gradient on the mean is the error itself, with 0 that over the variance."""
    truth = torch.zeros(1, 1)
    for beta, expected in ((0.0, 2.0 / 4.0), (1.0, 2.0)):
        output = torch.tensor([[2.0, 2 * math.log(2.0)]], requires_grad=True)  # variance 4
        loss_function("beta_nll", beta)(output, truth)[0].backward()
        # tanh keeps the log variance within 10: 1.386 becomes 1.377
        assert output.grad[0, 0].item() == pytest.approx(expected, rel=0.01)
