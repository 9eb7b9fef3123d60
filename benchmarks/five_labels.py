"""Banks of five labels, exact and compressed: what a spectrum costs, to disk and in memory.

End to end is ``specsim generate`` with its default store: two workers, shards on disk, start-up
included. In memory is processor time of one thread, beside the plain numpy of
``tests/reference/spline.py`` and two bounds: its multiply-adds alone, as a matrix product in the
cache, and reading each row once per group of stars that share it.

    specsim grid build --box 5d --out demo5d.zarr
    specsim bank --grid demo5d.zarr --out five.zarr
    specsim bank --bank five.zarr --compress 1e-4 --out five_small.zarr
    python -m benchmarks.five_labels --bank five.zarr --compressed five_small.zarr [-n 100000]
"""

import argparse
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import numba
import numpy as np

from benchmarks.timing import machine
from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.kernels.spline import GROUP
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import combine, interpolate, spline_weights
from starsmith.simulator.rendering.positivity import check_positive
from tests.reference.spline import combine_plainly

N_SPEC = 2048  # a shard
N_PLAIN = 40
N_TINY = 30  # what a data set costs before its first spectrum
WATCH_S = 0.2


def processor_seconds(function, *args, repeat: int = 5) -> float:
    """Median processor time of this thread in a call [s]; the first call is not counted."""
    function(*args)
    times = []
    for _ in range(repeat):
        start = time.thread_time()
        function(*args)
        times.append(time.thread_time() - start)
    return median(times)


def five_label_prior(bank: Bank, teff: tuple[float, float]) -> Prior:
    """The usual prior with all labels of the bank free, inside its grid."""
    whole = {
        name: (nodes[0], nodes[-1]) for name, nodes in zip(bank.label_names, bank.axes, strict=True)
    }
    usual = Prior.default().ranges
    free = {
        name: (max(ends[0], usual[name][0]), min(ends[1], usual[name][1]))
        for name, ends in whole.items()
        if usual[name][0] < usual[name][1]
    }
    prior = Prior.default().with_ranges(**(whole | free | {"teff": teff}))
    check_positive(bank, prior.ranges)
    return prior


def memory_rows(name: str, bank: Bank, exact: Bank, prior: Prior) -> list[str]:
    """Rows of one thread's work in memory."""
    draws = prior.draw(1, "train", np.arange(N_SPEC), bank.label_names)
    rows, weights = spline_weights(bank, draws.labels)
    n_wave = bank.wave.size
    some = slice(0, N_PLAIN)
    plain = processor_seconds(combine_plainly, exact.coef, rows[some], weights[some], repeat=3)
    plain /= N_PLAIN
    whole = processor_seconds(interpolate, bank, draws.labels, draws.mag) / N_SPEC
    sums = processor_seconds(combine, bank, rows, weights) / N_SPEC
    _, here = np.unique(rows[:, 0], return_counts=True)
    n_group = int(np.ceil(here / GROUP).sum())
    width = bank.coef.shape[1]
    in_cache = np.ones((64, 256), dtype=np.float32)
    product = processor_seconds(np.dot, in_cache, np.ones((256, 512), dtype=np.float32))
    per_term = product / (64 * 256 * 512)
    terms = rows.shape[1] * width
    if bank.basis is not None:
        terms += sum(piece.spectra.size for piece in bank.pieces)
    target = np.empty_like(bank.coef)
    per_byte = processor_seconds(np.copyto, target, bank.coef) / bank.coef.nbytes
    reading = per_byte * 4 * n_group * rows.shape[1] * width / N_SPEC
    cells = (
        f"{1e6 * whole:.0f} | {1e6 * sums:.0f} | {1e6 * terms * per_term:.0f} "
        f"| {1e6 * reading:.0f} | {plain / sums:.0f}"
    )
    kind = f"{width} columns" if bank.basis is None else f"{width} components"
    return [f"| {name}, {rows.shape[1]} rows, {kind}, {n_wave} pixels | {cells} |"]


def mapped_memory(pids: list[int]) -> tuple[float, float]:
    """Resident and proportional size of the mapped arrays, over all processes [MB]."""
    resident = shares = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
        except OSError:  # it has ended
            continue
        inside = False
        for line in lines:
            if "-" in line.split(" ", 1)[0]:
                inside = line.endswith("/arrays")
            elif inside and line.startswith(("Rss:", "Pss:")):
                size = int(line.split()[1])
                resident += size if line.startswith("Rss") else 0
                shares += size if line.startswith("Pss") else 0
    return resident / 1024, shares / 1024


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, task.read_text().split())
    return found


def generate_costs(bank: Bank, prior: Prior, n: int, workers: int) -> tuple[float, ...]:
    """Wall and processor time of a data set on disk [s], mapped memory of its workers [MB]."""
    folder = Path(tempfile.mkdtemp())
    largest = [(0.0, 0.0)]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(WATCH_S):
            largest.append(mapped_memory(_children(os.getpid())))

    watcher = threading.Thread(target=watch)
    watcher.start()
    before = os.times()
    start = time.perf_counter()
    try:
        write_dataset(bank, prior, n, folder / "data.zarr", 1, workers=workers)
        took = time.perf_counter() - start
    finally:
        done.set()
        watcher.join()
        shutil.rmtree(folder)
    after = os.times()
    names = ("user", "system", "children_user", "children_system")
    spent = sum(getattr(after, each) - getattr(before, each) for each in names)
    return (took, spent, *max(largest))


def generate_row(name: str, bank: Bank, prior: Prior, n: int, workers: int) -> str:
    """Row of a data set written to disk, and what its workers share."""
    idle = generate_costs(bank, prior, N_TINY, workers)
    took, spent, resident, shares = generate_costs(bank, prior, n, workers)
    return (
        f"| {name} | {n:,} | {n / took:,.0f} | {1e6 * (spent - idle[1]) / n:.0f} "
        f"| {resident:.0f} | {shares:.0f} |"
    )


def measured_error(exact: Bank, small: Bank, prior: Prior) -> float:
    """Largest relative error of the compressed bank over random stars and all pixels."""
    draws = prior.draw(2, "train", np.arange(N_SPEC), exact.label_names)
    flux = [interpolate(bank, draws.labels, draws.mag) for bank in (small, exact)]
    return float(np.abs(flux[0] / flux[1] - 1.0).max())


def report(exact: Bank, small: Bank, teff: tuple[float, float], n: int, workers: int) -> str:
    """Tables in markdown."""
    prior = five_label_prior(small, teff)
    check_positive(exact, prior.ranges)
    banks = {"exact": exact, "compressed": small}
    numba.set_num_threads(1)
    memory = [row for name, bank in banks.items() for row in memory_rows(name, bank, exact, prior)]
    disk = [generate_row(name, bank, prior, n, workers) for name, bank in banks.items()]
    told = small.info["compression"]
    sizes = [bank.coef.nbytes / 1e6 for bank in banks.values()]
    pieces = sum(piece.spectra.nbytes for piece in small.pieces) / 1e6
    return "\n".join(
        [
            f"{machine()}; {workers} workers; {len(exact.coef)} nodes "
            f"({' x '.join(str(nodes.size) for nodes in exact.axes)})",
            "",
            f"Compressed: {told['n_component']} components in {len(small.pieces)} pieces; error "
            f"asked for {told['tolerance']:g}, proved {told['max_relative_error']:.2g}, largest of "
            f"{N_SPEC} random stars {measured_error(exact, small, prior):.2g}; "
            f"{told['n_cell_refused']} of {told['n_cell'] + told['n_cell_refused']} cells refused; "
            f"{sizes[1]:.0f} + {pieces:.0f} MB in place of {sizes[0]:.0f} MB.",
            "",
            "Processor time of one thread per spectrum [µs]:",
            "",
            "| bank | `interpolate` | sums alone | bound: multiply-adds | bound: reading rows "
            "| plain numpy / sums |",
            "|---|---:|---:|---:|---:|---:|",
            *memory,
            "",
            "To disk, default store, start-up included; mapped memory of all workers together:",
            "",
            "| bank | spectra | spectra/s | processor µs per spectrum after start-up "
            "| resident [MB] | proportional [MB] |",
            "|---|---:|---:|---:|---:|---:|",
            *disk,
        ]
    )


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", required=True, help="exact bank")
    parser.add_argument("--compressed", required=True, help="the same bank compressed")
    parser.add_argument("--teff", type=float, nargs=2, default=(4500.0, 6000.0), help="range [K]")
    parser.add_argument("-n", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    exact, small = load_bank(options.bank), load_bank(options.compressed)
    print(report(exact, small, tuple(options.teff), options.n, options.workers))


if __name__ == "__main__":
    main()
