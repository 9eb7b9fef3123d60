"""The demonstration: its verdict, its memory, and (slow) all of it on toy and on demo stars."""

import math

import numpy as np
import pytest
from click.testing import CliRunner

from starsmith.cli.demo import MODELS, main
from starsmith.cli.demo_steps import score_table
from starsmith.data_contract import Predictions
from starsmith.data_contract.quantities import UNITS
from starsmith.fisher.ceilings.ceiling_table import CeilingRow, CeilingTable, StarCeiling
from starsmith.learners.benchmark.ceiling_file import read_ceiling_file, write_ceiling_file
from starsmith.simulator import load_instrument, render_bank
from starsmith.simulator.grids.demo import build_demo_grid

N_STAR = 2000
SNR = np.where(np.arange(N_STAR) < 1990, 4.5, 30.0)  # ten stars in the last bin


def ceiling_row(name, low, high, n, r2):
    """A row of a ceiling table in which only R² matters."""
    return CeilingRow(
        name=name,
        low=low,
        high=high,
        n=n,
        snr=4.5,
        variance=1.0,
        sigma=(0.1, 0.2, 0.3),
        rho=0.5,
        cond=3.0,
        r2={name: (r2, 0.01) for name in ("paper_median", "bayes_gauss", "posterior_mean")},
        paper_spread=(0.1, 0.9),
        realised=(math.nan, math.nan),
        halving=0.0,
        ess=(50.0, 100.0),
    )


def unit_labels(seed):
    """Labels of unit variance."""
    return np.random.default_rng(seed).normal(size=N_STAR)


def estimates(r2, seed):
    """Estimates of the labels whose R² is ``r2`` up to its scatter of 0.01."""
    return unit_labels(3) + math.sqrt(1 - r2) * unit_labels(seed)


@pytest.fixture
def table():
    """Ceiling of 0.75, pooled and in every bin."""
    rows = (
        ceiling_row("all", -math.inf, math.inf, N_STAR, 0.75),
        ceiling_row("4-5", 4.0, 5.0, 1990, 0.75),
        ceiling_row(">25", 25.0, math.inf, 10, 0.75),
    )
    stars = StarCeiling(
        seed=0,
        split="test",
        index=np.arange(N_STAR),
        snr=SNR,
        mag=np.full(N_STAR, 21.5),
        label=unit_labels(3),
        sigma2=np.full(N_STAR, 0.25),
        mean=estimates(0.75, 4),
        var=np.full(N_STAR, 0.25),
        ess=np.full(N_STAR, 1e6),
    )
    return CeilingTable(
        target="logg", unit="dex", header={"amplitude": "unknown"}, rows=rows, stars=stars
    )


def predictions(r2):
    """Predictions of an R², whose errors have nothing to do with those of the ceiling."""
    return Predictions(
        split="test",
        seed=0,
        index=np.arange(N_STAR),
        snr=SNR,
        labels=("logg",),
        units=(UNITS["logg"],),
        truth=unit_labels(3)[:, None],
        value=estimates(r2, 5)[:, None],
        uncertainty=None,
        model="made up",
        dataset="none",
        notice="",
    )


def test_a_model_above_the_ceiling_is_named_and_one_below_is_not(table):
    """0.85 is ten paired standard errors above 0.75; 0.70 is below."""
    rows = score_table({"honest": predictions(0.70), "leaky": predictions(0.85)}, table)
    verdicts = {row["S/N"]: row["verdict"] for row in rows}

    assert verdicts["all"] == verdicts["4-5"] == "ABOVE CEILING: leaky"
    assert verdicts[">25"] == "few stars"
    assert [row["verdict"] for row in score_table({"honest": predictions(0.70)}, table)][:2] == [
        "ok",
        "ok",
    ]


def test_kept_ceilings_are_read_back_as_they_were(table, tmp_path):
    """Through JSON, which has neither infinity nor NaN, in their order; the stars to the bit."""
    write_ceiling_file(tmp_path / "ceiling", {"dataset": "none"}, table)
    assert read_ceiling_file(tmp_path / "ceiling", {"dataset": "another"}) is None
    back = read_ceiling_file(tmp_path / "ceiling", {"dataset": "none"})

    assert back.to_markdown() == table.to_markdown()
    assert repr(back.rows) == repr(table.rows)  # as text, because NaN does not equal itself
    assert back.header == table.header
    np.testing.assert_array_equal(back.stars.mean, table.stars.mean)
    np.testing.assert_array_equal(back.stars.index, table.stars.index)


@pytest.mark.slow
def test_the_demonstration_runs_and_runs_again_from_what_it_kept(bank_file, tmp_path):
    """Report, four figures, a verdict; the second run trains nothing and says the same."""
    line = ["--out", tmp_path / "demo", "-n", 2000, "--bank", bank_file, "--n-template", 2000]
    line += ["--workers", 1]

    first = CliRunner().invoke(main, list(map(str, line)))
    weights = tmp_path / "demo" / "models" / "compressed" / "model.safetensors"
    report, written = tmp_path / "demo" / "report.md", weights.stat().st_mtime_ns
    told = report.read_text()
    second = CliRunner().invoke(main, list(map(str, line)))

    assert first.exit_code == second.exit_code == 0, first.stderr
    assert first.stdout == second.stdout
    assert report.read_text() == told
    assert all(model in first.stdout for model in MODELS)
    assert "ABOVE" not in first.stdout
    assert weights.stat().st_mtime_ns == written
    assert {"report.md", "spectra.png", "errors.png", "r2_snr.png", "predictions.png"} <= {
        file.name for file in (tmp_path / "demo").iterdir()
    }


@pytest.mark.slow
def test_no_model_beats_the_ceiling_on_demo_stars(tmp_path):
    """Synthesized stars over the paper's box, PFS pixels: pooled and in every bin of 200."""
    axes = {
        "teff": np.linspace(3500.0, 6500.0, 5),
        "logg": np.linspace(0.5, 5.5, 5),
        "m_h": np.linspace(-2.75, 1.0, 5),
    }
    grid = build_demo_grid(axes=axes, cache_dir=tmp_path / "nodes")
    render_bank(grid, load_instrument("pfs_mr")).save(tmp_path / "bank.zarr")
    line = ["--out", tmp_path / "demo", "-n", 8000, "--bank", tmp_path / "bank.zarr"]

    result = CliRunner().invoke(main, [*map(str, line), "--n-template", "10000"])

    assert result.exit_code == 0, result.stderr
    table = [[cell.strip() for cell in row.split("|")] for row in result.stdout.splitlines()]
    verdicts = [row[-2] for row in table if len(row) == 11 and row[2].isdigit()]
    assert verdicts[0] == "ok"  # pooled
    assert len(verdicts) >= 6
    assert verdicts.count("ok") >= 4
    assert set(verdicts) <= {"ok", "few spectra"}
