"""Public SpecCLIP weights: files made in their layout, as runs of ours."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from starsmith.learners.checkpoint import verify_checkpoint
from starsmith.learners.pretrain.encoder import open_encoder
from starsmith.learners.pretrain.networks import build_pair, build_pretrained
from starsmith.learners.pretrain.public_weights import LRS_WAVE, PAIRED, XP_WAVE, import_specclip
from tests.cli.conftest import call

LRS = {"dim": 12, "depth": 2, "n_head": 6, "patch": 20, "stride": 10, "n_position": 150}
XP = {"width": 16, "dim": 12, "depth": 2, "expand": 3}


def numbers(module, seed=0):
    """Random tensors of a network, by its names."""
    rng = np.random.default_rng(seed)
    return {
        name: np.abs(rng.normal(size=tuple(value.shape))).astype(np.float32) * 0.3
        if value.is_floating_point()
        else value.numpy()
        for name, value in module.state_dict().items()
    }


def public(tensors):
    """Tensors of an aligned pair under the names that its source has."""
    back = {own: theirs for theirs, own in PAIRED.items()}
    kept = {}
    for name, value in tensors.items():
        begin = next((own for own in back if name.startswith(own)), None)
        if begin is not None:
            kept[back[begin] + name.removeprefix(begin)] = value
    return kept


def test_a_transformer_is_read_with_attention_scaled_twice(tmp_path):
    network = build_pretrained("lrs_masked", 1462, LRS | {"double_scale": True})
    tensors = numbers(network)
    save_file(tensors, tmp_path / "lrs.safetensors")
    done = call(f"speclearn import specclip {tmp_path / 'lrs.safetensors'} --out {tmp_path / 'l'}")
    assert done.exit_code == 0, done.output
    assert verify_checkpoint(tmp_path / "l").ok
    encoder = open_encoder(tmp_path / "l", device="cpu")
    assert encoder.statistics.wave == pytest.approx(LRS_WAVE)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    flux = np.random.default_rng(1).uniform(0.5, 1.5, (3, 1462)).astype(np.float32)
    flux /= np.median(flux, axis=1, keepdims=True)
    with torch.no_grad():
        wanted = network.eval().embed(torch.from_numpy(flux)).numpy()
    assert encoder.encode(flux) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("variant", ["base", "split", "pr"])
def test_aligned_pairs_are_read(tmp_path, variant):
    parts = (
        build_pretrained("lrs_masked", 1462, LRS | {"double_scale": True}),
        build_pretrained("xp_autoencoder", 343, XP),
    )
    pair = build_pair(parts, variant, {"dim": 12, "n_head": 4})
    tensors = numbers(pair)
    save_file(public(tensors), tmp_path / "pair.safetensors")
    card = import_specclip(tmp_path / "pair.safetensors", tmp_path / "pair")
    assert card["model"] == variant
    encoder = open_encoder(tmp_path / "pair", "second", device="cpu")
    assert encoder.statistics.wave == pytest.approx(XP_WAVE)
    name = "second.head.mlp.encoder.weight"
    name = name if variant != "split" else "second.head.shared_mlp.encoder.weight"
    assert encoder.pair.state_dict()[name].numpy() == pytest.approx(tensors[name])
    assert encoder.encode(np.ones((2, 343), np.float32)).shape == (2, 12)


def test_an_autoencoder_is_read(tmp_path):
    save_file(numbers(build_pretrained("xp_autoencoder", 343, XP)), tmp_path / "xp.safetensors")
    assert import_specclip(tmp_path / "xp.safetensors", tmp_path / "xp")["options"] == XP


def test_what_is_no_such_file_is_refused_in_a_line(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "m.ckpt")
    refused = call(f"speclearn import specclip {tmp_path / 'm.ckpt'} --out {tmp_path / 'no'}")
    assert refused.exit_code == 2
    for part in ("a pickle", 'torch.load("', "save_file"):
        assert part in refused.stderr
    tensors = numbers(build_pretrained("lrs_masked", 1462, LRS))
    tensors.pop("blocks.1.ln1.bias")
    save_file(tensors | {"more": np.ones(2, np.float32)}, tmp_path / "less.safetensors")
    line = f"speclearn import specclip {tmp_path / 'less.safetensors'} --out {tmp_path / 'no'}"
    refused = call(line)
    assert refused.exit_code == 2
    assert "blocks.1.ln1.bias is missing; more is unknown" in refused.stderr
    save_file({"a": np.ones(2, np.float32)}, tmp_path / "a.safetensors")
    refused = call(
        f"speclearn import specclip {tmp_path / 'a.safetensors'} --out {tmp_path / 'no'}"
    )
    assert "no SpecCLIP model" in refused.stderr
    assert not (tmp_path / "no").exists()
