"""Training of small networks on a CPU against another commit, in turn, as users start it.

    git worktree add ../before 39180df
    python -m benchmarks.training_rate --bank bank.zarr --against ../before

Each run is a process of its own that trains on stars drawn from the bank. Told are the wall time
and the processor time a spectrum of its fastest epoch, and the load of the machine beside them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("data_contract", "simulator", "fisher", "learners", "cli")
TRAINED = """
import importlib, sys, tempfile, time
from pathlib import Path

def first(name, *modules):
    for module in modules:
        try:
            return getattr(importlib.import_module(f"starsmith.{module}"), name)
        except (ImportError, AttributeError):
            continue
    raise SystemExit(f"{name}: in none of {modules}")

bank, model, n_star, n_epoch = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
load_bank = first("load_bank", "data_contract.bank.bank_file", "data_contract.bank")
open_online = first("open_online", "learners.online.online_view", "learners.online")
fit, load_recipe = first("fit", "learners"), first("load_recipe", "learners.recipe")
ranges = first("Prior", "simulator.prior").default().ranges
view = open_online(load_bank(bank), ranges, n_val=200, n_statistics=512)
recipe = load_recipe(model, epochs=n_epoch, epoch_size=n_star)
ends = [(time.perf_counter(), time.process_time())]

def note(row):
    if row["epoch"] is not None:
        ends.append((time.perf_counter(), time.process_time()))

with tempfile.TemporaryDirectory() as out:
    fit(model, view, "logg", recipe, Path(out) / "run", note, device="cpu")
spent = [tuple(b - a for a, b in zip(*pair)) for pair in zip(ends[:-1], ends[1:])]
n_seen = max(1, n_star // recipe.batch_size) * recipe.batch_size
print(*(1e6 * min(kind) / n_seen for kind in zip(*spent)))
"""


def microseconds(checkout: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Wall time and processor time a spectrum of a fresh process of a checkout [µs]."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "starsmith"
        package.mkdir()
        for name in PACKAGES:
            (package / name).symlink_to(checkout.resolve() / name)
        if (checkout / "api").is_dir():
            for file in (checkout / "api").glob("__init__.py*"):
                (package / file.name).symlink_to(file.resolve())
        words = [str(options.bank), options.model, str(options.stars), str(options.epochs)]
        run = subprocess.run(
            [sys.executable, "-c", TRAINED, *words],
            env=os.environ | {"PYTHONPATH": folder},
            capture_output=True,
            text=True,
            check=True,
        )
    wall, cpu = map(float, run.stdout.split()[-2:])
    return wall, cpu


def main() -> None:
    """Run in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--against", type=Path, default=ROOT, help="checkout of another commit")
    parser.add_argument("--model", default="specvit_tiny")
    parser.add_argument("--stars", type=int, default=2048, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=2)
    options = parser.parse_args()
    print("| pair | load | before: wall, CPU [µs] | now: wall, CPU [µs] | ratio of wall |")
    print("|---:|---:|---|---|---:|")
    for pair in range(options.pairs):
        before, now = (microseconds(where, options) for where in (options.against, ROOT))
        told = [f"{wall:,.0f}, {cpu:,.0f}" for wall, cpu in (before, now)]
        load = os.getloadavg()[0]
        print(f"| {pair + 1} | {load:.1f} | {told[0]} | {told[1]} | {before[0] / now[0]:.1f} |")


if __name__ == "__main__":
    main()
