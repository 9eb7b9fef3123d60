"""Overhead of a dask cluster with cold workers against the pool of one machine.

    python -m benchmarks.clusters [-n 100000] [--bank bank.zarr]

Both write the same data set with two workers of one thread, in turn, each in a process of its own.
Processor time of all processes counts, start-up included; wall time depends on who else works.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.timing import machine
from starsmith.simulator.cache.cached_bank import cached_bank

WORKERS, PAIRS = 2, 5

RUN = """
import sys
from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.simulator import Crew, Prior, write_dataset

if __name__ == "__main__":
    kind, bank, n, out, workers = sys.argv[1:]
    arguments = load_bank(bank), Prior.default(), int(n), out, 1, None
    if kind == "pool":
        print(write_dataset(*arguments, int(workers)).digest)
    else:
        from dask.distributed import Client, LocalCluster

        with LocalCluster(
            n_workers=int(workers), threads_per_worker=1, dashboard_address=None
        ) as cluster, Client(cluster) as client:
            print(write_dataset(*arguments, Crew(executor=client.get_executor())).digest)
"""


def spent(kind: str, bank: Path, n: int, folder: Path) -> tuple[float, float, str]:
    """Processor and wall seconds of one run, and the digest of what it wrote."""
    script, out = folder / "run.py", folder / "data.zarr"
    script.write_text(RUN)
    shutil.rmtree(out, ignore_errors=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, script, kind, bank, str(n), out, str(WORKERS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall, done.stdout.split()[-1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=100_000)
    parser.add_argument("--bank", type=Path, help="the demo grid at PFS MR pixels by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bank = options.bank or Path(folder) / "bank.zarr"
        if not options.bank:
            cached_bank("demo", "pfs_mr").save(bank)
        pairs = [
            {kind: spent(kind, bank, options.n, Path(folder)) for kind in ("pool", "dask")}
            for _ in range(PAIRS)
        ]
    digests = {run[2] for pair in pairs for run in pair.values()}
    ratios = sorted(pair["dask"][0] / pair["pool"][0] for pair in pairs)
    print(f"{machine()}; {options.n:,} spectra, {WORKERS} cold workers, {PAIRS} pairs in turn\n")
    print("| who | CPU [µs a spectrum], each run | wall [s], each run |\n|---|---|---|")
    for kind in ("pool", "dask"):
        cpu = ", ".join(f"{1e6 * pair[kind][0] / options.n:.0f}" for pair in pairs)
        print(f"| {kind} | {cpu} | {', '.join(f'{pair[kind][1]:.0f}' for pair in pairs)} |")
    print(
        f"\nCPU of dask over the pool's: {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
    )
    print(f"Data sets are {'the same' if len(digests) == 1 else 'NOT the same'}, to the bit.")


if __name__ == "__main__":
    main()
