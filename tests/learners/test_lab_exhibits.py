"""Tables and figures of a laboratory's cells: against plain numbers, and all that are written."""

import json

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError
from starsmith.learners.benchmark.exhibits.cells import CellSet
from starsmith.learners.benchmark.exhibits.figures import shift_p
from starsmith.learners.benchmark.exhibits.tables import clipped_sigma, published, tables
from starsmith.learners.benchmark.exhibits.write import write_exhibits
from starsmith.learners.benchmark.lab import LabSuite, cell_file, run_lab
from starsmith.learners.transfer.distances import mmd_squared
from tests.learners.test_lab import base_of, target

SUITE = LabSuite(
    name="toy", strategies=("zero_shot", "residual", "residual-4", "scratch"), n=(0, 40, 80),
    g=(1.0,), seeds=1, epochs=1, rates=(1e-2, 1e-3), source_epochs=3, widths=(8,),
    wave_map="exact",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("lab")
    run_lab(SUITE, place, base_of(SUITE), target)
    return place


@pytest.mark.slow
def test_all_exhibits_are_written(folder):
    page = write_exhibits(SUITE, folder).read_text()
    assert "Published numbers are of different stars" in page
    found = json.loads((folder / "exhibits.json").read_text())
    for title in ("Table 7", "Table 8", "Table 16", "Table 17", "Table 1:", "Table A1", "Table A2",
                  "Table C3", "LoRA"):  # fmt: skip
        assert any(title in name for name in found["tables"]), title
    for name in ("fig13", "fig2", "fig3", "fig4", "fig5", "figA1", "figA2", "figA3", "figA4",
                 "figA5", "figB6", "figD7", "figD8"):  # fmt: skip
        assert any(name in drawn for drawn in found["figures"]), name
    for name in found["figures"]:
        assert (folder / "figures" / f"{name}.png").stat().st_size > 5000


@pytest.mark.slow
def test_tables_hold_plain_numbers(folder):
    cells = CellSet.open(SUITE, folder)
    content = json.loads(cell_file(folder, (1.0, 80, "residual", 0)).read_text())
    truth, value = (np.array(content[name])[:, 2] for name in ("truth", "value"))
    r2 = 1.0 - np.mean((value - truth) ** 2) / np.var(truth)
    found = {each.title: each.rows for each in tables(cells)}
    rows = {row["strategy"]: row for row in found["Transfer, Table 1: [M/H] by strategy"]}
    assert rows["residual"]["ours"].startswith(f"{r2:.3f} / ")
    assert rows["residual"]["published, other stars"] == "0.923 / 0.636 / 0.904"
    assert rows["ceiling"]["ours"].startswith("1.000")
    plane = np.array(content["truth"])[:, [2, 1]], np.array(content["value"])[:, [2, 1]]
    (row,) = [r for r in found["Transfer, Figs. 3, D8: distance in a plane"]
              if r["strategy"] == "residual"]  # fmt: skip
    assert row["MMD² from test stars"] == f"{mmd_squared(plane[1], plane[0], 2.0):.5f}"
    counts = {row["sample"]: row["ours"] for row in found["Transfer, Table C3: samples"]}
    assert (counts["fine-tuning"], counts["testing"]) == (80, 60)
    assert published()["desi_m_h"]["zero_shot"]["0"] == [0.873, 0.678, 0.833]


@pytest.mark.slow
def test_scratch_keeps_every_rate_and_the_best_is_its_value(folder):
    """As if all rates had been tried in one fine-tuning."""
    content = json.loads(cell_file(folder, (1.0, 80, "scratch", 0)).read_text())
    assert [each["rate"] for each in content["by_rate"]] == [1e-2, 1e-3]
    best = min(content["trials"], key=lambda line: line["val_error"])["rate"]
    (value,) = [each["value"] for each in content["by_rate"] if each["rate"] == best]
    assert value == content["value"]
    assert len(content["trials"]) == 2


@pytest.mark.slow
def test_the_landscapes_centre_is_the_error_of_metal_poor_stars(folder):
    """The loss at no step is the squared error of predictions, to float32."""
    cell = CellSet.open(SUITE, folder).first("residual")
    truth, value = cell.label("m_h", "truth"), cell.label("m_h")
    poor = truth < -1.0
    loss = np.array(cell.probes["landscape"]["loss"])
    assert loss.shape == (21, 21)
    assert loss[10, 10] == pytest.approx(np.mean((value - truth)[poor] ** 2), rel=1e-4)


def test_clipping_and_the_p_of_shifted_lines():
    residual = np.random.default_rng(0).standard_normal(5000)
    assert clipped_sigma(np.append(residual, [50.0, -80.0])) == pytest.approx(0.985, abs=0.02)
    wave = np.linspace(8400.0, 8900.0, 1000)
    flat = np.random.default_rng(1).uniform(size=1000)
    peaks = flat + 3.0 * (np.abs(wave - 8544.0) < 5.0)
    assert shift_p(wave, peaks, (8544.0,))[1] < 0.05
    assert shift_p(wave, flat, (8544.0,))[1] > 0.05
    assert np.isnan(shift_p(wave, flat, (5000.0,))[1])


def test_nothing_to_show_is_told(tmp_path):
    with pytest.raises(DataError, match="no finished cell of suite toy"):
        write_exhibits(SUITE, tmp_path)
