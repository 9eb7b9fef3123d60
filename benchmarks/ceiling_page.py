"""Print what docs/ceilings.md tells of the demonstration grid, each number under its command.

    python -m benchmarks.ceiling_page [--quick] > benchmarks/results/ceiling_page.md

Tables of stars for ``--population`` are drawn here: labels uniform, the magnitude along log g.
``--quick`` takes a tenth of the stars, and the smaller table alone.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.table import Table

from benchmarks.timing import machine
from starsmith.simulator.synthesis import PHYSICS_VERSION

LOGG, MAG = (1.0, 5.0), (20.5, 22.5)  # ends of the relation that a table's stars follow
TABLES = {"few": (4_000, 0.3), "many": (100_000, 0.3), "tight": (400_000, 0.02)}  # rows, scatter
GIANT = "teff=4750,logg=2.5,m_h=-1"


def write_stars(path: Path, n: int, scatter: float) -> None:
    """Write a table of stars whose magnitude follows log g, but for ``scatter`` [mag]."""
    draw = np.random.default_rng(0)
    logg = draw.uniform(*LOGG, n)
    mag = np.interp(logg, LOGG, MAG) + scatter * draw.standard_normal(n)
    stars = {
        "teff": draw.uniform(3750.0, 6000.0, n),
        "logg": logg,
        "m_h": draw.uniform(-2.5, 0.75, n),
        "mag": np.clip(mag, *MAG),
    }
    Table(stars).write(path, format="ascii.ecsv")


def commands(folder: Path, quick: bool) -> list[list[str]]:
    """Arguments of ``specfisher``, in the order of the page."""
    stars, published = ["--n-star", "200" if quick else "2000"], "--mags=20,21.5,22,22.5"
    thousand = ["--n-star", "100" if quick else "1000"]
    plan = ["plan", "--target-sigma", "logg=0.3", "--mag", "20..22.5", "--max-time", "12h"]
    tables = [name for name in TABLES if not quick or name == "few"]
    for name in tables:
        write_stars(folder / f"{name}.ecsv", *TABLES[name])
    return [
        *(["ceiling", "--population", str(folder / f"{name}.ecsv"), *stars] for name in tables),
        ["ceiling", "--preset", "specvit", published, *thousand],
        ["ceiling", "--seeing", "0.8", published, *thousand],
        ["info", "--star", GIANT, "--mag", "21", "--nuisance", "rv,continuum:3,lsf"],
        ["map", "--mag", "21", "--at", "m_h=-1"],
        ["ceiling", "--velocity", "--snr-bins", "--n-star", "200"],
        plan,
        [*plan, "--vary", "exp_time", "--exp-count", "12"],
        ["check", "demo"],
    ]


def main() -> None:
    """Run the commands, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    print("# What docs/ceilings.md tells of the demonstration grid\n")
    print(f"`python -m benchmarks.ceiling_page`; {machine()}; physics version {PHYSICS_VERSION}")
    with tempfile.TemporaryDirectory() as folder:
        for words in commands(Path(folder), quick):
            start = time.perf_counter()
            run = [sys.executable, "-m", "starsmith.cli.specfisher", *words, "--quiet"]
            told = subprocess.run(run, capture_output=True, text=True, check=False)
            line, out = (text.replace(f"{folder}/", "") for text in (" ".join(words), told.stdout))
            print(f"\n## `specfisher {line}`\n\n```\n{out.strip()}\n```", flush=True)
            print(f"\n{time.perf_counter() - start:.0f} s, exit code {told.returncode}")
            if told.returncode:
                print(told.stderr.strip())


if __name__ == "__main__":
    main()
