"""Spectra per second that ``specsim generate --device`` computes, beside what the device could.

    python -m benchmarks.gpu_generate [--device cuda] [-n 16384] [--bank BANK]

The bound is memory: the rows of the bank that a spectrum leans on are read once, and the flux is
written, rounded, divided and sorted; a copy on the device measures the bandwidth. The aim on an
H200 is 500,000 spectra/s computed; packing and writing are the CPU's and are measured apart.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import machine
from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.learners.online.device_spectra import DeviceSpectra
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.generation.generate import Settings, check_request
from starsmith.simulator.observe import draw_stars, model_flux
from starsmith.simulator.prior import Prior

PASSES = 8  # of the flux through memory: written, rounded, its error, quotient, sorted
REPEAT = 5


def least_seconds(call, device: str) -> float:
    """Least time of some calls, the device waited for; the first is not told."""
    times = []
    for _ in range(REPEAT + 1):
        start = time.perf_counter()
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def bandwidth(device: str) -> float:
    """Bytes per second that a copy on the device reads and writes."""
    source = torch.ones(2**26 if device.startswith("cuda") else 2**22, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / least_seconds(lambda: target.copy_(source), device)


def report(bank: Bank, n_spec: int, device: str) -> str:
    """Table in markdown, after the values were held against the simulator's."""
    prior = Prior.default()
    counts = {"train": n_spec, "val": 1, "test": 1}
    header = check_request(bank, prior, counts, 1, Settings())
    spectra = DeviceSpectra(bank, header, device)
    draws = draw_stars(bank, prior, 1, "train", np.arange(n_spec))
    some = draws.take(slice(0, 64))
    theirs, ours = spectra(some)["flux_model"], model_flux(bank, some)
    flipped = float((np.abs(theirs / ours - 1.0) > 1e-5).mean())
    stars = [spectra.stars(draws.take(slice(k, k + 1024))) for k in range(0, n_spec, 1024)]
    computed = least_seconds(lambda: [spectra.columns(s, "train") for s in stars], device)
    fetched = least_seconds(lambda: spectra(draws), device)
    n_bytes = (stars[0].rows.shape[1] + PASSES) * 4 * bank.wave.size
    bound = n_bytes / bandwidth(device)
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"
    return (
        f"{machine()}; torch {torch.__version__} on {name}; {n_spec} spectra of {bank.wave.size} "
        f"pixels; {flipped:.2%} of pixels a rounding step off the simulator's\n\n"
        "| what | spectra/s | times the bound |\n|---|---:|---:|\n"
        f"| bound: {n_bytes / 1024:,.0f} kB a spectrum through memory | {1 / bound:,.0f} | 1 |\n"
        f"| computed | {n_spec / computed:,.0f} | {computed / n_spec / bound:.1f} |\n"
        f"| drawn, computed and fetched | {n_spec / fetched:,.0f} "
        f"| {fetched / n_spec / bound:.1f} |"
    )


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("-n", type=int, default=16384)
    parser.add_argument("--bank", type=Path)
    given = parser.parse_args()
    bank = load_bank(given.bank) if given.bank else cached_bank("demo", "pfs_mr")
    print(report(bank, given.n, given.device))


if __name__ == "__main__":
    main()
