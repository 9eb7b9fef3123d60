"""Pretraining that goes on without labels: low-rank changes of a run, on other spectra."""

import dataclasses

import numpy as np
import pytest
import torch

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.pretrain import training
from starsmith.learners.pretrain.continued import brought
from starsmith.learners.pretrain.encoder import open_encoder
from starsmith.learners.pretrain.networks import (
    add_changes,
    build_pair,
    build_pretrained,
    merge_changes,
)
from starsmith.learners.pretrain.training import align, pretrain
from starsmith.learners.recipe import recipe_to_table
from tests.cli.conftest import call
from tests.learners.test_pretrain import ENCODER, MASKED, PAIR, data, weights


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A masked network, an autoencoder and a pair of them."""
    folder = tmp_path_factory.mktemp("begun")
    torch.set_num_threads(1)
    short = {"epochs": 1}
    for name, recipe in (("masked", MASKED), ("autoencoder", ENCODER)):
        recipe = dataclasses.replace(recipe, **short)
        pretrain(f"{name}_tiny", data(), recipe, folder / name, device="cpu")
    both = folder / "masked", folder / "autoencoder"
    recipe = dataclasses.replace(PAIR, **short)
    align("base", both, (data(), data()), recipe, folder / "pair", device="cpu")
    return folder


def going_on(runs, name="masked", recipe=MASKED, **keys):
    wanted = {"initial": str(runs / name), "rank": 2, "epochs": 2, "options": {}} | keys
    return dataclasses.replace(recipe, **wanted)


def target():
    """Noisier spectra of other stars, 60 of them."""
    return brought(data(0.4, seed=3), None, n=60, seed=1)


@pytest.mark.slow
def test_sizes_are_those_of_the_lora_note():
    """LoRA1: 129,024; LoRA3: 147,456, of the published sizes, without memory for their weights."""
    with torch.device("meta"):
        lrs = build_pretrained("lrs_masked", 1462)
        pair = build_pair((lrs, build_pretrained("xp_autoencoder", 343)), "base")
        add_changes(lrs, 4)
        assert sum(p.numel() for p in lrs.parameters() if p.requires_grad) == 129_024
        add_changes(pair, 16)
    changed = {n: p.numel() for n, p in pair.named_parameters() if p.requires_grad}
    assert sum(changed.values()) == 147_456
    assert all(name.startswith("first.head.") for name in changed)


def test_changes_merge_to_plain_weights():
    network = add_changes(build_pretrained("masked_tiny", 1024), 2)
    flux = torch.randn(3, 1024)
    for name, value in network.named_parameters():
        if name.endswith(".B"):
            torch.nn.init.normal_(value)
    before = network.embed(flux)
    names = set(build_pretrained("masked_tiny", 1024).state_dict())
    assert set(merge_changes(network).state_dict()) == names
    torch.testing.assert_close(network.embed(flux), before)


def test_a_run_goes_on_without_labels_and_after_a_kill(runs, tmp_path, monkeypatch):
    """Attention alone moves; the scales of the input stay; a killed run ends the same."""
    recipe = going_on(runs)
    result = pretrain("masked_tiny", target(), recipe, tmp_path / "whole", device="cpu")
    begun, found = (open_encoder(f, device="cpu") for f in (runs / "masked", result.path))
    assert found.card["n_parameters"] == 2 * (16 + 16 + 16 + 32 + 16 + 16)
    assert found.card["dataset"]["n_train"] == 60
    np.testing.assert_array_equal(
        found.statistics.normaliser.mean, begun.statistics.normaliser.mean
    )
    old, new = begun.network.state_dict(), found.network.state_dict()
    moved = {name for name in old if not torch.equal(old[name], new[name])}
    assert moved == {f"blocks.0.attention.{p}_proj.weight" for p in ("q", "kv", "out")}
    whole, calls = training.score, []

    def dies(session):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(session)

    monkeypatch.setattr(training, "score", dies)
    with pytest.raises(KeyboardInterrupt):
        pretrain("masked_tiny", target(), recipe, tmp_path / "run", device="cpu")
    monkeypatch.setattr(training, "score", whole)
    pretrain("masked_tiny", target(), recipe, tmp_path / "run", device="cpu")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_a_pair_goes_on_with_pairs_of_another_survey(runs, tmp_path):
    """LoRA3: the first head alone moves, with backbones that themselves went on."""
    changed = pretrain("masked_tiny", target(), going_on(runs), tmp_path / "m", device="cpu").path
    recipe = going_on(runs, "pair", PAIR, epochs=1)
    both = changed, runs / "autoencoder"
    align("base", both, (target(), target()), recipe, tmp_path / "p", device="cpu")
    old, new = (open_encoder(f, device="cpu") for f in (runs / "pair", tmp_path / "p"))
    states = old.pair.state_dict(), new.pair.state_dict()
    moved = {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}
    heads = {name for name in moved if name.startswith("first.head.")}
    assert len(heads) == 3  # two layers of the MLP, and the output of the attention
    assert {n for n in moved - heads} == {
        f"first.backbone.blocks.0.attention.{p}_proj.weight" for p in ("q", "kv", "out")
    }


def test_a_recipe_without_changes_is_as_it_was():
    assert not {"rank", "alpha", "targets"} & set(recipe_to_table(MASKED))
    assert recipe_to_table(dataclasses.replace(MASKED, initial="x", rank=4))["rank"] == 4


def test_what_does_not_fit_is_refused(runs, tmp_path):
    with pytest.raises(ConfigError, match="not of 'masked_small'"):
        pretrain("masked_small", target(), going_on(runs), tmp_path / "a", device="cpu")
    other = going_on(runs, options={"dim": 32})
    with pytest.raises(ConfigError, match="goes on with them"):
        pretrain("masked_tiny", target(), other, tmp_path / "a", device="cpu")
    with pytest.raises(ConfigError, match="no such layer"):
        pretrain("masked_tiny", target(), going_on(runs, targets="lstm"), tmp_path / "a")
    with pytest.raises(ConfigError, match="names no run"):
        dataclasses.replace(MASKED, rank=2)
    with pytest.raises(ConfigError, match="--n 400"):
        brought(data(), None, n=400)
    for line, words in (
        (f"masked {runs} --lora 2", "name it with --initial"),
        (f"masked {runs} --initial {runs / 'masked'} --targets all", "give its rank"),
        (f"masked {runs} --wave-map interpolate", "name it"),
        (f"masked {runs} --initial {runs / 'pair'}", "masked_tiny"),
        (f"masked {runs} --initial {runs}", "no checkpoint"),
    ):
        done = call(f"speclearn pretrain {line}")
        assert done.exit_code == 2, line
        assert words in done.output, done.output
