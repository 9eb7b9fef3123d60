"""`speclearn bench embeddings`: what readers find in vectors, beside the ceiling."""

import json
from dataclasses import replace

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.observed import Observed
from starsmith.learners.benchmark.embeddings import run
from starsmith.learners.benchmark.embeddings.makers import Makers
from starsmith.learners.benchmark.embeddings.report import gain_rows, score_rows, write_report
from starsmith.learners.benchmark.embeddings.run import read_vectors, run_embeddings
from starsmith.learners.benchmark.embeddings.suite import (
    EmbeddingSuite,
    list_embeddings,
    load_embeddings,
)
from starsmith.learners.benchmark.lab_cells import LabTarget
from starsmith.learners.embedding.doors import function_door
from starsmith.learners.transfer.samples import white_noise
from tests.cli.conftest import call
from tests.learners.test_lab import write_toy_grid
from tests.learners.test_real_stars import toy_sample
from tests.simulator.test_domains import SURVEY

SUITE = EmbeddingSuite(
    name="toy", embeddings=("pca-6", "basis-6", "pixels"), readers=("ridge",), n=(60,), draws=2
)


class ToyWorld:
    """Stars with a line for each label; the truth is its own ceiling."""

    def source(self, survey=None):
        noise = white_noise(50, 200, 0)
        return toy_sample(150, 1, noise=noise), toy_sample(20, 2, noise=noise)

    def target(self, g):
        noise = white_noise(50, 200, 1)
        samples = tuple(toy_sample(n, 20 + n, noise=noise) for n in (120, 1, 60))
        truth = samples[2].labels
        card = {"survey": {"wave": [5000.0, 5059.0], "n_wave": 60}, "notice": "TOY"}
        return LabTarget.of_samples(samples, truth, (truth, truth), np.full(60, 100.0), card)


@pytest.fixture
def own_encoder(tmp_path, monkeypatch):
    """A function in a module of a user's own."""
    (tmp_path / "toy_encoder.py").write_text(
        "import numpy as np\n"
        "def lines(wave, flux, error, mask):\n"
        "    '''Depths of three lines.'''\n"
        "    near = np.abs(wave[:, None] - [5012.0, 5030.0, 5048.0]) < 3\n"
        "    return flux @ near / 5\n"
        "WORD = 'no function'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "toy_encoder:lines"


def test_cells_are_read_once_and_others_encoders_are_judged_too(tmp_path, own_encoder, monkeypatch):
    """Six components hold three lines; so does a user's function, under the same ceiling."""
    cells = run_embeddings(SUITE, tmp_path / "e", ToyWorld(), "cpu")
    assert len(cells) == 6
    rows = score_rows(cells)
    assert all(row["low"] <= row["r2"] <= row["high"] for row in rows)
    assert all(row["r2_ceiling"] == 1.0 for row in rows)
    assert min(row["r2"] for row in rows if row["embedding"] == "pca-6") > 0.9
    more = replace(SUITE, embeddings=(*SUITE.embeddings, own_encoder))
    first = run.Vectors.of
    monkeypatch.setattr(run.Vectors, "of", lambda door, target: first(door, target))
    cells = run_embeddings(more, tmp_path / "e", ToyWorld(), "cpu")  # a folder takes more of them
    own = [row for row in score_rows(cells) if row["embedding"] == own_encoder]
    assert len(own) == 3
    assert min(row["ratio"] for row in own) > 0.9
    assert {row["dim"] for row in own} == {3}
    monkeypatch.setattr(run, "Makers", None)
    assert run_embeddings(more, tmp_path / "e", ToyWorld(), "cpu") == cells
    with pytest.raises(DataError, match="holds another suite"):
        run_embeddings(replace(SUITE, n_test=7), tmp_path / "e", ToyWorld(), "cpu")
    page = write_report(more, tmp_path / "e", cells).read_text()
    assert "exact posterior" in page
    assert "**TOY**" in page


def test_gain_is_over_a_plain_network_on_pixels():
    """Of stars both have, paired: a reader that is the truth gains what the network lacks."""
    truth = np.random.default_rng(0).normal(size=(200, 1))
    worse = truth + np.random.default_rng(1).normal(size=(200, 1))

    def cell(embedding, reader, value):
        told = {"embedding": embedding, "reader": reader, "n": 10, "draw": 0}
        found = {"truth": truth, "ceiling": truth, "value": value}
        return {"cell": told, "labels": ["x"], "vectors": {"dim": 1}} | found

    (row,) = gain_rows([cell("pixels", "mlp", worse), cell("mine", "ridge", truth)])
    lack = np.mean((worse - truth) ** 2) / truth.var()
    assert row["ΔR2 x"].startswith(f"{lack:+.3f} (")
    assert gain_rows([cell("mine", "ridge", truth)]) == []


@pytest.mark.parametrize("reader", [pytest.param("mlp", marks=pytest.mark.slow), "lightgbm"])
def test_readers_of_few_stars(reader):
    labels = np.random.default_rng(0).uniform((4000, 1), (6000, 5), (80, 2))
    vectors = np.column_stack([labels / (1000, 1), np.zeros(80)]).astype(np.float32)
    value = read_vectors(reader, vectors, labels, vectors, ("teff", "logg"), 12, 0, "cpu")
    left = np.mean((value - labels) ** 2, axis=0) / labels.var(axis=0)
    assert value.shape == labels.shape
    assert left.max() < 0.9  # of a network after 12 short epochs; trees have 0.2


def test_the_basis_weighs_pixels_by_their_noise(tmp_path):
    """Its rows are orthonormal after the weights: amplitudes of a template restore it."""
    makers = Makers(SUITE, tmp_path, ToyWorld(), "cpu", lambda text: None)
    seen = makers.stars[0].observe()
    door = makers.door("basis-6")
    short = door.vectors(Observed(seen.wave, makers.stars[0].flux, seen.error, seen.mask))
    assert short.shape == (150, 6)
    level = np.linalg.lstsq(short, makers.templates, rcond=None)
    assert np.sqrt(level[1] / 150).max() < 0.01  # three labels and a median: four directions
    with pytest.raises(ConfigError, match="60 components at most"):
        makers.door("pca-61")


def test_wrong_encoders_and_suites_are_refused(own_encoder, tmp_path):
    with pytest.raises(ConfigError, match="PYTHONPATH"):
        function_door("no_such_module:encode")
    with pytest.raises(ConfigError, match="expected package"):
        function_door("toy_encoder:depths")
    with pytest.raises(ConfigError, match="is no function"):
        function_door("toy_encoder:WORD")
    with pytest.raises(ConfigError, match="embedding 'colour'"):
        EmbeddingSuite(embeddings=("colour",))
    with pytest.raises(ConfigError, match="readers"):
        EmbeddingSuite(readers=("oracle",))
    with pytest.raises(ConfigError, match="10 stars or more"):
        EmbeddingSuite(n=(3,))
    assert list_embeddings() == ["ci", "default"]
    assert load_embeddings("default").n == (100, 500, 2000)
    done = call("speclearn bench embeddings --suite ci --report-only --out", tmp_path / "none")
    assert done.exit_code == 2
    assert "no finished cell" in done.output
    done = call("speclearn bench embeddings --suite ci --encoder absent:f --out", tmp_path / "x")
    assert done.exit_code == 2
    assert "encoder absent:f: No module named" in done.output
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_the_command_pretrains_aligns_and_reports(tmp_path, own_encoder):
    """Every kind of embedding on a toy grid and survey, with the exact posterior beside."""
    write_toy_grid(tmp_path / "a.zarr")
    (tmp_path / "toy.toml").write_text(SURVEY.replace("count = 56", "count = 60"))
    survey = tmp_path / "toy.toml"
    (tmp_path / "suite.toml").write_text(
        f'survey = "{survey}"\nsecond = "{survey}"\nreaders = ["ridge"]\nn = [60]\ndraws = 1\n'
        "n_source = 200\nn_test = 20\nepochs = 1\n"
        'embeddings = ["masked.mean", "aligned.split", "pixels"]\ndim = 48\n'
        "patch = 4\n"
    )
    words = ("--suite", tmp_path / "suite.toml", "--grid", tmp_path / "a.zarr", "--json")
    words += ("--out", tmp_path / "e", "--encoder", "toy_encoder:lines", "--device", "cpu")
    done = call("speclearn bench embeddings", *words)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert {row["embedding"] for row in rows} >= {"aligned.split", "toy_encoder:lines"}
    assert (tmp_path / "e" / "embeddings.png").is_file()
