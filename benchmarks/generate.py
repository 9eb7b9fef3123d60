"""Speed of ``specsim generate``, as ratios to a plain numpy/scipy simulator.

Baselines: ``tests/reference/simulate.py``, one star at a time, timed beside it; and the
published 0.91 spectra/s on 60 threads (Subaru/PFS data set of the SpecViT paper).

    python -m benchmarks.generate [-n 100000] [--workers 2]
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.timing import machine, seconds
from starsmith.data_contract.bank import Bank, load_bank
from starsmith.data_contract.kernels.rounding import round_mantissa
from starsmith.data_contract.noise import true_error
from starsmith.data_contract.random import normals
from starsmith.simulator.bank_cache import cached_bank
from starsmith.simulator.generate import Settings, write_dataset
from starsmith.simulator.interpolate import interpolate
from starsmith.simulator.observe import draw_stars, observe, signal_to_noise
from starsmith.simulator.prior import Prior
from tests.reference.simulate import observe_plainly

PUBLISHED_RATE = 0.91  # spectra/s on 60 threads: 1e6 in 304 h 13 min
N_STAGE = 2048
N_PLAIN = 20


def stage_rows(bank: Bank, n: int = N_STAGE) -> list[tuple[str, float]]:
    """Microseconds per spectrum of every stage, all cores."""
    draws = draw_stars(bank, Prior.default(), 1, "train", np.arange(n))
    flux = interpolate(bank, draws.labels, draws.mag)
    bits = flux.copy().view(np.uint32)
    stages = [
        (
            "draw labels and conditions",
            lambda: draw_stars(bank, Prior.default(), 1, "train", draws.index),
        ),
        ("interpolate", lambda: interpolate(bank, draws.labels, draws.mag)),
        ("round mantissas", lambda: round_mantissa(bits, 12)),
        ("true error", lambda: true_error(bank.noise, flux[:256], draws.conditions[:256])),
        ("signal to noise", lambda: signal_to_noise(bank, flux, draws)),
        ("normals", lambda: normals(1, "noise", "train", draws.index, bank.wave.size)),
    ]
    return [
        (name, 1e6 * seconds(stage) / (min(256, n) if name == "true error" else n))
        for name, stage in stages
    ]


def generate_rate(bank: Bank, n: int, workers: int, store: str) -> float:
    """Spectra per second written to disk, start-up of the workers included."""
    folder = Path(tempfile.mkdtemp())
    try:
        start = time.perf_counter()
        write_dataset(
            bank, Prior.default(), n, folder / "data.zarr", 1, Settings(store=store), workers
        )
        return n / (time.perf_counter() - start)
    finally:
        shutil.rmtree(folder)


def report(bank: Bank, n: int, workers: int, n_plain: int = N_PLAIN) -> str:
    """Tables in markdown."""
    draws = draw_stars(bank, Prior.default(), 1, "train", np.arange(max(n_plain, 256)))
    few = draws.take(slice(0, n_plain))
    rng = np.random.default_rng(0)
    plain = n_plain / seconds(observe_plainly, bank, few, rng, repeat=3)
    fast = len(draws) / seconds(observe, bank, draws)
    lines = [
        f"{machine()}; bank {bank.coef.shape[0]} nodes x {bank.wave.size} pixels",
        "",
        "| what | spectra/s | ratio to plain numpy/scipy (one star at a time) |",
        "|---|---:|---:|",
        f"| plain numpy/scipy, in memory | {plain:,.0f} | 1 |",
        f"| `observe`, in memory | {fast:,.0f} | {fast / plain:.0f} |",
    ]
    for store in ("noiseless", "frozen"):
        generate_rate(bank, min(n, 4096 * workers), workers, store)  # compiles and caches
        rate = generate_rate(bank, n, workers, store)
        lines.append(
            f"| {n:,} to disk, {store} store, {workers} workers | {rate:,.0f} "
            f"| {rate / plain:.0f} |"
        )
    lines += [
        "",
        f"Published simulator: {PUBLISHED_RATE} spectra/s on 60 threads (not timed here).",
        "",
        "| stage | µs per spectrum |",
        "|---|---:|",
        *(f"| {name} | {cost:.1f} |" for name, cost in stage_rows(bank, min(n, N_STAGE))),
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the report for the demo bank."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plain", type=int, default=N_PLAIN, help="stars of the baseline")
    parser.add_argument("--bank", help="bank file; the demo grid at PFS MR pixels by default")
    options = parser.parse_args()
    bank = load_bank(options.bank) if options.bank else cached_bank("demo", "pfs_mr")
    print(report(bank, options.n, options.workers, options.plain))


if __name__ == "__main__":
    main()
