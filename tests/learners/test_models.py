"""The networks are the published ones, and their parts do what they say."""

from unittest import mock

import pytest
import torch
from torch.nn import functional

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.estimators.registry import list_estimators
from starsmith.learners.networks import (
    count_parameters,
    create_model,
    list_models,
    register_model,
)
from starsmith.learners.networks.blocks import ConvTokenizer, UnfoldTokenizer, readout_of_weights

PUBLISHED = {
    "specvit": 4_809_729,
    "overlap_vit": 4_813_569,
    "convstem_vit": 4_935_937,
    "convstem_lstm": 4_607_745,
    "lstmformer": 4_810_241,
    "bilstm": 4_211_457,
    "resnet18": 4_864_105,
    "deep_cnn": 4_704_705,
    "mlp": 4_851_713,
}
NETWORKS = [name for name in list_models() if name not in list_estimators()]


@pytest.mark.parametrize(("name", "expected"), PUBLISHED.items())
def test_parameter_counts_of_the_paper(name, expected):
    """One label, 4096 pixels: the published 4.2-4.9 M, to the last parameter."""
    assert count_parameters(create_model(name, ["logg"])) == expected


def test_specvit_has_257_tokens():
    """4096 pixels in patches of 16, and one summary token (paper, Sec. 3.4)."""
    assert create_model("specvit", ["logg"]).encoder.positions.shape == (1, 257, 256)


@pytest.mark.parametrize("name", [n for n in NETWORKS if n.endswith("_tiny")])
def test_every_network_maps_spectra_to_labels(name):
    """Outputs are one mean per label, then one log variance per label."""
    flux = torch.randn(3, 1024, generator=torch.Generator().manual_seed(0))

    means = create_model(name, ["logg", "m_h"], n_wave=1024)(flux)
    both = create_model(name, ["logg", "m_h"], n_wave=1024, uncertainty=True)(flux)

    assert means.shape == (3, 2)
    assert both.shape == (3, 4)


@pytest.mark.parametrize("name", [n for n in NETWORKS if n.endswith("_tiny")])
def test_every_parameter_receives_a_gradient(name):
    """No dead weights: the published transformer carried an unused pooler of 65,792."""
    model = create_model(name, ["logg"], n_wave=1024)
    flux = torch.randn(4, 1024, generator=torch.Generator().manual_seed(0))

    model(flux).square().sum().backward()

    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_conv_and_unfold_tokenizers_are_one_map():
    """With equal weights, outputs and gradients agree: the tokenizers differ in name only."""
    conv, unfold = ConvTokenizer(512, 32, 16, 8), UnfoldTokenizer(512, 32, 16, 8)
    unfold.embed.weight.data = conv.embed.weight.data[:, 0].clone()
    flux = torch.randn(5, 512, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(32, generator=torch.Generator().manual_seed(1))

    tokens = [tokenizer(flux) for tokenizer in (conv, unfold)]
    for result in tokens:
        (torch.tanh(result) @ weight).sum().backward()

    torch.testing.assert_close(tokens[0], tokens[1], rtol=0, atol=1e-5)  # float32 sums of 16
    torch.testing.assert_close(
        conv.embed.weight.grad[:, 0], unfold.embed.weight.grad, rtol=1e-4, atol=1e-4
    )


def test_both_tokenizers_start_from_the_same_distribution():
    """Tokens of standardised pixels have unit variance under either tokenizer."""
    flux = torch.randn(64, 4096, generator=torch.Generator().manual_seed(0))
    for name in ("conv", "unfold"):
        model = create_model("specvit", ["logg"], tokenizer=name)

        tokens = model.tokenizer(flux)

        assert tokens.std().item() == pytest.approx(1.0, abs=0.05)  # 4096 weights: 4 / sqrt(8192)


def test_a_mean_of_tokens_needs_no_summary():
    """256 tokens of 4096 pixels, a whole number of a kernel's tiles; the others keep their 257."""
    network = create_model("specvit", ["logg"], readout="mean")
    assert network.encoder.positions.shape == (1, 256, 256)
    assert network.encoder.summary is None
    assert count_parameters(network) == PUBLISHED["specvit"] - 2 * 256


def test_earlier_means_keep_their_summary():
    """Weights of a checkpoint that averaged over a summary token too still fit."""
    old = create_model("specvit", ["logg"], n_wave=256, readout="mean_with_summary")
    new = create_model("specvit", ["logg"], n_wave=256, readout="mean")
    for network, readout in ((old, "mean_with_summary"), (new, "mean")):
        options = readout_of_weights({"readout": "mean"}, network.state_dict())
        assert options["readout"] == readout


def test_attention_may_drop_other_shares_than_the_rest():
    """Such as an eighth, which more kernels take; by default all layers drop the same."""
    for options, expected in (({}, 0.1), ({"attention_dropout": 0.0}, 0.0)):
        block = create_model("specvit", ["logg"], n_wave=64, **options).encoder.blocks[0]
        assert (block.dropout, block.attention_dropout) == (0.1, expected)


def test_queries_are_views_of_one_product():
    """Nothing is copied between the product that makes heads and attention, nor backwards."""
    block = create_model("specvit", ["logg"], n_wave=64, dropout=0.0).encoder.blocks[0]
    made, seen = [], []
    block.query_key_value.register_forward_hook(lambda *a: made.append(a[2]))
    attend = functional.scaled_dot_product_attention
    with mock.patch.object(
        functional,
        "scaled_dot_product_attention",
        lambda *a, **k: seen.extend(a) or attend(*a, **k),
    ):
        block(torch.randn(2, 5, 256))
    assert len(seen) == 3
    assert {x.untyped_storage().data_ptr() for x in seen} == {made[0].untyped_storage().data_ptr()}


def test_summary_and_positions_start_small():
    """Position noise does not drown the tokens: standard deviation 0.02 against 1."""
    encoder = create_model("specvit", ["logg"]).encoder

    assert encoder.positions.std().item() == pytest.approx(0.02, rel=0.05)
    assert encoder.summary.abs().max().item() < 0.1


def test_equal_seeds_give_equal_weights_and_leave_torch_alone():
    """A network depends on its seed only, and drawing it moves nobody else's random numbers."""
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)

    first, second, other = (create_model("specvit_tiny", ["logg"], seed=s) for s in (1, 1, 2))

    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.encoder.head.weight, second.encoder.head.weight)
    assert not torch.equal(first.encoder.head.weight, other.encoder.head.weight)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no_such", ["logg"]), "choose one of"),
        (("specvit", ["log_g"]), "choose from teff"),
        (("specvit", []), "at least one label"),
        (("ridge", ["logg"]), "not a network"),
    ],
)
def test_unknown_requests_are_refused(arguments, words):
    """The message says what could have been asked for."""
    with pytest.raises(ConfigError, match=words):
        create_model(*arguments)


@pytest.mark.parametrize("name", ["specvit", "overlap_vit", "lstmformer", "bilstm"])
def test_sliding_windows_are_an_option_of_every_network_of_patches(name):
    """Same number of parameters, same shape of output."""
    options = {"n_wave": 512, "seed": 0}
    networks = [create_model(name, ["logg"], tokenizer=t, **options) for t in ("conv", "unfold")]

    assert count_parameters(networks[0]) == count_parameters(networks[1])
    assert networks[1](torch.zeros(2, 512)).shape == (2, 1)
    with pytest.raises(ConfigError, match="conv, unfold"):
        create_model(name, ["logg"], tokenizer="sw")


def test_unknown_options_are_refused():
    """A mistyped option is never ignored."""
    with pytest.raises(ConfigError, match="patchsize"):
        create_model("specvit", ["logg"], patchsize=8)
    with pytest.raises(ConfigError, match="readout"):
        create_model("specvit_tiny", ["logg"], readout="first")
    with pytest.raises(ConfigError, match="lower patch"):
        create_model("specvit", ["logg"], n_wave=8)


def test_names_are_taken_once():
    """Registering over an existing network is refused."""
    with pytest.raises(ConfigError, match="registered already"):
        register_model("specvit")
