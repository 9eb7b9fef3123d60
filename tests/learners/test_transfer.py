"""Strategies of transfer: what begins, what learns, what is written, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.learners import create_model, fit, load_checkpoint
from starsmith.learners.networks.residual import head_size
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.transfer.finetune import Plan, finetune
from starsmith.learners.transfer.low_rank import low_rank_sizes, target_weights
from starsmith.learners.transfer.merge import merge
from starsmith.learners.transfer.strategies import Strategy, adapt, list_strategies
from starsmith.learners.transfer.target_views import Strata, choose_stars, mapped
from tests.learners.worlds import lines, make_data, uniform_logg

PAPER = {"widths": (1024, 512, 64), "dropout": 0.0}
QUICK = {"epochs": 4, "rates": (1e-2, 1e-3), "batch_size": 32}
SMALL = {"widths": (16, 8), "dropout": 0.1}


def shifted(labels, n_wave=128):
    """The same stars through an instrument that tilts the continuum."""
    return lines(labels, n_wave) * (1.0 + 0.3 * np.linspace(-1, 1, n_wave))


@pytest.fixture(scope="module")
def target():
    """Data of the target: 120 stars to learn from, 80 to choose by, 100 to be judged."""
    return make_data(shifted, uniform_logg, 0.05, (120, 80, 100), seed=5)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A small MLP for logg, trained on the source."""
    out = tmp_path_factory.mktemp("base") / "mlp"
    source = make_data(lines, uniform_logg, 0.05, (600, 100, 10))
    recipe = NetworkRecipe(learning_rate=3e-3, batch_size=50, epochs=6, options=SMALL)
    fit("mlp", source.training(), "logg", recipe, out)
    return out


def plan(name, **changes):
    strategy = {k: changes.pop(k) for k in ("rank", "targets", "new_head") if k in changes}
    return Plan(strategy=Strategy(name=name, **strategy), **{**QUICK, **changes})


@pytest.mark.parametrize(
    ("n_wave", "name", "targets", "expected"),
    [
        (1462, "full", "all", 2_055_809),
        (768, "full", "all", 1_345_153),
        (1462, "residual", "all", 562_177),
        (768, "residual", "all", 295_681),
        (1462, "lora", "all-but-last", 588_544),
        (1462, "lora", "all", 596_864),
        (768, "lora", "all-but-last", 499_712),
    ],
)
def test_counts_of_the_papers(n_wave, name, targets, expected):
    """The LAMOST to DESI paper's MLP, its residual head of 384 units and LoRA of rank 128."""
    network = create_model("mlp", ["m_h"], n_wave=n_wave, **PAPER)
    strategy = Strategy(name=name, rank=128, alpha=256.0, targets=targets)
    prepared = adapt(network, strategy, n_wave, 1)
    assert prepared.n_trainable == expected
    told = prepared.fractions()
    if name == "residual" and n_wave == 1462:
        assert head_size(n_wave, 1, 384) == expected
        assert told["of_base"] == pytest.approx(0.273, abs=5e-4)  # "21 %" in print is of all
        assert told["of_total"] == pytest.approx(0.2147, abs=5e-4)


def test_counts_of_the_lora_note():
    """Rank 4 on query, key-value and output of six blocks; rank 8 on a head's four layers."""
    block = ((768, 768), (1536, 768), (768, 768))
    assert low_rank_sizes(6 * block, 4) == 129_024
    mlp = ((1024, 768), (512, 1024), (64, 512), (1, 64))
    assert low_rank_sizes(mlp, 8) == 31_752
    # MLP in and out, and the attention's output, of the projection head, rank 16
    assert low_rank_sizes(((3072, 768), (768, 3072), (768, 768)), 16) == 147_456


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        ("mlp", "all-but-last"),
        ("specvit_tiny", "attention"),
        ("specvit_tiny", "mlp,convolution"),
        ("bilstm_tiny", "recurrent"),
        ("deep_cnn_tiny", "convolution"),
        ("resnet18_tiny", "all"),
        ("lstmformer_tiny", "all"),
    ],
)
def test_a_strategy_begins_where_the_base_is(model, targets):
    """B = 0, and a head whose last layer is zero, change no bit of any output."""
    seen = torch.randn(3, 256, generator=torch.Generator().manual_seed(1))
    network = create_model(model, ["logg"], n_wave=256).eval()
    with torch.no_grad():
        expected = network(seen).numpy()
    for strategy in (Strategy(name="lora", targets=targets), Strategy(name="residual")):
        prepared = adapt(create_model(model, ["logg"], n_wave=256), strategy, 256, 1)
        prepared.network.eval()
        with torch.no_grad():
            np.testing.assert_array_equal(prepared.network(seen).numpy(), expected)
        prepared.train()
        prepared.network(seen).sum().backward()
        learning = [p for p in prepared.network.parameters() if p.requires_grad]
        assert all(p.grad is not None for p in learning)
        if strategy.name == "lora":  # the gradient reaches every B
            assert sum(float(p.grad.abs().sum()) > 0 for p in learning) >= len(learning) // 2


def test_low_rank_is_the_linear_layer_of_hu():
    """Y = W x + b + alpha / rank B (A x), to rounding."""
    layer = nn.Sequential(nn.Linear(20, 6))
    strategy = Strategy(name="lora", rank=3, alpha=6.0, targets="all")
    plain = layer[0].weight.detach().clone(), layer[0].bias.detach().clone()
    network = adapt(layer, strategy, 20, 6).network
    pair = network[0].parametrizations.weight[0]
    torch.nn.init.normal_(pair.B)
    x = torch.randn(4, 20)
    expected = x @ plain[0].T + plain[1] + 2.0 * (x @ pair.A.T) @ pair.B.T
    torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", list_strategies())
def test_what_is_written_is_what_was_trained(base, target, tmp_path, name):
    """An adapter alone, with its base, and merged: one and the same model."""
    result = finetune(base, target.training(), plan(name, n=60), tmp_path / "a")
    trained = load_file(tmp_path / "a" / "adapter.safetensors")
    n_stored = sum(value.size for value in trained.values())
    assert n_stored == result.card["parameters"]["n_trainable"]
    merge(tmp_path / "a", tmp_path / "merged")
    seen = target.split("test").observe()
    scaled = result.statistics.normaliser.apply(seen.flux, seen.mask)
    with torch.no_grad():
        own = result.statistics.scale.to_labels(result.network(torch.from_numpy(scaled)).numpy())
    for folder in ("a", "merged"):
        value, _ = load_checkpoint(tmp_path / folder).predict(seen.flux, seen.error, seen.mask)
        np.testing.assert_allclose(value, own, atol=1e-5)
    if name == "zero_shot":
        value, _ = load_checkpoint(base).predict(seen.flux, seen.error, seen.mask)
        np.testing.assert_array_equal(value, own)
    else:
        metrics = result.card["model_card"]["metrics"]
        zero = finetune(base, target.training(), plan("zero_shot")).card["model_card"]["metrics"]
        if name != "scratch":  # the weights to begin with are among those chosen from
            assert metrics["val_error"] <= zero["val_error"]


def test_a_killed_fine_tuning_ends_with_the_same_weights(base, target, tmp_path, monkeypatch):
    from starsmith.learners.transfer import tuning

    monkeypatch.setattr(tuning, "STATE_STEPS", 1)
    wanted = plan("full", n=90, epochs=6)
    finetune(base, target.training(), wanted, tmp_path / "whole")
    whole = load_file(tmp_path / "whole" / "adapter.safetensors")
    steps, epoch = [], tuning._epoch

    def killed(*parts):
        steps.append(1)
        if len(steps) == 9:  # in the second rate
            raise KeyboardInterrupt
        return epoch(*parts)

    monkeypatch.setattr(tuning, "_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        finetune(base, target.training(), wanted, tmp_path / "killed")
    finetune(base, target.training(), wanted, tmp_path / "killed")
    assert len(steps) == 9 + 4  # what was done is not done again
    again = load_file(tmp_path / "killed" / "adapter.safetensors")
    for name, value in whole.items():
        np.testing.assert_array_equal(again[name], value)


def test_scratch_knows_nothing_of_the_base(base, target):
    """Its own input statistics, label scale and weights."""
    view = target.training()
    result = finetune(base, view, plan("scratch", n=100, epochs=2))
    held = load_checkpoint(base).statistics
    assert not np.allclose(result.statistics.normaliser.mean, held.normaliser.mean)
    assert result.statistics.scale.mean[0] != held.scale.mean[0]


def test_another_label_needs_a_new_head(base, tmp_path):
    data = make_data(lines, lambda r, n: r.uniform(1, 5, (n, 1)), 0.05, (60, 40, 40), ("m_h",))
    with pytest.raises(ConfigError, match="no label logg"):
        finetune(base, data.training(), plan("full"))
    with pytest.raises(ConfigError, match="--new-head"):
        finetune(base, data.training(), plan("full", labels=("m_h",)))
    wanted = plan("linear_probe", labels=("m_h",), new_head=True, epochs=30)
    finetune(base, data.training(), wanted, tmp_path / "probe")
    model = load_checkpoint(tmp_path / "probe")
    assert model.labels == ("m_h",)
    assert model.card["metrics"]["val_r2"]["m_h"] > 0.5  # the old features serve


def test_pixels_of_another_instrument(base):
    """``exact`` refuses, ``interpolate`` masks what is not covered, ``pixel`` counts."""
    data = make_data(lines, uniform_logg, 0.05, (30, 20, 20))
    view = data.training()
    wave = view.train.wave
    moved = replace(view, train=replace(view.train, wave=wave + 10.1))
    with pytest.raises(DataError, match="--wave-map interpolate or pixel"):
        mapped(moved, wave, "exact")
    seen = mapped(moved, wave, "interpolate").train.observe()
    outside = wave < wave[0] + 10.1
    assert (seen.mask[:, outside] > 0).all()
    assert not seen.mask[:, ~outside].any()
    own = view.train.observe()
    expected = np.interp(wave[~outside], wave + 10.1, own.flux[0])
    np.testing.assert_allclose(seen.flux[0, ~outside], expected, rtol=1e-5)
    np.testing.assert_array_equal(mapped(moved, wave, "pixel").train.observe().flux, own.flux)
    fewer = replace(view, train=replace(view.train, wave=wave[:-1]))
    with pytest.raises(DataError, match="needs as many"):
        mapped(fewer, wave, "pixel")


def test_a_choice_of_stars_keeps_the_shares(target):
    split = target.training().train
    strata = Strata.of_text("logg:2")
    share = strata.below(split).mean()
    for n in (10, 50, 120):
        rows = choose_stars(split, n, 3, strata)
        assert len(np.unique(rows)) == n
        assert abs(strata.below(split)[rows].sum() - n * share) <= 0.5
    with pytest.raises(ConfigError, match="--n 121: the train split of the data has 120"):
        choose_stars(split, 121, 0, None)
    with pytest.raises(ConfigError, match="LABEL:EDGE"):
        Strata.of_text("logg=2")
    assert Strata.of_text("fe_h:-1") == Strata("m_h", -1.0)


def test_a_layer_that_is_not_there_is_named():
    network = create_model("mlp", ["logg"], n_wave=64, widths=(8,))
    with pytest.raises(ConfigError, match="--targets attention: this network has no such layer"):
        target_weights(network, "attention")
    with pytest.raises(ConfigError, match="--strategy lorra: expected one of zero_shot"):
        Strategy(name="lorra")
