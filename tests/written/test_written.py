"""What README, docs and help show runs as it is written, from an installed wheel."""

import json
import subprocess

import pytest

from tests.written.lines import (
    EXCEPTIONS,
    ROOT,
    commands,
    exception,
    fenced,
    inputs,
    shortened,
    shown,
)

MADE = (  # what lines read: made in this order, in one folder
    "specsim bank --out bank.zarr",
    "specsim generate -n 3000 --seed 7 --out data.zarr",
    "speclearn train data.zarr --model specvit_tiny --epochs 1 --target logg --target m_h "
    "--out vit",
    "speclearn train data.zarr --epochs 1 --set epoch_size=1024 --target logg --target teff "
    "--target m_h --out compressed",
    "speclearn train data.zarr --model specvit_tiny --epochs 1 --set loss=gaussian_nll --out sure",
    "speclearn train data.zarr --model ridge --out ridge",
    "speclearn pretrain masked data.zarr --epochs 1 --out masked",
    "specsim generate -n 3000 --seed 8 --out stars.zarr",
    "speclearn train data.zarr --model mlp --epochs 1 --target logg --target m_h --out mlp",
    "speclearn finetune mlp stars.zarr --epochs 1 --lr 1e-3 --seeds 2 --out mlp-residual",
    "speclearn finetune vit stars.zarr --strategy lora --epochs 1 --lr 1e-3 --out vit-lora",
    "speclearn train data.zarr --model gridposterior --out gp",
    "speclearn evaluate vit data.zarr --out predictions.ecsv",
    "speclearn evaluate ridge data.zarr --out trees.ecsv",
    "specsim example population --out mock.ecsv",
    "specsim example spectrum --out star.ecsv",
    "specsim spectrum --index 7 --out star.fits",
    "specsim example targets --out targets.ecsv",
    "specdata convert data.zarr published",
)
SAME = {  # names of lines that are others' files
    "stars.ecsv": "mock.ecsv",
    "my_star.fits": "star.fits",
    "my_star.ecsv": "star.ecsv",
    "spec.ecsv": "star.ecsv",
    "bosz.zarr": "grid.zarr",
    "other.zarr": "data.zarr",
    "desi.zarr": "stars.zarr",
}
BY_HAND = """
import shutil
import numpy as np
from astropy.table import Table
from starsmith.data_contract.grid.grid_file import write_grid
from starsmith.simulator.grids import StellarGrid
write_grid("grid.zarr", StellarGrid.open("demo"))
wave = np.arange(3500.0, 13500.0, 1.0)
table = Table({"wave": wave, "flux": 1.0 + 0.2 * np.sin(wave / 500.0)})
table["wave"].unit = "Angstrom"
for name in ("galaxy.ecsv", "sun.ecsv"):
    table.write(name, format="ascii.ecsv")
for k, name in enumerate(("survey_train.ecsv", "survey_test.ecsv")):
    Table({"targetid": np.arange(5) + 5 * k}).write(name, format="ascii.ecsv")
shutil.copytree("vit", "moved/vit")
stage = "[[stage]]\\nname = '{0}'\\nstrategy = '{0}'\\ndata = 'stars.zarr'\\nepochs = 1\\n"
open("chain.toml", "w").write("base = 'mlp'\\n" + stage.format("full") + stage.format("residual"))
open("run.toml", "w").write("n = 300\\nmag = [20.5, 22.5]\\n")
"""
LINES = shown()
START = sorted(p for p in (ROOT / "docs" / "start").glob("*.md") if p.stem != "index")


def test_every_written_line_names_commands_and_options_that_exist():
    """No page and no help shows a command, an option or a choice of commands that is gone."""
    known = dict(commands())
    wrong = []
    started = {line: page.name for page in START for line in fenced(page.read_text())}
    for line, where in (LINES | started).items():
        words = line.split()
        depth = next((k for k in (3, 2) if " ".join(words[:k]) in known), None)
        if depth is None:
            wrong.append(f"{where}: {line}: no such command")
            continue
        command = known[" ".join(words[:depth])]
        options = {
            name for param in command.params for name in (*param.opts, *param.secondary_opts)
        }
        used = {word.split("=")[0] for word in words[depth:] if word.startswith("--")}
        wrong += [f"{where}: {line}: {name}" for name in used - options]
    assert len(LINES) > 100
    assert not wrong, "\n".join(wrong)


def test_every_exception_is_needed():
    """A pattern that no line matches has gone out of date."""
    unused = [p for p in EXCEPTIONS if not any(exception(line) == EXCEPTIONS[p] for line in LINES)]
    assert not unused


def told(python, jobs):
    """Run jobs in one process of the wheel's interpreter."""
    done = subprocess.run(
        [python, ROOT / "tests" / "written" / "driver.py"],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
    )
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(reports) == len(jobs), done.stderr[-2000:]
    return reports


def require_all(reports):
    """Fail with the lines that did not end well, and what they said."""
    bad = [f"{r['line']}: {r['code']}: {r['said'][-300:]}" for r in reports if r["code"]]
    if bad:
        pytest.fail("\n".join(bad))


@pytest.fixture(scope="module")
def made(clean_python, tmp_path_factory):
    """Folder with everything the lines read."""
    folder = tmp_path_factory.mktemp("made")
    reports = told(clean_python, [[line, str(folder), {}] for line in MADE])
    require_all(reports)
    subprocess.run([clean_python, "-c", BY_HAND], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_the_readme_runs_from_top_to_bottom(clean_python, tmp_path, made):
    """Its blocks, in order, in one empty folder, as a newcomer would."""
    lines = [line for line in fenced((ROOT / "README.md").read_text()) if not exception(line)]
    (tmp_path / "mock.ecsv").write_bytes((made / "mock.ecsv").read_bytes())  # the reader's own
    reports = told(clean_python, [[shortened(line), str(tmp_path), {}] for line in lines])
    assert len(reports) >= 14
    require_all(reports)


@pytest.mark.slow
@pytest.mark.parametrize("page", START, ids=lambda page: page.stem)
def test_a_five_minute_start_runs_from_top_to_bottom(clean_python, tmp_path, page):
    """Its lines alone, in order, in one empty folder, from the wheel: nothing else is needed."""
    lines = list(fenced(page.read_text()))
    assert len(lines) >= 3
    require_all(told(clean_python, [[shortened(line), str(tmp_path), {}] for line in lines]))


@pytest.mark.slow
def test_every_line_of_docs_and_help_runs(clean_python, tmp_path, made):
    """Each in a folder of its own that holds what it reads."""
    jobs = []
    for k, line in enumerate(line for line in LINES if not exception(line)):
        sources = {
            name: str(made / SAME.get(name, name))
            for name in inputs(line)
            if (made / SAME.get(name, name)).exists()
        }
        if "models" in inputs(line):
            sources |= {"models/logg": str(made / "compressed"), "models/vit": str(made / "sure")}
            sources |= {"models/compressed": str(made / "compressed")}
        if "chain.toml" in line:
            sources |= {name: str(made / name) for name in ("mlp", "stars.zarr")}
        jobs.append([shortened(line), str(tmp_path / f"{k:03d}"), sources])
    reports = told(clean_python, jobs)
    for report in sorted(reports, key=lambda report: -report["seconds"])[:10]:
        print(report["seconds"], report["line"])
    assert len(reports) > 70
    require_all(reports)
