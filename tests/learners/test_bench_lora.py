"""`speclearn bench lora_specclip`: the LoRA note where the ceiling is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.benchmark.exhibits.tables import published
from starsmith.learners.benchmark.lora_specclip.report import arm_rows, note_sizes, wide_rows
from starsmith.learners.benchmark.lora_specclip.suite import (
    ARMS,
    LoraSuite,
    cell_file,
    list_loras,
    load_lora,
)
from tests.cli.conftest import call
from tests.learners.test_lab import write_toy_grid
from tests.simulator.test_domains import SURVEY

SUITE = """
survey = "{survey}"
second = "{survey}"
target = "{survey}"
arms = ["MLP1, zero-shot", "LoRA1+2", "LoRA1+3+4", "pixels, scratch"]
n_source = 200
n_test = 30
n = 40
n_unlabelled = 40
patch = 4
epochs = 1
mlp_epochs = 2
change_epochs = 1
tune_epochs = 2
rates = [1e-3]
seeds = 1
dim = 48
widths = [16]
"""


@pytest.mark.slow
def test_sizes_at_the_published_networks_are_the_notes():
    sizes = {"LoRA1": 129_024, "LoRA2": 31_752, "LoRA3": 147_456, "LoRA4": 31_752}
    assert note_sizes() == sizes


def test_suites_have_the_notes_stars_and_arms():
    assert list_loras() == ["ci", "default"]
    suite = load_lora("default")
    assert (suite.n, suite.n_val, suite.n_test, suite.n_unlabelled) == (89, 9, 396, 164)
    assert set(published()["lora"]) <= set(ARMS)
    assert len(suite.cells) == 3 * len(ARMS) - 2 * 3  # zero-shot has one seed
    assert suite.plan(ARMS["LoRA4"], 0).strategy.targets == "all"
    assert len({cell_file(Path("l"), cell) for cell in suite.cells}) == len(suite.cells)
    with pytest.raises(ConfigError, match="arms"):
        LoraSuite(arms=("LoRA5",))
    with pytest.raises(ConfigError, match="must not be empty"):
        LoraSuite(n_unlabelled=0)


def test_rows_hold_the_arm_against_the_ceiling():
    """An arm that is the truth has all of the ceiling; groups of few stars are left out."""
    truth = np.linspace(-2.0, 0.5, 40)[:, None]
    zeros = np.zeros((40, 1))
    cell = {
        "cell": {"g": 0.5, "n": 89, "strategy": "pixels, scratch", "seed": 0},
        "parameters": {"n_trainable": 7},
        "labels": ["m_h"],
        "truth": truth,
        "value": truth,
        "ceiling": truth,
        "free": zeros,
        "pipeline": truth,
    }
    rows = arm_rows([cell], {"LoRA1": 1, "LoRA3": 2})
    assert [row["group"] for row in rows] == ["all", "rich"]
    assert rows[0]["r2"] == rows[0]["ratio"] == 1.0
    assert rows[0]["learned"] == 7
    (line,) = wide_rows(rows)
    assert line["note R2"] is None


@pytest.mark.slow
def test_the_command_changes_networks_without_labels_and_goes_on(tmp_path):
    write_toy_grid(tmp_path / "a.zarr")
    write_toy_grid(tmp_path / "b.zarr", power=0.3)
    (tmp_path / "toy.toml").write_text(SURVEY.replace("count = 56", "count = 60"))
    (tmp_path / "suite.toml").write_text(SUITE.format(survey=tmp_path / "toy.toml"))
    words = ("--suite", tmp_path / "suite.toml", "--out", tmp_path / "l", "--device", "cpu")
    words += ("--grid", tmp_path / "a.zarr", "--grid-b", tmp_path / "b.zarr", "--json")
    done = call("speclearn bench lora_specclip", *words)
    assert done.exit_code == 0, done.output
    rows = {row["arm"]: row for row in json.loads(done.stdout)["rows"] if row["group"] == "all"}
    assert rows["MLP1, zero-shot"]["learned"] == 0
    assert rows["LoRA1+3+4"]["learned_note"] == 129_024 + 147_456 + 31_752
    assert all(row["ratio_low"] <= row["ratio_high"] for row in rows.values())
    (tmp_path / "l" / "cells" / "pixels-scratch-seed0.json").unlink()
    again = call("speclearn bench lora_specclip", *words)
    assert again.stdout == done.stdout  # a cell that is made again is the same
    done = call("speclearn bench lora_specclip --suite ci --report-only --out", tmp_path / "none")
    assert done.exit_code == 2
    assert "no finished cell" in done.output
