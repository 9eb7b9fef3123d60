"""What a command of one star has to import before it answers."""

import subprocess
import sys

HEAVY = ("matplotlib", "torch", "astropy", "pandas", "sklearn", "dask", "scipy.stats")


def loaded(code: str) -> set[str]:
    """Names of packages that a fresh interpreter has loaded after the code."""
    watched = (*HEAVY, "numba", "zarr", "scipy", "scipy.sparse", "scipy.special", "scipy.ndimage")
    tail = f"\nprint('LOADED', *[m for m in {watched!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + code + tail],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_a_face_imports_nothing():
    """Names are imported on first use."""
    faces = ("", ".data_contract", ".simulator", ".fisher", ".learners")
    assert loaded("import " + ", ".join("starsmith" + face for face in faces)) == set()


def test_generation_imports_no_synthesis_no_tables_and_no_figures():
    """Stars of a kept bank need numba, zarr and numpy; scipy's name, none of its packages."""
    code = "import starsmith.simulator.generation.generate, starsmith.simulator.cache.cached_bank"
    assert loaded(code) <= {"numba", "zarr", "scipy"}
