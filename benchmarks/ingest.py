"""How fast observed spectra become a data set, and in how much memory.

    python -m benchmarks.ingest [--n 100000] [--n-wave 1462]

The file is HDF5 as the papers' local copies are: flux, inverse variance, three labels, one wave
of all spectra. It is read twice, written in shards and hashed by one process.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from benchmarks.timing import machine
from starsmith.data_contract.surveys.ingest import Ingest, ingest_files
from starsmith.data_contract.surveys.scan import Source

BLOCK = 1000  # spectra written at a time


def write_spectra(path: Path, n: int, n_wave: int) -> None:
    """Write ``n`` spectra of S/N 10 per pixel, each of a star of its own."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        shape = {"shape": (n, n_wave), "dtype": "f4", "chunks": (min(n, 64), n_wave)}
        flux, ivar = (file.create_dataset(name, **shape) for name in ("spectra", "ivar"))
        for start in range(0, n, BLOCK):
            rows = slice(start, min(start + BLOCK, n))
            flux[rows] = 1.0 + 0.1 * rng.standard_normal((rows.stop - start, n_wave))
            ivar[rows] = 100.0
        file["targetid"] = np.arange(n)
        file["wave"] = 5000.0 + np.arange(n_wave)
        for name in ("teff", "logg", "feh"):
            file[name] = np.full(n, 1.0)


def main() -> None:
    """Print one row of the table in docs/surveys.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--n-wave", type=int, default=1462)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spectra.h5"
        write_spectra(path, options.n, options.n_wave)
        wall, cpu = time.perf_counter(), time.process_time()
        ingest_files(Ingest(source=Source(files=(path,))), Path(folder) / "observed.zarr")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(machine())
    print("| spectra | pixels | per second | per CPU second | memory [MB] |")
    print("|---:|---:|---:|---:|---:|")
    print(
        f"| {options.n} | {options.n_wave} | {options.n / wall:.0f} | {options.n / cpu:.0f} "
        f"| {most:.0f} |"
    )


if __name__ == "__main__":
    main()
