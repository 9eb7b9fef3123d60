"""What each stage of ``specsim generate`` costs one core, beside the least it could cost.

The bound of a stage is measured here, not assumed: the same arithmetic on numbers that stay in
the first-level cache, a copy of the same bytes through memory, or the same bytes handed to the
disk. A stage at its bound can only be made faster by doing less.

    python -m benchmarks.stages [--bank BANK]
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
from numba import njit
from numcodecs.blosc import Blosc

from benchmarks.timing import machine, seconds
from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.dataset.schema import CHUNK_ROWS, SHARD_ROWS
from starsmith.data_contract.dataset.shards import open_run
from starsmith.data_contract.dataset.split_columns import write_rows
from starsmith.data_contract.kernels.rounding import round_mantissa
from starsmith.data_contract.noise.view import honest_error, median_snr, true_error
from starsmith.data_contract.random import DrawKey, normals
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.observe import draw_stars
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import interpolate

N_SPEC = SHARD_ROWS
BATCH = 32  # spectra whose working arrays stay in the second-level cache

Row = tuple[str, float, float, str]


@njit(fastmath={"contract"})
def _sum_rows_in_cache(total, rows, n_pass):
    """The interpolation's arithmetic, four rows and a sum that never leave the cache."""
    for _ in range(n_pass):
        for j in range(total.size):
            total[j] += 0.1 * rows[0, j] + 0.2 * rows[1, j] + 0.3 * rows[2, j] + 0.4 * rows[3, j]


@njit(error_model="numpy")
def _root_and_quotient_in_cache(out, x, n_pass):
    """The error's slow arithmetic: a square root and a division a pixel."""
    for _ in range(n_pass):
        for j in range(x.size):
            out[j] = np.sqrt(x[j]) / (x[j] + 1.0)


def sum_bound(n_support: int, n_wave: int) -> float:
    """Least seconds for a weighted sum of ``n_support`` rows of ``n_wave`` pixels."""
    total = np.zeros(1024, dtype=np.float32)
    rows = np.ones((4, 1024), dtype=np.float32)
    n_pass = 1000
    return (
        seconds(_sum_rows_in_cache, total, rows, n_pass) * (n_support * n_wave) / (4096.0 * n_pass)
    )


def root_bound(n_wave: int) -> float:
    """Least seconds for a square root and a division in ``n_wave`` pixels."""
    x = np.linspace(1.0, 2.0, 1024)
    n_pass = 1000
    return (
        seconds(_root_and_quotient_in_cache, np.empty(1024), x, n_pass) * n_wave / (1024.0 * n_pass)
    )


def copy_bound(n_bytes: float) -> float:
    """Seconds to move bytes through memory once: read and written."""
    source = np.ones(SHARD_ROWS << 14, dtype=np.uint8)  # as large as a shard
    target = np.empty_like(source)
    return seconds(np.copyto, target, source) * n_bytes / source.size


def disk_bound(payload: bytes) -> float:
    """Seconds to hand bytes to a new file, as one write."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "payload"

        def write() -> None:
            path.unlink(missing_ok=True)
            path.write_bytes(payload)

        return seconds(write)


def shard_seconds(bank: Bank, spectra: np.ndarray) -> float:
    """Seconds to write one shard as the store does: compressed, checksummed, one assignment."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.zarr"
        write_dataset(bank, Prior.default(), {"train": len(spectra), "val": 1, "test": 1}, path, 1)
        rows = slice(0, len(spectra))
        column = open_run(path).columns["flux_model"]
        return seconds(write_rows, path, "train", column, rows, spectra)


def _in_batches(stage: Callable[[slice], object], n: int = N_SPEC) -> Callable[[], None]:
    def run() -> None:
        for start in range(0, n, BATCH):
            stage(slice(start, start + BATCH))

    return run


def compute_rows(bank: Bank) -> tuple[list[Row], np.ndarray]:
    """Stages that compute, and the rounded spectra they end with."""
    n_wave = bank.wave.size
    prior = Prior.default()
    draws = draw_stars(bank, prior, 1, "train", np.arange(N_SPEC))
    conditions = draws.conditions
    flux = interpolate(bank, draws.labels, draws.mag)
    sigma = true_error(bank.noise, flux, conditions)
    words = flux.view(np.uint32).copy()
    n_support = int(np.prod([min(bank.degree, a.size - 1) + 1 for a in bank.axes]))
    stages = [
        (
            "draw labels and conditions",
            lambda: draw_stars(bank, prior, 1, "train", draws.index),
            0.0,
            "none: 12 random words",
        ),
        (
            f"interpolate ({n_support} rows)",
            lambda: interpolate(bank, draws.labels, draws.mag),
            sum_bound(n_support, n_wave),
            "multiply-adds in cache",
        ),
        (
            "round mantissas",
            lambda: round_mantissa(words, 12),
            copy_bound(4 * n_wave),
            "memory",
        ),
        (
            "true error",
            _in_batches(lambda rows: true_error(bank.noise, flux[rows], conditions[rows])),
            root_bound(n_wave),
            "square roots and divisions in cache",
        ),
        (
            "median S/N",
            _in_batches(lambda rows: median_snr(flux[rows], sigma[rows])),
            copy_bound(4 * n_wave),
            "memory",
        ),
        (
            "normals (not in the default store)",
            _in_batches(
                lambda rows: normals(DrawKey(1, "train", draws.index[rows]), "noise", n_wave)
            ),
            n_wave * 6e-9,
            "6 ns per normal, our target",
        ),
        (
            "honest error (not in the default store)",
            _in_batches(lambda rows: honest_error(bank.noise, flux[rows], conditions[rows])),
            root_bound(n_wave),
            "square roots and divisions in cache",
        ),
    ]
    rows = [(name, seconds(run) / N_SPEC, least, by) for name, run, least, by in stages]
    rounded = interpolate(bank, draws.labels, draws.mag)
    round_mantissa(rounded.view(np.uint32), 12)
    return rows, rounded


def storage_rows(bank: Bank, rounded: np.ndarray) -> list[Row]:
    """Compression and the file system."""
    codec = Blosc(cname="lz4", clevel=5, shuffle=Blosc.BITSHUFFLE)
    chunks = [rounded[i : i + CHUNK_ROWS] for i in range(0, len(rounded), CHUNK_ROWS)]
    packed = [codec.encode(chunk) for chunk in chunks]
    payload = b"".join(packed)
    n = len(rounded)
    compress = seconds(lambda: [codec.encode(chunk) for chunk in chunks]) / n
    disk = disk_bound(payload) / n
    return [
        (
            "compress (lz4, bits shuffled)",
            compress,
            copy_bound(rounded[0].nbytes),
            "memory",
        ),
        (
            "decompress (reading)",
            seconds(lambda: [codec.decode(chunk) for chunk in packed]) / n,
            copy_bound(rounded[0].nbytes),
            "memory",
        ),
        (
            "shard to disk (compressed, checksummed)",
            shard_seconds(bank, rounded) / n,
            compress + disk,
            "the codec and the disk, as above and below",
        ),
        (f"file of {len(payload) / n:,.0f} B", disk, 0.0, "is the bound"),
    ]


def report(bank: Bank) -> str:
    """Table in markdown: microseconds per spectrum on one core, and the bound."""
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        rows, rounded = compute_rows(bank)
        rows += storage_rows(bank, rounded)
    finally:
        numba.set_num_threads(threads)
    lines = [
        f"{machine()}; bank {bank.coef.shape[0]} nodes x {bank.wave.size} pixels; one core",
        "",
        "| stage | µs per spectrum | bound [µs] | stage / bound | what bounds it |",
        "|---|---:|---:|---:|---|",
    ]
    for name, cost, least, by in rows:
        ratio = f"{cost / least:.1f}" if least else ""
        bound = f"{1e6 * least:.1f}" if least else ""
        lines.append(f"| {name} | {1e6 * cost:.1f} | {bound} | {ratio} | {by} |")
    return "\n".join(lines)


def main() -> None:
    """Print the report for the demo bank, or a given one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", help="bank file; the demo grid at PFS MR pixels by default")
    options = parser.parse_args()
    os.environ.setdefault("BLOSC_NTHREADS", "1")
    bank = load_bank(options.bank) if options.bank else cached_bank("demo", "pfs_mr")
    print(report(bank))


if __name__ == "__main__":
    main()
