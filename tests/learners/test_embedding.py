"""Vectors of spectra: doors, data sets of them, neighbours, outliers and pairs."""

import numpy as np
import pytest
import torch

from starsmith.data_contract.checks.verify import verify_dataset
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.observed import Observed
from starsmith.learners import fit, load_checkpoint
from starsmith.learners.embedding.doors import Door, open_door
from starsmith.learners.embedding.neighbours import outlier_scores, recall_at, similar_to
from starsmith.learners.embedding.vector_data import as_pixels, write_vectors
from starsmith.learners.networks.registry import create_model
from starsmith.learners.preprocess import median_normalise
from starsmith.learners.pretrain.heads import AttentionHead
from starsmith.learners.pretrain.networks import build_pretrained
from starsmith.learners.pretrain.recipes import load_pretraining
from starsmith.learners.pretrain.training import pretrain
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.transfer.low_rank import low_rank_sizes, target_weights
from starsmith.simulator import Prior, write_dataset
from tests.cli.conftest import call


@pytest.fixture(scope="module")
def world(toy_bank, tmp_path_factory):
    work = tmp_path_factory.mktemp("embedding")
    prior = Prior.default().with_ranges(mag=(17.0, 19.0))
    write_dataset(toy_bank, prior, {"train": 120, "val": 40, "test": 30}, work / "d.zarr", seed=3)
    recipe = NetworkRecipe(epochs=1, batch_size=64, options={"widths": (24, 12)})
    view = open_dataset(work / "d.zarr").training()
    fit("mlp", view, "logg", recipe, work / "mlp", device="cpu")
    fit("ridge", view, "logg", None, work / "ridge")
    return work


def test_vectors_of_a_network_are_what_its_last_layer_reads(world):
    door = open_door(world / "mlp", device="cpu")
    split = open_dataset(world / "d.zarr").split("test")
    vectors = door.of_split(split)
    assert vectors.shape == (30, 12)
    model = load_checkpoint(world / "mlp", "cpu")
    last = [m for m in model.estimator.model.modules() if hasattr(m, "in_features")][-1]
    scaled = vectors @ last.weight.detach().numpy().T + last.bias.detach().numpy()
    seen = split.observe()
    value = model.statistics.scale.to_labels(scaled[:, :1])
    assert value == pytest.approx(model.predict(seen.flux, seen.error, seen.mask)[0], abs=1e-4)
    with pytest.raises(ConfigError, match="no layers"):
        open_door(world / "ridge")
    with pytest.raises(ConfigError, match="drop --kind"):
        open_door(world / "mlp", "mean")


def test_a_data_set_of_vectors_trains_every_estimator(world, tmp_path):
    out = tmp_path / "emb.zarr"
    done = call(f"speclearn embed {world / 'mlp'} {world / 'd.zarr'} --out {out} --device cpu")
    assert done.exit_code == 0, done.output
    assert verify_dataset(out).ok
    made, source = open_dataset(out), open_dataset(world / "d.zarr")
    assert made.wave.size == 12
    assert np.array_equal(made.split("val").labels, source.split("val").labels)
    flux = made.split("test").observe().flux
    vectors = open_door(world / "mlp", device="cpu").of_split(source.split("test"))
    assert flux == pytest.approx(as_pixels(vectors), rel=1e-6)
    scaled, good = median_normalise(flux, np.zeros(flux.shape, np.uint32))
    assert good.all()
    assert scaled == pytest.approx(flux, abs=1e-6)  # estimators leave them as they are
    result = fit("ridge", made.training(), "logg", None, tmp_path / "ridge")
    assert result.metrics["val_r2"]["logg"] > 0.2


def test_the_published_mlp_on_vectors_has_1345153_parameters():
    network = create_model("mlp", ["logg"], 768, widths=(1024, 512, 64), dropout=0.0)
    assert sum(p.numel() for p in network.parameters()) == 1_345_153


def test_any_callable_is_a_door(world, tmp_path):
    """Of another package, say; what it gives is checked."""
    dataset = open_dataset(world / "d.zarr")
    door = Door(lambda flux, error, mask: flux[:, ::100] / flux.mean(1, keepdims=True), "every 100")
    write_vectors(door, dataset, tmp_path / "e.zarr", splits=("test",))
    assert open_dataset(tmp_path / "e.zarr").header.counts == {"test": 30}
    bad = Door(lambda flux, error, mask: np.full((len(flux), 2), np.nan), "nothing")
    with pytest.raises(DataError, match="not finite"):
        bad.vectors(Observed(dataset.wave, np.ones((2, dataset.wave.size))))


def test_neighbours_and_outliers_of_a_circle():
    angle = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
    circle = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(40)])
    found = similar_to(circle[[5]], circle, 3)
    assert found.rows[0, 0] == 5
    assert set(found.rows[0, 1:].tolist()) == {4, 6}
    assert found.similarity[0, 0] == pytest.approx(1.0)
    scores = outlier_scores(np.array([[0.0, 0.1, 5.0], [1.0, 0.01, 0.0]]), circle, 3)
    assert scores[0] == 1.0
    assert scores[1] < 0.5
    assert recall_at(circle, circle) == 1.0
    assert recall_at(circle, circle[::-1]) < 0.1


def test_similar_from_the_command_line(world):
    line = f"speclearn similar {world / 'mlp'} {world / 'd.zarr'} --device cpu"
    found = call(line, "--row", 3, "-k", 4)
    assert found.exit_code == 0
    assert "similarity" in found.stdout
    assert "outlier score" in found.stderr
    assert call(line).exit_code == 2
    assert call(line, "--row", 99).exit_code == 2


def test_pretrained_runs_are_doors(world, tmp_path):
    view = open_dataset(world / "d.zarr").training()
    options = {"dim": 16, "depth": 1, "n_head": 2, "patch": 8, "stride": 4, "chunk": 2}
    recipe = load_pretraining("masked_tiny", epochs=1, batch_size=60, options=options)
    pretrain("masked_tiny", view, recipe, tmp_path / "masked", device="cpu")
    door = open_door(tmp_path / "masked", device="cpu")
    assert door.of_split(open_dataset(world / "d.zarr").split("test")).shape[0] == 30
    with pytest.raises(ConfigError, match="gives token, mean"):
        open_door(tmp_path / "masked", "split", device="cpu")


def test_published_adapters_have_their_sizes():
    """LoRA 1 to 4 of the note, on the rebuilt networks; nothing is allocated."""
    with torch.device("meta"):
        masked = build_pretrained("lrs_masked", 1462)
        head = AttentionHead(768)
        mlp = create_model("mlp", ["logg"], 768, widths=(1024, 512, 64), dropout=0.0)

    def size(network, targets, rank):
        found = target_weights(network, targets)
        return low_rank_sizes([getattr(layer, name).shape for _, layer, name in found], rank)

    assert size(masked, "*q_proj,*kv_proj,*out_proj", 4) == 129_024
    assert size(mlp, "all", 8) == 31_752
    assert size(head, "mlp.encoder,mlp.decoder,*out_proj", 16) == 147_456
