"""Suites, subsets, documents, costs: the parts a benchmark is made of."""

import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.quantities import UNITS
from starsmith.fisher.ceilings.ceiling_table import StarCeiling
from starsmith.learners import fit
from starsmith.learners.benchmark.cost import cost_of, forward_flops
from starsmith.learners.benchmark.document import Document, Picture, Section, Table, write_document
from starsmith.learners.benchmark.published_values import published
from starsmith.learners.benchmark.report_tables import published_snr, speed
from starsmith.learners.benchmark.suite import list_suites, load_suite, suite_from_table
from starsmith.learners.first_spectra import first_spectra
from starsmith.learners.recipe import NetworkRecipe, RidgeRecipe

DATA = "[data.main]\nsplits = { train = 1000, val = 100, test = 100 }\n"


def suite(text):
    return suite_from_table(tomllib.loads(DATA + text), "test")


def test_every_list_is_one_run_per_entry():
    """Two models, two patches, two seeds: eight runs with names of their own."""
    found = suite(
        '[[runs]]\ntag = "patch"\nmodel = ["specvit_tiny", "overlap_vit_tiny"]\ndata = "main"\n'
        "seed = [0, 1]\n[runs.set]\noptions.patch = [16, 32]\nlearning_rate = 1e-3\n"
    ).runs

    assert len({run.id for run in found}) == 8
    assert {run.resolve(1000).options["patch"] for run in found} == {16, 32}
    assert {run.resolve(1000).seed for run in found} == {0, 1}
    assert all(run.resolve(1000).learning_rate == 1e-3 for run in found)
    assert found[0].name == "specvit_tiny (patch 16)"


def test_samples_make_equal_steps_of_unequal_sets():
    """A quarter of the spectra, four times the epochs: the optimiser takes as many steps."""
    runs = suite(
        '[[runs]]\ntag = "scaling"\nmodel = "specvit_tiny"\ndata = "main"\n'
        "n_train = [256, 1024]\nsamples = 4096\n[runs.set]\nbatch_size = 64\n"
    ).runs

    costs = [cost_of(run, 1024, 256) for run in runs]

    assert [run.resolve(1024).epochs for run in runs] == [16, 4]
    assert costs[0].steps == costs[1].steps == 64
    assert costs[0].samples == costs[1].samples == 4096


def test_fine_tuning_starts_from_the_run_of_the_same_model_and_seed():
    runs = suite(
        '[[runs]]\ntag = "pretrain"\nmodel = ["bilstm_tiny", "specvit_tiny"]\ndata = "main"\n'
        'seed = [0, 1]\n[[runs]]\ntag = "mag19"\nmodel = "specvit_tiny"\ndata = "main"\n'
        'start = "pretrain"\nseed = [0, 1]\n'
    ).runs

    assert [run.start for run in runs[4:]] == [
        "pretrain-specvit_tiny-main-s0",
        "pretrain-specvit_tiny-main-s1",
    ]


RUN = '[[runs]]\ntag = "a"\nmodel = "ridge"\ndata = "main"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"no \[runs\]"),
        (RUN.replace("ridge", "oracle"), "unknown model 'oracle'"),
        (RUN.replace('"main"', '"mist"'), "is on 'mist'"),
        (RUN + RUN, "appears twice"),
        (RUN + 'colour = "blue"\n', "unknown key.*colour"),
        (RUN.replace('tag = "a"\n', ""), "lacks tag"),
        (RUN + "[runs.set]\ndepth = 3\n", "unknown key.*depth"),
        (RUN + 'start = "b"\n', "only networks"),
        (RUN.replace("ridge", "specvit_tiny") + 'start = "b"\n', "starts from 0 runs"),
        ('targets = ["height"]\n' + RUN, "are not labels"),
    ],
)
def test_suites_that_make_no_sense_are_refused(text, says):
    targets = text.startswith("targets")
    first, rest = text.split("\n", 1) if targets else ("", text)

    with pytest.raises(ConfigError, match=says):
        suite_from_table(tomllib.loads(f"{first}\n{DATA}{rest}"), "test")


@pytest.mark.parametrize("name", list_suites())
def test_packaged_suites_can_be_run(name):
    """Every recipe resolves, and every network of them can be built."""
    found = load_suite(name)

    for run in found.runs:
        cost = cost_of(run, found.data[run.data].n_train)
        is_network = isinstance(run.resolve(found.data[run.data].n_train), NetworkRecipe)
        assert (cost.flop > 0) == is_network


@pytest.mark.parametrize(
    ("model", "gigaflop"),
    [("specvit", 2.83), ("convstem_lstm", 2.68), ("bilstm", 2.15), ("resnet18", 1.76)],
)
def test_arithmetic_of_a_forward_pass(model, gigaflop):
    """Known sums per spectrum of 4096 pixels, multiplication and addition counted apart."""
    assert forward_flops(model, 4096)[0] / 1e9 == pytest.approx(gigaflop, abs=0.005)


def test_a_subset_is_the_first_rows_and_says_so(line_data):
    """Labels, fluxes and noise of the first rows; another digest; validation untouched."""
    view = line_data.training()

    few = first_spectra(view, 100)

    assert len(few.train) == 100
    assert len(few.val) == len(view.val)
    assert few.digest != view.digest
    np.testing.assert_array_equal(few.train.observe().flux, view.train.observe(slice(0, 100)).flux)
    np.testing.assert_array_equal(
        few.train.observe(np.array([5, 3]), epoch=2).flux,
        view.train.observe(np.array([5, 3]), epoch=2).flux,
    )
    assert first_spectra(view, len(view.train)) is view
    with pytest.raises(ConfigError, match="the data set has"):
        first_spectra(view, 10**6)


def test_a_model_trains_on_a_subset(line_data, tmp_path):
    result = fit("ridge", first_spectra(line_data.training(), 200), "logg", RidgeRecipe(), tmp_path)

    assert 0.2 < result.metrics["val_r2"]["logg"] < 1.0


class Outside(HTMLParser):
    """Collects whatever a page would fetch, and its balance of tags."""

    def __init__(self):
        super().__init__()
        self.fetched, self.open = [], []

    def handle_starttag(self, tag, attrs):
        named = [value for key, value in attrs if key in ("src", "href")]
        self.fetched += [value for value in named if not value.startswith(("#", "data:"))]
        self.fetched += [tag] if tag in ("script", "link", "iframe") else []
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_html_report_needs_nothing_but_a_browser(tmp_path):
    """Pictures are inside, nothing is fetched, tags balance, dangerous texts are escaped."""
    figure = Figure(figsize=(1, 1))
    document = Document(
        title="A <b> title",
        command="run & report",
        notice="TOY",
        facts={"machine": "this one"},
        sections=[
            Section(
                "One",
                [
                    "text < text",
                    Table([{"name": "a|b", "R²": 0.5, "n": None, "x": float("nan")}], "a note"),
                    Picture("dot", "a caption", figure),
                ],
            )
        ],
    )

    write_document(document, tmp_path)
    page, text = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    reader = Outside()
    reader.feed(page)

    assert text == (Path(__file__).parent / "golden_report.txt").read_text()
    assert reader.fetched == []
    assert reader.open == []
    assert "A &lt;b&gt; title" in page
    assert len(re.findall(r"data:image/png;base64,[A-Za-z0-9+/]{100}", page)) == 1
    assert "![a caption](figures/dot.png)" in text
    assert "| a\\|b | 0.500 | - | - |" in text
    assert (tmp_path / "figures" / "dot.png").stat().st_size > 100


def test_the_report_begins_with_what_was_found(tmp_path):
    """Conclusion before sections, alt text of its own, captions, dark scheme, sortable tables."""
    picture = Picture("dot", "a caption", Figure(figsize=(1, 1)), "one dot in the middle")
    table = Table([{"model": "ridge", "R²": 0.5}], "scope of the table")
    found = ("ridge does best.", "No model stands above the ceiling.")
    document = Document("T", "run", "", {}, [Section("One", [table, picture])], found)

    write_document(document, tmp_path)
    page, text = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()

    assert page.index("ridge does best.") < page.index("<h2") < page.index("How it was made</h2>")
    assert text.index("**ridge does best.**") < text.index("## One")
    assert 'alt="one dot in the middle"' in page
    assert "<caption>scope of the table</caption>" in page
    assert "prefers-color-scheme: dark" in page
    assert "aria-sort" in page
    assert "<script" not in page


def test_a_rate_below_the_scatter_of_its_timing_is_not_told():
    """Prediction less observation is a difference of two times: it may be nothing."""
    times = {"n_test": 2000, "samples": 100, "train_seconds": 5.0, "predict_seconds": 2.0}
    runs = [
        SimpleNamespace(name=name, published="", record=times | {"observe_seconds": seconds})
        for name, seconds in (("fast", 1.9), ("slow", 1.0), ("none", 2.1))
    ]

    rows = {row["model"]: row for row in speed(SimpleNamespace(main=runs))}

    assert [rows[name]["prediction, spectra/s"] for name in rows] == [None, 2000, None]
    assert {row["with drawing noise"] for row in rows.values()} == {1000}


def test_published_tables_are_consistent():
    """Values that the paper prints in two places agree."""
    table = published()

    assert table["table_3"]["specvit"]["r2"] == table["table_10"]["specvit"]["200000"]
    assert table["table_3"]["bilstm"]["r2"] == table["table_12"]["bilstm"]["own"]
    assert table["table_3"]["template"]["r2"] == table["appendix_h"]["logg"]["r2"]
    assert table["table_9"]["r2"] == table["table_10"]["specvit"]["1000000"]
    assert set(table["remarks"]) <= set(table)


def test_table_13_stands_beside_ours_by_magnitude():
    """Stars within a quarter of a magnitude; none at 20, where nothing is said of ours."""
    rng = np.random.default_rng(1)
    n = 300
    mag, truth = rng.uniform(21.0, 22.5, n), rng.uniform(1.0, 5.0, n)
    mean, var, snr = truth + 0.3 * rng.normal(size=n), np.full(n, 0.09), np.full(n, 5.0)
    arrays = {"index": np.arange(n), "snr": snr, "mag": mag}
    stars = StarCeiling(
        seed=0, split="test", label=truth, sigma2=var, mean=mean, var=var, ess=snr, **arrays
    )
    ours = Predictions(
        split="test", seed=0, labels=("logg",), units=(UNITS["logg"],), truth=truth[:, None],
        value=mean[:, None], uncertainty=None, model="m", dataset="d", notice="", **arrays,
    )  # fmt: skip

    bright, *_, last = published_snr(stars, "logg", {"m": ours})

    assert (bright["magnitude"], bright["published S/N"], bright["published specvit"]) == (
        20,
        24,
        0.9,
    )
    assert (bright["our stars"], bright["m"], bright["posterior_mean"]) == (0, "-", "-")
    near = mag >= 22.25
    assert last["our stars"] == near.sum()
    r2 = 1.0 - np.mean((mean - truth)[near] ** 2) / truth[near].var()
    assert last["m"] == f"{r2:.3f}"
    assert last["posterior_mean"] == f"{1.0 - 0.09 / truth[near].var():.3f}"
