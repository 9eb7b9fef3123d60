"""Networks that learn without labels: their sizes, and every step of theirs by a slow twin."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.pretrain.contrastive import LOGIT_SCALE, contrastive_loss
from starsmith.learners.pretrain.masking import chunk_starts
from starsmith.learners.pretrain.networks import NETWORKS, build_pair, build_pretrained
from starsmith.learners.pretrain.recipes import load_pretraining
from starsmith.learners.pretrain.training import PretrainStepper
from starsmith.learners.training.batch import Batch
from starsmith.learners.training.optimise import learning_rate
from tests.reference import pretraining as twin

SIZES = {  # pixels, parameters
    "lrs_masked": (1462, 42_677_013),
    "xp_masked": (343, 42_802_947),
    "xp_autoencoder": (343, 42_846_129),
    "masked_small": (4096, 818_754),
    "masked_tiny": (4096, 112_834),
    "autoencoder_small": (343, 737_305),
    "autoencoder_tiny": (343, 112_921),
}
MINI = {"dim": 12, "depth": 2, "n_head": 3, "n_chunk": 2, "chunk": 3}
N_WAVE = 203  # 19 patches of 20, and three pixels too many


def size(network):
    return sum(p.numel() for p in network.parameters())


def spectra(n=4, n_wave=N_WAVE):
    return np.random.default_rng(7).normal(1.0, 0.1, (n, n_wave))


def mini(**options):
    return build_pretrained(
        "lrs_masked", N_WAVE, {"n_position": 0} | MINI | options, seed=3
    ).double()


def weights_of(network):
    return {name: value.detach().numpy() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_the_size_it_says(name):
    n_wave, number = SIZES[name]
    with torch.device("meta"):
        assert size(build_pretrained(name, n_wave)) == number


@pytest.mark.parametrize(
    ("variant", "number", "heads"),
    [
        ("base", 99_710_814, (7_087_104, 7_100_568)),
        ("split", 126_229_506, (4_465_664, 5_006_896)),
        ("pr", 168_293_752, (7_087_104, 7_100_568)),
    ],
)
def test_aligned_pairs_have_the_published_sizes(variant, number, heads):
    with torch.device("meta"):
        backbones = build_pretrained("lrs_masked", 1462), build_pretrained("xp_autoencoder", 343)
        pair = build_pair(backbones, variant)
    assert size(pair) == number
    assert (size(pair.first.head), size(pair.second.head)) == heads
    assert not any(p.requires_grad for p in pair.first.backbone.parameters())


def test_tokens_of_1462_pixels_are_145_patches_and_one_of_statistics():
    with torch.device("meta"):
        network = build_pretrained("lrs_masked", 1462)
        assert network.tokens(torch.empty(2, 1462)).shape == (2, 146, 21)
    flux = spectra()
    found = mini().tokens(torch.from_numpy(flux)).numpy()
    np.testing.assert_allclose(found, [twin.lrs_tokens(row) for row in flux], atol=1e-12)


def test_chunks_of_146_tokens_start_where_published():
    """(i 146) // 6 plus 0..13; chunks of ten never meet."""
    uniform = torch.rand(2000, 6, dtype=torch.float64)
    starts = chunk_starts(uniform, 146, 10).numpy()
    first = np.array([0, 24, 48, 73, 97, 121])
    assert [set(column) for column in (starts - first).T] == [set(range(14))] * 6
    assert (np.diff(starts, axis=1) >= 10).all()
    assert starts.max() + 10 <= 146
    assert starts[0].tolist() == twin.chunk_starts(uniform[0].numpy(), 146, 10)


@pytest.mark.parametrize("leaky", [False, True])
def test_what_is_hidden(leaky):
    network, flux = mini(leaky=leaky), spectra()
    uniform = torch.rand(len(flux), 2, dtype=torch.float64)
    tokens = network.tokens(torch.from_numpy(flux))
    shown = tokens.masked_fill(network.hidden(uniform), 0.0).numpy()
    for row, found in enumerate(shown):
        wanted = twin.hide(tokens[row].numpy(), uniform[row].numpy(), 3, leaky)
        np.testing.assert_array_equal(found, wanted)


def test_copying_neighbours_scores_only_when_leaky():
    """A guess of each hidden pixel by what another patch shows of the same pixel."""
    flux, found = spectra(64), {}
    for leaky in (False, True):
        network = mini(leaky=leaky)
        hidden = network.hidden(torch.rand(len(flux), 2, dtype=torch.float64))[:, 1:, 1:]
        values = network.tokens(torch.from_numpy(flux))[:, 1:, 1:]
        shown = values.masked_fill(hidden, 0.0)
        guess = torch.zeros_like(values)
        guess[:, :-1, 10:] += shown[:, 1:, :10]  # the patch behind begins ten pixels on
        guess[:, 1:, :10] += shown[:, :-1, 10:]
        found[leaky] = float(((guess - values)[hidden] ** 2).mean() / (values[hidden] ** 2).mean())
    assert found[False] == 1.0
    assert found[True] < 0.9


@pytest.mark.parametrize("double_scale", [False, True])
def test_attention_is_scaled_once_and_maps_are_those_used(double_scale):
    network = mini(double_scale=double_scale)
    flux = torch.from_numpy(spectra())
    scale = 4.0 ** (-1.0 if double_scale else -0.5)  # heads of 4 numbers
    for row, found in zip(flux.numpy(), network(flux).detach().numpy(), strict=True):
        tokens = twin.lrs_tokens(row)
        wanted = twin.contextual(weights_of(network), tokens, 2, 3, scale)
        np.testing.assert_allclose(found, wanted, atol=1e-10)
    attention = network.blocks[0].attention
    mixed = torch.rand(2, 20, 12, dtype=torch.float64)
    value = attention.kv_proj(mixed)[..., 12:].unflatten(-1, (3, 4)).transpose(1, 2)
    by_maps = attention.out_proj((attention.maps(mixed) @ value).transpose(1, 2).flatten(2))
    np.testing.assert_allclose(
        by_maps.detach().numpy(), attention(mixed).detach().numpy(), atol=1e-6
    )
    assert network.attention_maps(flux).shape == (4, 2, 3, 19 + 1, 19 + 1)


@pytest.mark.parametrize("leaky", [False, True])
def test_one_step_of_a_masked_network(leaky):
    """Loss by the published formula, and the head after one step of AdamW, in float64 loops."""
    network, flux = mini(leaky=leaky), torch.from_numpy(spectra())
    uniform, before = torch.rand(4, 2, dtype=torch.float64), weights_of(mini(leaky=leaky))
    tokens = np.stack([twin.lrs_tokens(row) for row in flux.numpy()])
    shown = np.stack(
        [twin.hide(t, u, 3, leaky) for t, u in zip(tokens, uniform.numpy(), strict=True)]
    )
    context = np.stack([twin.contextual(before, row, 2, 3, 0.5) for row in shown])
    guess = twin.linear(before, "head", context)
    m = shown != tokens
    gradient = np.einsum("btc,btd->cd", 2 * np.where(m, guess - tokens, 0.0) / m.sum(), context)

    recipe = load_pretraining("masked_tiny", grad_clip=1e9)
    stepper = PretrainStepper(network, recipe, torch.device("cpu"))
    loss = stepper.take(Batch(flux, uniform, None, np.arange(4)), 1e-3)

    assert float(loss) == pytest.approx(twin.masked_loss(guess, tokens, shown), rel=1e-5)
    wanted = twin.adamw_first(before["head.weight"], gradient, 1e-3, recipe.weight_decay)
    np.testing.assert_allclose(network.head.weight.detach().numpy(), wanted, atol=2e-6)


def test_one_step_of_an_autoencoder():
    options = {"width": 10, "dim": 4, "depth": 2, "expand": 3}
    network = build_pretrained("xp_autoencoder", 31, options).double()
    flux, before = torch.from_numpy(spectra(5, 31)), weights_of(network)
    before = {name: value.copy() for name, value in before.items()}
    found = [twin.autoencoder(before, row, 2) for row in flux.numpy()]
    inputs, latent, hidden, restored = (np.stack(part) for part in zip(*found, strict=True))
    np.testing.assert_allclose(network.embed(flux).detach().numpy(), latent, atol=1e-10)
    gradient = np.einsum("bp,bw->pw", 2 * (restored - inputs) / inputs.size, hidden)

    recipe = load_pretraining("autoencoder_tiny", grad_clip=1e9)
    stepper = PretrainStepper(network, recipe, torch.device("cpu"))
    loss = stepper.take(Batch(flux, flux[:, :0], None, np.arange(5)), 1e-3)

    assert float(loss) == pytest.approx(((restored - inputs) ** 2).mean(), rel=1e-5)
    weight = before["output_proj.weight"]
    wanted = twin.adamw_first(weight, gradient, 1e-3, recipe.weight_decay)
    np.testing.assert_allclose(network.output_proj.weight.detach().numpy(), wanted, atol=2e-6)


def test_contrastive_loss_of_known_pairs():
    """Orthonormal pairs: log(1 + (N - 1) e^-s); vectors that are all one: log N."""
    n = 9
    pairs, ones = torch.eye(n, dtype=torch.float64), torch.ones(n, 5, dtype=torch.float64)
    wanted = math.log1p((n - 1) * math.exp(-LOGIT_SCALE))
    assert float(contrastive_loss(pairs, 3 * pairs)) == pytest.approx(wanted, rel=1e-9)
    assert float(contrastive_loss(ones, ones)) == pytest.approx(math.log(n), rel=1e-12)
    first, second = torch.randn(2, n, 5, dtype=torch.float64)
    wanted = twin.contrastive(first.numpy(), second.numpy(), 7.0)
    assert float(contrastive_loss(first, second, 7.0)) == pytest.approx(wanted, rel=1e-12)


def test_backbones_of_a_pair_stay_as_they_are():
    backbones = mini().float(), build_pretrained("autoencoder_tiny", 31)
    pair = build_pair(backbones, "split", {"dim": 12, "n_head": 2})
    before = {k: v.clone() for k, v in pair.state_dict().items()}
    stepper = PretrainStepper(pair, load_pretraining("split"), torch.device("cpu"))
    first, second = (torch.from_numpy(spectra(8, n)).float() for n in (N_WAVE, 31))
    pair.train()
    stepper.take(Batch(first, second, None, np.arange(8)), 1e-2)
    moved = {k for k, v in pair.state_dict().items() if not torch.equal(v, before[k])}
    assert moved
    assert not any("backbone" in name for name in moved)
    assert pair.eval().predict(first).shape == (8, 31)
    assert pair.embed(second, "second").shape == (8, 12)
    assert pair(second, "second").shape == (8, 8)


def test_published_schedule_ends_at_a_hundredth():
    for name in ("lrs_masked", "xp_autoencoder", "base"):
        recipe = load_pretraining(name, "paper")
        last = learning_rate(recipe, recipe.steps - 1, recipe.steps)
        assert last == pytest.approx(recipe.learning_rate / 100, rel=1e-9)
    warm_up = round(load_pretraining("lrs_masked", "paper").warmup * 980_000)
    assert abs(warm_up - 9760) < 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"chunk": 200}, "chunks of 200 tokens"),
        ({"n_position": 5}, "n_position"),
        ({"n_head": 5}, "n_head = 5"),
        ({"statistics": ["median"]}, "median"),
        ({"colour": 1}, "colour"),
    ],
)
def test_options_that_cannot_be(options, words):
    with pytest.raises(ConfigError, match=words):
        build_pretrained("lrs_masked", N_WAVE, {"n_position": 0} | MINI | options)


def test_a_flat_spectrum_is_no_nan():
    network = mini().float()
    assert torch.isfinite(network(torch.ones(2, N_WAVE))).all()


def test_an_unknown_network_is_answered_with_what_was_meant():
    with pytest.raises(ConfigError, match="masked_tiny"):
        build_pretrained("masked_tiy", N_WAVE)


@pytest.mark.slow
def test_two_steps_of_the_large_network_fit_two_gigabytes():
    """42.7 M weights, gradients and two moments are 0.68 GB; 146 tokens of 4 spectra the rest.

    Measured in a process of its own: 1.3 GB.
    """
    script = (
        "import resource, torch\n"
        "import numpy as np\n"
        "from starsmith.learners.pretrain.networks import build_pretrained\n"
        "from starsmith.learners.pretrain.recipes import load_pretraining\n"
        "from starsmith.learners.pretrain.training import PretrainStepper\n"
        "from starsmith.learners.training.batch import Batch\n"
        "network = build_pretrained('lrs_masked', 1462).train()\n"
        "recipe = load_pretraining('lrs_masked', precision='float32')\n"
        "stepper = PretrainStepper(network, recipe, torch.device('cpu'))\n"
        "torch.manual_seed(0)\n"
        "flux, hide = 1 + 0.1 * torch.randn(4, 1462), torch.rand(4, 6)\n"
        "losses = [float(stepper.take(Batch(flux, hide, None, np.arange(4)), 1e-5))"
        " for _ in range(2)]\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20\n"
        "print(*losses, peak)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second, peak = map(float, done.stdout.split())
    assert second < first
    assert peak < 2.0, f"{peak:.2f} GiB"
