"""What the error of a spectrum tells a learner about log g that its flux does not.

Every input is [flux, something] against flux alone: the same stars, the same learner, the same
seed; a gain is the mean over seeds and data sets, its standard error that of the data sets'
means. A seed decides which training stars choose the penalty or the number of trees, and the
trees' own random numbers.

    python -m benchmarks.honest_noise [--sets 3] [--seeds 10] [--train 5000] [--pixels triplet]
        [--table all|few|ideal] [--workers 2]
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from multiprocessing import get_context

import numpy as np

from benchmarks.timing import machine
from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.prior import Prior
from tests.learners.noise_inputs import FITS, Pixels, left_by_ideal, noise_inputs, predicted, r2

FIRST_SEED = 11
FEW_SEEDS = 3  # for inputs that decide nothing
DECIDING = ("twin", "retold", "observed", "smooth", "true")
IDEAL = "what the ideal reading of the flux leaves"
TRIPLET = 8478.0  # [Å]: 512 pixels from here hold the calcium triplet

BESIDE_FLUX = {
    "random": "random numbers, as many as pixels",
    "level": "the noise level, one number",
    "sky": "seeing, zenith, field angle, brightness",
    "flat": "error of a source without lines, same sky",
    "twin": "error of another star, same magnitude and sky",
    "retold": "error of the noisy flux under one average sky: flux alone",
    "observed": "**observed error**",
    "smooth": "**smooth error**",
    "retold smooth": "smooth error under one average sky: flux alone",
    "observed in units of flux": "observed error, in units of the flux's median",
    "second": "error of a second exposure, never served",
    "true": "sigma of the noiseless flux, never served",
    "true in units of flux": "the same, in units of the flux's median",
}
BEYOND_RETOLD = "observed error, beyond the flux under one average sky"
BEYOND_IDEAL = ("flux", "twin", "observed", "smooth", "second", "true")
ALONE = {
    "2 bands": "two bands",
    "4 bands": "four bands",
    "8 bands": "eight bands",
    "16 bands": "sixteen bands",
    "windows": "means of the smooth error's windows, and the noise level",
    "smooth": "**smooth error**",
    "retold": "error of the noisy flux under one average sky",
    "observed": "**observed error**",
    "flux": "flux",
    "true": "sigma of the noiseless flux",
}


@dataclass(frozen=True)
class Task:
    """One data set to be learnt by every method from every input."""

    bank: str | None
    seed: int
    n_train: int
    n_test: int
    n_seed: int
    pixels: str
    table: str


def view(bank: Bank, name: str) -> Pixels:
    """Pixels of a name: all in bins of eight, or 512 of their own around the triplet."""
    if bank.wave.size < 4096:
        return Pixels()
    first = int(np.searchsorted(bank.wave, TRIPLET))
    return Pixels(size=8) if name == "bins" else Pixels(first, first + 512)


def inputs_of(table: str) -> list[tuple[str, ...]]:
    """Names side by side; (IDEAL, name) predicts what the ideal reading of the flux leaves."""
    if table == "ideal":
        return [(IDEAL,), *((IDEAL, name) for name in BEYOND_IDEAL)]
    some = DECIDING if table == "few" else tuple(BESIDE_FLUX)
    found = [("flux",), *(("flux", name) for name in some), ("flux", "retold", "observed")]
    if table == "few":
        return found
    return found + inputs_of("ideal") + [(name,) for name in ALONE if name != "flux"]


def runs_of(task: Task, names: tuple[str, ...]) -> int:
    """Learner seeds for these inputs."""
    deciding = names == ("flux",) or (len(names) > 1 and names[-1] in DECIDING)
    return task.n_seed if deciding else min(task.n_seed, FEW_SEEDS)


def add_ideal(task: Task, bank: Bank, train: tuple, test: tuple) -> tuple[np.ndarray, np.ndarray]:
    """What the ideal reading leaves of log g, training and test; its means join the inputs."""
    left = []
    for (inputs, logg), split in ((train, "train"), (test, "test")):
        left.append(left_by_ideal(bank, Prior.default(), len(logg), task.seed, split))
        inputs["ideal"] = (logg - left[-1])[:, None].astype(np.float32)
    return left[0], left[1]


def learn(task: Task) -> dict[tuple[str, tuple[str, ...]], list[float]]:
    """R2 of every seed, by method and inputs; beyond the ideal reading, the gain."""
    bank = load_bank(task.bank) if task.bank else cached_bank("demo", "pfs_mr")
    pixels, prior = view(bank, task.pixels), Prior.default()
    train = noise_inputs(bank, prior, task.n_train, task.seed, "train", pixels)
    test = noise_inputs(bank, prior, task.n_test, task.seed, "test", pixels)
    (inputs, logg), (seen, truth) = train, test
    if task.table != "few":
        left, left_test = add_ideal(task, bank, train, test)
    found = {}
    for names, method in product(inputs_of(task.table), FITS):
        start, runs = time.process_time(), []
        for seed in range(runs_of(task, names)):
            if names == (IDEAL,):
                runs.append(r2(truth, truth - left_test))
            elif names[0] == IDEAL:
                guess = predicted(method, (inputs, left), seen, (names[1], "ideal"), seed)
                saved = np.mean(left_test**2) - np.mean((left_test - guess) ** 2)
                runs.append(saved / truth.var())
            else:
                guess = predicted(method, (inputs, logg), seen, names, seed)
                runs.append(r2(truth, guess))
        found[method, names] = runs
        words = f"set {task.seed} {method} {' + '.join(names)}: {np.mean(runs):.4f}"
        print(f"{words}, {time.process_time() - start:.1f} s", file=sys.stderr, flush=True)
    return found


def cell(runs: np.ndarray) -> str:
    """Mean of (n_set, n_seed) runs, its standard error, the spread of a single run."""
    means = runs.mean(axis=1)
    if len(means) > 1:
        error = means.std(ddof=1) / np.sqrt(len(means))
    else:
        error = runs.std() / np.sqrt(runs.size)
    return f"{runs.mean():+.4f} ± {error:.4f} ({runs.std():.4f})"


def gain(sets: list[dict], names: tuple[str, ...], base: tuple[str, ...]) -> str:
    """Cells of paired differences, one per method."""
    cells = []
    for method in FITS:
        pairs = [(s[method, names], s[method, base]) for s in sets]
        n = min(len(runs) for pair in pairs for runs in pair)
        cells.append(cell(np.array([np.subtract(a[:n], b[:n]) for a, b in pairs])))
    return " | ".join(cells)


def alone(sets: list[dict], names: tuple[str, ...]) -> str:
    """Cells of R2, or of gains over the ideal reader, one per method."""
    return " | ".join(cell(np.array([s[method, names] for s in sets])) for method in FITS)


def beside_flux(sets: list[dict], listed: list[tuple[str, ...]]) -> list[str]:
    """Rows of what is gained beside flux."""
    flux = ("flux",)
    lines = ["| gain of R2 beside flux | ridge | trees |", "|---|---:|---:|"]
    lines.append(f"| (R2 of flux alone) | {alone(sets, flux)} |")
    for names in listed:
        if names[0] == "flux" and len(names) == 2:
            lines.append(f"| {BESIDE_FLUX[names[1]]} | {gain(sets, names, flux)} |")
    cells = gain(sets, ("flux", "retold", "observed"), ("flux", "retold"))
    lines.append(f"| {BEYOND_RETOLD} | {cells} |")
    cells = gain(sets, ("flux", "observed"), ("flux", "twin"))
    return [*lines, f"| observed error, beyond that of another star | {cells} |", ""]


def beyond_ideal(sets: list[dict]) -> list[str]:
    """Rows of what is gained beyond the ideal reading of the flux."""
    lines = [f"| gain of R2 from {IDEAL} | ridge | trees |", "|---|---:|---:|"]
    lines.append(f"| (R2 of the ideal reading) | {alone(sets, (IDEAL,))} |")
    words = BESIDE_FLUX | ALONE | {"true": BESIDE_FLUX["true"]}
    lines += [f"| {words[name]} | {alone(sets, (IDEAL, name))} |" for name in BEYOND_IDEAL]
    return [*lines, ""]


def tables(sets: list[dict], table: str) -> str:
    """Markdown tables of what was learnt."""
    listed, lines = inputs_of(table), []
    if ("flux",) in listed:
        lines += beside_flux(sets, listed)
    if (IDEAL,) in listed:
        lines += beyond_ideal(sets)
    if ("8 bands",) in listed:
        lines += ["| R2 alone | ridge | trees |", "|---|---:|---:|"]
        lines += [f"| {words} | {alone(sets, (name,))} |" for name, words in ALONE.items()]
    return "\n".join(lines).strip()


def report(tasks: list[Task], workers: int) -> str:
    """Head line and tables."""
    if workers > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            sets = list(pool.map(learn, tasks))
    else:
        sets = [learn(task) for task in tasks]
    one = tasks[0]
    packages = ", ".join(f"{name} {version(name)}" for name in ("lightgbm", "scipy"))
    head = (
        f"{machine()}, {packages}; {one.pixels}; data sets of seeds "
        f"{', '.join(str(t.seed) for t in tasks)}: {one.n_train} training, {one.n_test} test "
        f"spectra each; learner seeds 0 to {one.n_seed - 1}. Gain ± standard error (spread of a "
        "single run)."
    )
    return f"{head}\n\n{tables(sets, one.table)}"


def main() -> None:
    """Print the report for the demo bank."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", help="bank file; the demo grid at PFS MR pixels by default")
    parser.add_argument("--sets", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--pixels", choices=("bins", "triplet"), default="bins")
    parser.add_argument(
        "--table",
        choices=("all", "few", "ideal"),
        default="all",
        help="few: beside flux, what decides; ideal: beyond the ideal reading of the flux",
    )
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    common = (options.train, options.test, options.seeds, options.pixels, options.table)
    seeds = range(FIRST_SEED, FIRST_SEED + options.sets)
    print(report([Task(options.bank, seed, *common) for seed in seeds], options.workers))


if __name__ == "__main__":
    main()
