"""Speed of ``specsim generate``, as ratios to a plain numpy/scipy simulator.

Baselines: ``tests/reference/simulate.py``, one star at a time, timed beside it; and the
published 0.91 spectra/s on 60 threads (Subaru/PFS data set of the SpecViT paper).

    python -m benchmarks.generate [-n 100000 1000000] [--workers 2]
"""

import argparse
import resource
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.timing import machine, seconds
from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.generation.generate import Settings, write_dataset
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from tests.reference.simulate import observe_plainly

PUBLISHED_RATE = 0.91  # spectra/s on 60 threads: 1e6 in 304 h 13 min
STORES = ("noiseless", "frozen")
N_PLAIN = 20
N_TINY = 30


def generate_seconds(bank: Bank, n: int, workers: int, store: str) -> float:
    """Wall time of writing a data set of ``n`` spectra to disk, start-up included [s]."""
    folder = Path(tempfile.mkdtemp())
    try:
        start = time.perf_counter()
        write_dataset(
            bank, Prior.default(), n, folder / "data.zarr", 1, Settings(store=store), workers
        )
        return time.perf_counter() - start
    finally:
        shutil.rmtree(folder)


def start_up_seconds(bank: Bank, workers: int) -> float:
    """What workers cost before the first spectrum: a data set of three tiny shards [s]."""
    return median(generate_seconds(bank, N_TINY, workers, "noiseless") for _ in range(3))


def peak_memory() -> str:
    """Most memory this process and its largest worker ever held, shared pages counted in both."""
    own, worker = (
        resource.getrusage(who).ru_maxrss / 2**20
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return f"Peak resident memory: parent {own:.2f} GiB, largest worker {worker:.2f} GiB."


def memory_rows(bank: Bank, n_plain: int) -> tuple[list[str], float]:
    """Rows of simulation without a disk, and the rate of the plain simulator [1/s]."""
    draws = draw_stars(bank, Prior.default(), 1, "train", np.arange(max(n_plain, 256)))
    few = draws.take(slice(0, n_plain))
    plain = n_plain / seconds(observe_plainly, bank, few, np.random.default_rng(0), repeat=3)
    fast = len(draws) / seconds(observe, bank, draws)
    rows = [
        f"| plain numpy/scipy, in memory | {plain:,.0f} | | 1 |",
        f"| `observe`, in memory | {fast:,.0f} | | {fast / plain:.0f} |",
    ]
    return rows, plain


def report(bank: Bank, sizes: list[int], workers: int, n_plain: int = N_PLAIN) -> str:
    """Table in markdown."""
    rows, plain = memory_rows(bank, n_plain)
    start_up = start_up_seconds(bank, workers)
    for store in STORES:
        costs = []
        for n in sizes:
            took = generate_seconds(bank, n, workers, store)
            costs.append((took - start_up) / n)
            rows.append(
                f"| {n:,} to disk, {store} | {n / took:,.0f} | {1e6 * costs[-1]:.1f} "
                f"| {n / took / plain:.0f} |"
            )
        if len(sizes) > 1:
            ratio = costs[-1] / costs[0]
            rows.append(f"| {store}: cost per spectrum, largest over smallest | | {ratio:.2f} | |")
    return "\n".join(
        [
            f"{machine()}; {workers} workers; bank {bank.coef.shape[0]} nodes x "
            f"{bank.wave.size} pixels",
            "",
            "| what | spectra/s | µs per spectrum after start-up | ratio to plain numpy/scipy |",
            "|---|---:|---:|---:|",
            *rows,
            "",
            f"Start-up {start_up:.1f} s, included in spectra/s. {peak_memory()}",
            f"Published simulator: {PUBLISHED_RATE} spectra/s on 60 threads (not timed here).",
        ]
    )


def main() -> None:
    """Print the report for the demo bank."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, nargs="+", default=[100_000], help="one or more sizes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plain", type=int, default=N_PLAIN, help="stars of the baseline")
    parser.add_argument("--bank", help="bank file; the demo grid at PFS MR pixels by default")
    options = parser.parse_args()
    bank = load_bank(options.bank) if options.bank else cached_bank("demo", "pfs_mr")
    print(report(bank, options.n, options.workers, options.plain))


if __name__ == "__main__":
    main()
