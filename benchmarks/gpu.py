"""The first hour with a GPU: whether the networks are right there, then how fast.

    python -m benchmarks.gpu                # at most 8 minutes, on a GPU
    python -m benchmarks.gpu --tiny         # within a minute, on a CPU: that it runs

Checks come first, then measures, most wanted first. Every stage has a budget of its own and adds
one line to the results as it ends, so that a run that is killed has told what it found. Needs a
checkout, torch and numpy; what needs more is left out and named. Exit code 1 if a check fails.
"""

import argparse
import gc
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks import gpu_learners as parts
from benchmarks.gpu_checks import (
    check_attention,
    check_gradients,
    check_holes,
    check_memory_ends,
    check_questions,
)
from starsmith.learners.recipe import NetworkRecipe

__all__ = ["main", "run"]

RESULTS = Path(__file__).resolve().parent / "results" / "gpu.jsonl"
ROOT = Path(__file__).resolve().parents[1]
SIZES = (256, 1024, 4096)
OTHERS = (
    "mlp", "bilstm", "convstem_lstm", "resnet18", "convstem_vit", "lstmformer", "deep_cnn",
    "overlap_vit",
)  # fmt: skip


class OutOfTime(Exception):
    """A stage used up its budget."""


@dataclass(frozen=True)
class Stage:
    """One thing to find out.

    Attributes
    ----------
    name : str
    seconds : float
        Most that it may take.
    find : callable
        Of `Bench` and options; returns what is written down, with ``wrong`` where a check fails.
    """

    name: str
    seconds: float
    find: Callable[[parts.Bench, argparse.Namespace], dict]


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in a with-block that takes longer."""

    def ring(*_: object) -> None:
        raise OutOfTime(f"longer than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def versions(bench: parts.Bench, options: argparse.Namespace) -> dict:
    """Software, device and what is missing."""
    from starsmith.learners.training.compiled import missing_compiler

    found = {"python": sys.version.split()[0], "torch": torch.__version__, "cuda": ""}
    if bench.cuda:
        found |= {
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "device": torch.cuda.get_device_name(),
            "capability": torch.cuda.get_device_capability(),
            "memory_gib": round(torch.cuda.mem_get_info()[1] / 2**30, 1),
        }
    lacking = missing_compiler(bench.device)
    return found | {"not installed": parts.MISSING, "compiling lacks": lacking}


def bank(bench: parts.Bench, options: argparse.Namespace) -> dict:
    """The bank on the device against the CPU's: random bits, labels, flux, error."""
    found = parts.check_bank(bench) | {"holes": check_holes(bench)}
    near = ("labels", "flux", "error", "holes")
    wrong = [name for name in near if found[name] > parts.TOLERANCE]
    return found | {"wrong": wrong + ["words"] * bool(found["words"])}


def suite(bench: parts.Bench, options: argparse.Namespace) -> dict:
    """The tests that need a GPU."""
    if not bench.cuda or importlib.util.find_spec("pytest") is None:
        return {"left out": "needs a GPU and pytest"}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "gpu", "tests/learners"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=85)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    return {"pytest": last, "wrong": failed or ([last] if done.returncode else [])}


def training(
    bench: parts.Bench, options: argparse.Namespace, name: str, size: int, **keys: object
) -> dict:
    """Spectra per second of whole steps, drawing included, and the most memory used."""
    precision = "bfloat16" if bench.cuda else "float32"
    recipe = NetworkRecipe(precision=precision, batch_size=size, compile=False)
    if bench.cuda:
        torch.cuda.reset_peak_memory_stats()
    before, bench.batch_size = bench.batch_size, size
    try:
        rate = parts.training_rate(bench, name, replace(recipe, **keys))
    finally:
        bench.batch_size = before
    peak = torch.cuda.max_memory_allocated() / 2**30 if bench.cuda else 0.0
    return {"spectra/s": round(rate, 1), "peak GiB": round(peak, 2)}


def specvit(bench: parts.Bench, options: argparse.Namespace) -> dict:
    """SpecViT uncompiled, at three batch sizes."""
    name = options.main_network
    return {str(size): training(bench, options, name, size) for size in options.sizes}


def feed(bench: parts.Bench, options: argparse.Namespace) -> dict:
    """Stars drawn, observed and standardised alone."""
    return {"spectra/s": round(parts.input_rate(bench), 1)}


def ways(bench: parts.Bench, options: argparse.Namespace) -> dict:
    """SpecViT compiled, and replayed as a graph."""
    name, size = options.main_network, options.sizes[-1 if options.tiny else 1]
    found = {}
    if options.compile:
        found["compiled"] = training(bench, options, name, size, compile=True)
    if bench.cuda:
        found["graph"] = training(bench, options, name, size, cuda_graph=True)
    return found


def others(bench: parts.Bench, options: argparse.Namespace) -> dict:
    """The other networks, uncompiled, in the order in which they are asked for."""
    return {
        name: training(bench, options, name, options.sizes[-1 if options.tiny else 1])
        for name in options.others
    }


def epochs(bench: parts.Bench, options: argparse.Namespace) -> dict:
    """A real `fit` of three epochs: the share of its time that steps take."""
    if "safetensors" in parts.MISSING or "starsmith" not in parts.INSTALLED:
        return {"left out": "needs an installed starsmith and safetensors"}
    import tempfile

    from starsmith.learners.online.online_view import open_online
    from starsmith.learners.train import fit

    n_val = 100 if options.tiny else 1000
    view = open_online(
        bench.bank_file(), parts.specvit_ranges(), n_val=n_val, n_statistics=options.n_statistics
    )
    size = options.sizes[0]
    recipe = NetworkRecipe(epochs=3, batch_size=size, epoch_size=(2 if options.tiny else 80) * size)
    rows: list[dict] = []

    def note(row: dict) -> None:
        if row["epoch"] is not None:
            rows.append(row)

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        out = Path(folder) / "run"
        fit(options.main_network, view, "logg", recipe, out, note, device=options.device)
        wall = time.perf_counter() - start
    trained = sum(recipe.epoch_size / row["spectra_per_second"] for row in rows)
    return {"wall s": round(wall, 2), "in steps": round(trained / wall, 3)}


def profile(bench: parts.Bench, options: argparse.Namespace) -> dict:
    """Where a step of SpecViT spends its time."""
    recipe = NetworkRecipe(
        precision="bfloat16" if bench.cuda else "float32",
        batch_size=options.sizes[0],
        compile=False,
    )
    return dict(parts.profile(bench, options.main_network, recipe))


STAGES = (
    Stage("versions", 10, versions),
    Stage("bank", 30, bank),
    Stage("attention", 15, check_attention),
    Stage("gradients", 60, check_gradients),
    Stage("questions", 30, check_questions),
    Stage("tests", 90, suite),
    Stage("specvit", 60, specvit),
    Stage("feed", 15, feed),
    Stage("epochs", 45, epochs),
    Stage("compiled", 90, ways),
    Stage("others", 60, others),
    Stage("memory", 20, check_memory_ends),
    Stage("profile", 20, profile),
)


def run(options: argparse.Namespace) -> int:
    """Go through the stages; return how many checks failed."""
    start, failed = time.monotonic(), 0
    options.out.parent.mkdir(parents=True, exist_ok=True)
    bench = parts.Bench(options)
    with open(options.out, "a") as results:
        for stage in STAGES:
            left = 60.0 * options.minutes - (time.monotonic() - start)
            line = attempt(stage, bench, options, min(stage.seconds, left))
            failed += bool(line.get("wrong"))
            results.write(json.dumps(line, default=str) + "\n")
            results.flush()
            os.fsync(results.fileno())  # a killed run keeps it
            print(json.dumps(line, default=str), flush=True)
    return failed


def attempt(stage: Stage, bench: parts.Bench, options: argparse.Namespace, seconds: float) -> dict:
    """One stage's line, whatever becomes of it."""
    line = {"stage": stage.name, "device": options.device, "tiny": options.tiny}
    if seconds <= 0:
        return line | {"left out": "no time left"}
    start = time.perf_counter()
    try:
        with limited(seconds), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            line |= stage.find(bench, options)
    except (Exception, OutOfTime) as problem:
        words = " ".join(str(problem).split())[:300]
        line["wrong"] = [f"{type(problem).__name__}: {words}"]
    finally:
        gc.collect()
        if bench.cuda:
            torch.cuda.empty_cache()
    return line | {"seconds": round(time.perf_counter() - start, 2)}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options, with sizes that suit the device."""
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--bank", type=Path, help="bank.zarr or .npz; one of formulae by default")
    parser.add_argument("--minutes", type=float, default=8.0, help="most that all stages may take")
    parser.add_argument("--tiny", action="store_true", help="within a minute, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="lines are added to it")
    options = parser.parse_args(arguments)
    options.n_wave, options.n_statistics, options.seconds = 4096, 4096, 2.0
    options.batch_size, options.sizes, options.compile = 1024, SIZES, True
    options.main_network, options.others = "specvit", OTHERS
    if options.tiny:
        options.n_wave, options.n_statistics, options.seconds = 256, 64, 0.0
        options.batch_size, options.sizes, options.compile = 16, (16, 32), False
        options.main_network, options.others = "specvit_tiny", ("mlp", "bilstm_tiny")
        options.minutes = min(options.minutes, 1.0)
    return options


def main() -> None:
    """Run; exit code 1 if a check failed."""
    sys.exit(1 if run(parse()) else 0)


if __name__ == "__main__":
    main()
