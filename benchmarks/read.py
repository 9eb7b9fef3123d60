"""Speed of reading a data set, as ratios to plain zarr and to memory.

Baselines: ``array[row]`` of zarr for one row after the other, zarr's own decoding of whole
shards, and copying float32 rows in memory. One core: OMP_NUM_THREADS=1 is set here.

    python -m benchmarks.read data.zarr
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numba
import numpy as np
import zarr

from benchmarks.timing import machine
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.dataset.split_columns import open_column, read_rows

BATCH = 256
REPEAT = 5


def core_seconds(work: Callable[[], None], repeat: int) -> float:
    """Median processor time of a call [s], after one that is not counted.

    Processor time, not wall time: the figure is per core, whoever else uses the machine.
    """
    work()
    times = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return median(times)


def whole_shards(path: Path, split: str, repeat: int) -> list[tuple[str, float]]:
    """Decoded GB per second and core of whole shards."""
    ours = open_column(path, split, "flux_model")
    theirs = zarr.open_array(ours.folder, mode="r")
    (n_rows, n_wave), step = ours.shape, ours.files[0]
    spans = [slice(k, min(k + step, n_rows)) for k in range(0, min(4 * step, n_rows), step)]
    size = sum(span.stop - span.start for span in spans) * n_wave * 4e-9
    rows = np.ones((2048, n_wave), np.float32)
    ways = [
        ("zarr, whole shards", lambda: [theirs[span] for span in spans], size),
        ("starsmith, whole shards", lambda: [read_rows(ours, span) for span in spans], size),
        ("numpy copy in memory", rows.copy, rows.nbytes * 1e-9),
    ]
    return [(name, amount / core_seconds(work, repeat)) for name, work, amount in ways]


def shuffled(path: Path, split: str, cache: Path, repeat: int) -> list[tuple[str, float]]:
    """Rows per second and core in random batches of 256."""
    array = zarr.open_array(path / split / "flux_model", mode="r")
    naive = np.random.default_rng(0).permutation(array.shape[0])[: min(32, array.shape[0])]

    def one_by_one() -> None:
        for row in naive:
            array[int(row)]

    def epoch(of: Split, read: Callable[[np.ndarray], object]) -> Callable[[], None]:
        return lambda: [read(rows) for rows in of.batches(BATCH)]

    buffered, mapped = (open_dataset(path).split(split) for _ in range(2))
    mapped.load(cache)
    n = len(buffered)
    ways = [
        ("zarr, one row after the other", one_by_one, naive.size),
        ("shuffle buffer of 4 shards", epoch(buffered, buffered.flux_model), n),
        ("memmap cache", epoch(mapped, mapped.flux_model), n),
        ("memmap cache, with fresh noise and error", epoch(mapped, mapped.observe), n),
    ]
    return [(name, amount / core_seconds(work, repeat)) for name, work, amount in ways]


def report(path: Path, repeat: int = REPEAT) -> str:
    """Tables in markdown."""
    numba.set_num_threads(1)
    split = "train"
    with tempfile.TemporaryDirectory() as folder:
        rows = shuffled(path, split, Path(folder), repeat)
    shards = whole_shards(path, split, repeat)
    shape = open_column(path, split, "flux_model").shape
    return "\n".join(
        [
            f"{machine()}; {shape[0]} x {shape[1]} noiseless flux, page cache warm, per core",
            "",
            "| whole shards | GB/s decoded | ratio to zarr |",
            "|---|---:|---:|",
            *(f"| {name} | {rate:.2f} | {rate / shards[0][1]:.1f} |" for name, rate in shards),
            "",
            f"| shuffled batches of {BATCH} | rows/s | ratio to row by row |",
            "|---|---:|---:|",
            *(f"| {name} | {rate:,.0f} | {rate / rows[0][1]:.0f} |" for name, rate in rows),
        ]
    )


def main() -> None:
    """Print the report for a data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="a data set with the noiseless store")
    parser.add_argument("--repeat", type=int, default=REPEAT)
    options = parser.parse_args()
    print(report(options.path, options.repeat))


if __name__ == "__main__":
    main()
