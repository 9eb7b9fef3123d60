"""Bytes of every store in both precisions, the CPU time to write and read them, and what is lost.

    python -m benchmarks.stores [--bank BANK] [-n 2048]

Rows are spectra of the default prior. Bytes are those of the files of spectra alone. A spectrum
is decoded again and held against the one before rounding, in units of its own sigma.
"""

import argparse
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.timing import machine
from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.dataset.precision import PRECISIONS, STEPS_PER_SIGMA
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.dataset.shards import Shard, finish_dataset, write_shard
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.generation.generate import Settings, write_dataset
from starsmith.simulator.generation.shard import make_shard
from starsmith.simulator.observe import draw_stars, flux_of
from starsmith.simulator.prior import Prior

REPEAT = 5


def cpu_microseconds(function, n_spec: int) -> float:
    """Least CPU time of a few calls, per spectrum [us]; the first, which compiles, is not told."""
    function()
    times = []
    for _ in range(REPEAT):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times) / n_spec * 1e6


def measured(bank: Bank, store: str, precision: str, n_spec: int, folder: Path) -> str:
    """One row of the table: a shard of a store written and read."""
    prior, out = Prior.default(), folder / f"{store}-{precision}"
    counts = {"train": n_spec, "val": 1, "test": 1}
    settings = Settings(store=store, precision=precision, shard_rows=-(-n_spec // 64) * 64)
    write_dataset(bank, prior, counts, out, 1, settings)
    split = open_dataset(out).split("train")
    header, shard = split.header, Shard("train", 0, 0, n_spec)
    names = [name for name, column in header.columns.items() if column.is_flux]
    changed = lost(bank, split, names)
    read = cpu_microseconds(lambda: [split.column(name) for name in names], n_spec)
    files = [file for name in names for file in (out / "train" / name / "c").rglob("*")]
    n_bytes = sum(file.stat().st_size for file in files if file.is_file()) / n_spec
    columns = make_shard(bank, prior, header, shard)
    write = cpu_microseconds(lambda: write_shard(out, header, shard, columns), n_spec)
    finish_dataset(out)
    return f"| {store} | {precision} | {n_bytes:,.0f} | {write:.1f} | {read:.1f} | {changed}"


def packed_by_pcodec(bank: Bank, store: str, n_spec: int, folder: Path) -> str:
    """What pcodec would make of the spectra in steps, chunk by chunk."""
    from pcodec import ChunkConfig, standalone

    split = open_dataset(folder / f"{store}-noise").split("train")
    names = [name for name, column in split.header.columns.items() if column.is_flux]
    n_bytes, start = 0, time.process_time()
    for name in names:
        values = split.column(name)
        for k in range(0, n_spec, split.header.chunk_rows):
            chunk = values[k : k + split.header.chunk_rows].ravel()
            n_bytes += len(standalone.simple_compress(chunk, ChunkConfig()))
    spent = (time.process_time() - start) / n_spec * 1e6
    return (
        f"| {store} | noise, by pcodec | {n_bytes / n_spec:,.0f} | {spent:.1f}, codec alone | | | |"
    )


def lost(bank: Bank, split, names: list[str]) -> str:
    """Largest and rms change of the flux in units of the star's own sigma."""
    some = np.arange(min(len(split), 256))
    draws = draw_stars(bank, Prior.default(), split.header.seed, "train", some)
    if "flux_model" not in names:
        return "| |"
    exact = flux_of(bank, draws)
    sigma = split.observe(some).error
    moved = (split.flux_model(some) - exact) / sigma
    return f"{np.abs(moved).max():.4f} | {np.sqrt((moved**2).mean()):.4f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", type=Path)
    parser.add_argument("-n", type=int, default=2048)
    given = parser.parse_args()
    bank = load_bank(given.bank) if given.bank else cached_bank()
    print(f"{machine()}; {given.n} spectra of {bank.wave.size} pixels\n")
    print("| store | precision | bytes | write [us of CPU] | read [us of CPU] |", end="")
    print(" largest change [sigma] | rms |\n|---|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for store in STEPS_PER_SIGMA:
            for precision in PRECISIONS:
                print(measured(bank, store, precision, given.n, Path(folder)), flush=True)
            if find_spec("pcodec"):
                print(packed_by_pcodec(bank, store, given.n, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
