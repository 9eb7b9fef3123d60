"""Each switch of ``[published]`` alone: it changes what it says, and nothing else."""

import json
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
import torch

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import ConfigError
from starsmith.learners import fit, load_checkpoint, load_recipe
from starsmith.learners.export import LabelModel
from starsmith.learners.online.online_view import open_online
from starsmith.learners.published import AS_PUBLISHED, Published
from starsmith.learners.recipe import NetworkRecipe, recipe_to_table
from starsmith.learners.train import plan
from starsmith.learners.training.aside import Aside
from starsmith.learners.training.feeds import open_feed
from starsmith.learners.training.optimise import learning_rate
from starsmith.learners.training.session import open_session
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.prior import Prior

SMALL = {"patch": 20, "dim": 16, "depth": 1, "n_head": 2, "tokenizer": "unfold"}
RECIPE = NetworkRecipe(epochs=3, batch_size=16, warmup=0.0, weight_decay=0.1, options=SMALL)

SWITCHES = {
    "initial_spread": (1.0, {"encoder.summary", "encoder.positions"}),
    "library_tokenizer": (True, {"tokenizer.embed.weight"}),
    "decay_all": (True, {"decayed"}),
    "epoch_cosine": (True, {"rates"}),
    "unscaled": (True, {"input", "mean", "std"}),
    "clip": (True, {"input", "floor"}),
    "noise_level": (2.0, {"input"}),
    "template_pool": (32, {"rates", "rows", "input", "mean", "std", "label"}),
    "shards": (2, {"rows", "input"}),
}


@pytest.fixture(scope="module")
def data(toy_bank, tmp_path_factory):
    """Faint stars: noise takes some pixels below zero."""
    path = tmp_path_factory.mktemp("published") / "data.zarr"
    prior = Prior.default().with_ranges(mag=(23.0, 23.5))
    write_dataset(toy_bank, prior, {"train": 64, "val": 32, "test": 8}, path, 0)
    return open_dataset(path)


def trace(data, switches):
    """Everything that decides a training, by name."""
    recipe = replace(RECIPE, published=switches)
    task = plan("specvit_tiny", data.training(), "m_h", recipe, "nowhere", None, "cpu")
    with Aside(torch.device("cpu")) as aside:
        session = open_session(task, aside)
        batches = list(session.feed.batches(1))
    found = {name: p.detach().numpy() for name, p in session.stepper.network.named_parameters()}
    groups = session.stepper.optimizer.param_groups
    return found | {
        "decayed": sum(len(g["params"]) for g in groups if g["weight_decay"]),
        "rates": [learning_rate(recipe, k, session.n_step) for k in range(session.n_step)],
        "mean": session.statistics.normaliser.mean,
        "std": session.statistics.normaliser.std,
        "floor": session.statistics.normaliser.floor,
        "label": session.statistics.scale.mean,
        "rows": np.concatenate([batch.rows for batch in batches]),
        "input": np.concatenate([batch.flux.numpy() for batch in batches]),
    }


@pytest.fixture(scope="module")
def ours(data):
    return trace(data, Published())


@pytest.mark.parametrize("key", SWITCHES)
def test_a_switch_changes_what_it_says_and_nothing_else(data, ours, key):
    value, expected = SWITCHES[key]
    found = trace(data, Published(**{key: value}))
    assert found.keys() == ours.keys()
    assert {name for name in ours if not np.array_equal(ours[name], found[name])} == expected


def test_every_switch_is_tested():
    assert set(SWITCHES) == {f.name for f in fields(Published)}


def test_start_scaling_and_clipping_are_those_published(data, ours):
    found = trace(data, replace(AS_PUBLISHED, shards=1, template_pool=0))
    assert found["encoder.positions"].std() == pytest.approx(1.0, rel=0.2)
    assert ours["encoder.positions"].std() == pytest.approx(0.02, rel=0.2)
    assert found["tokenizer.embed.weight"].std() == pytest.approx(0.02, rel=0.2)
    assert np.median(found["input"], axis=1) == pytest.approx(0.5, abs=1e-6)
    assert found["input"].min() == 0.0
    assert found["decayed"] > ours["decayed"]


def test_noise_is_multiplied_by_alpha_about_the_noiseless_flux(data):
    """Twice the noise is as far again from once as once is from none."""
    switches = Published(unscaled=True)
    parts = []
    for level in (0.0, 1.0, 2.0):
        recipe = replace(RECIPE, published=replace(switches, noise_level=level))
        task = plan("specvit_tiny", data.training(), "m_h", recipe, "nowhere", None, "cpu")
        with Aside(torch.device("cpu")) as aside:
            session = open_session(task, aside)
            feeds = [session.feed]
            labels, share = task.labels, session.share
            feeds.append(
                open_feed(task.view, labels, session.statistics, recipe, share, session.device, 0)
            )
            seen = [next(iter(feed.batches(1))).flux for feed in feeds]
        torch.testing.assert_close(*seen)  # resident and streamed
        parts.append(seen[0])
    scatter = [(part - parts[0]).std().item() for part in parts]
    assert scatter[2] == pytest.approx(2 * scatter[1], rel=0.1)  # the median follows the noise
    assert scatter[1] > 0


def test_the_rate_is_that_of_torch_with_a_cosine_of_all_epochs():
    recipe = replace(RECIPE, epochs=5, published=Published(epoch_cosine=True))
    weights = torch.nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(weights.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=5, eta_min=recipe.learning_rate_min
    )
    for epoch in range(5):
        expected = optimizer.param_groups[0]["lr"]
        for step in range(7):
            found = learning_rate(recipe, 7 * epoch + step, 35)
            assert found == pytest.approx(expected, rel=1e-9)
        optimizer.step()
        schedule.step()


def test_no_batch_has_stars_of_two_shards(data):
    rows = trace(data, Published(shards=4))["rows"].reshape(4, 16)
    assert sorted(set(batch // 16).pop() for batch in rows) == [0, 1, 2, 3]
    assert all(len(set(batch // 16)) == 1 for batch in rows)
    assert sorted(rows.ravel()) == list(range(64))


def test_a_pool_of_stars_drawn_online_comes_again_under_other_noise(toy_bank):
    prior = Prior.default().with_ranges(mag=(18.0, 19.0))
    view = open_online(toy_bank, prior.ranges, seed=3, n_val=60, n_statistics=100)
    recipe = replace(RECIPE, epoch_size=32, published=Published(template_pool=32))
    task = plan("specvit_tiny", view, "m_h", recipe, "nowhere", None, "cpu")
    with Aside(torch.device("cpu")) as aside:
        feed = open_session(task, aside).feed
        stars, flux, truth = [], [], []
        for epoch in (1, 2):
            batches = list(feed.batches(epoch))
            rows = np.concatenate([batch.rows for batch in batches])
            order = np.argsort(rows)
            stars.append(rows[order])
            truth.append(torch.cat([batch.truth for batch in batches])[order])
            flux.append(torch.cat([batch.flux for batch in batches])[order])
    assert np.array_equal(*stars)
    assert torch.equal(*truth)
    assert not torch.equal(*flux)


def test_switches_are_keys_of_a_recipe_and_of_the_card(data, tmp_path):
    recipe = load_recipe("specvit_tiny", published=True, epochs=1, batch_size=8, options=SMALL)
    assert recipe.published == AS_PUBLISHED
    fit("specvit_tiny", data.training(), "m_h", recipe, tmp_path / "run")
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["recipe"]["published"] == asdict(AS_PUBLISHED)
    assert "clipped at 0; halved" in card["normalisation"]
    assert "[published]\ninitial_spread = 1.0" in (tmp_path / "run" / "recipe.toml").read_text()
    again = load_recipe(tmp_path / "run" / "recipe.toml", published={"clip": False})
    assert again.published == replace(AS_PUBLISHED, clip=False)
    predictor = load_checkpoint(tmp_path / "run")
    assert predictor.statistics.normaliser.floor == 0.0
    seen = data.split("test").observe()
    exported = LabelModel(predictor)(torch.from_numpy(seen.flux), torch.from_numpy(seen.mask > 0))
    expected, _ = predictor.predict(seen.flux, mask=seen.mask)
    np.testing.assert_allclose(exported[0].detach(), expected, rtol=1e-4, atol=1e-5)


def test_off_a_recipe_is_what_it_was_before_there_were_switches():
    assert "published" not in recipe_to_table(RECIPE)


@pytest.mark.parametrize(
    ("model", "table", "message"),
    [
        ("specvit", {"decay_al": True}, r"unknown key\(s\) decay_al; \[published\] knows clip"),
        ("specvit", {"clip": 1}, "clip = 1 is a int; expected a bool"),
        ("specvit", {"noise_level": -1.0}, "published.noise_level = -1.0; expected 0 or more"),
        ("specvit", {"shards": 0}, "published.shards = 0; expected 1 or more"),
        ("ridge", {"clip": True}, "unknown key.*published; a ridge recipe knows"),
    ],
)
def test_what_is_not_understood_is_named(model, table, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe(model, published=table)


def test_shards_that_hold_no_batch_are_refused(data, tmp_path):
    recipe = replace(RECIPE, published=Published(shards=5))
    with pytest.raises(ConfigError, match=r"published.shards = 5: 64 spectra do not fill"):
        fit("specvit_tiny", data.training(), "m_h", recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
