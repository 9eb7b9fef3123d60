"""Fixtures shared by all packages: a small bank made from formulae, no survey data."""

import gc
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numba
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
BARE = importlib.util.find_spec("zarr") is None
"""A machine with a GPU, torch, numba and h5py alone: only tests marked gpu are collected there."""

if BARE:
    sys.path.insert(0, str(ROOT))
    from benchmarks.bare_machine import make_importable

    make_importable()

from starsmith.data_contract.bank.bank_file import Bank  # noqa: E402
from starsmith.data_contract.noise.view import NoiseTables  # noqa: E402
from starsmith.simulator.rendering.interpolate import prefilter  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"


def pytest_addoption(parser):
    """Options of pyproject.toml that belong to pytest-xdist, where that is not installed."""
    if importlib.util.find_spec("xdist") is None:
        group = parser.getgroup("xdist")
        group._addoption("-n", dest="n_process", help="ignored: pytest-xdist is not installed")
        group._addoption("--dist", help="ignored: pytest-xdist is not installed")


def pytest_ignore_collect(collection_path):
    """On a bare machine read the tests of the GPU alone: others import what is missing."""
    is_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if BARE and is_test and "gpu" not in collection_path.stem else None


def pytest_configure(config):
    """One thread for each of several processes: they fill the cores, threads would wait.

    The first process hands the variable on to the others, whose BLAS and OpenMP read it as
    they are loaded. Tests of threads ask for them (`test_threads.py`).
    """
    if hasattr(config, "workerinput"):
        import torch

        numba.set_num_threads(1)  # starting, it sets OpenMP's number, which is torch's too
        torch.set_num_threads(1)
    elif config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish(session):
    """Modules and tests live to the end: the collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of reference files beside the checkout; tests skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data are not beside the checkout ({SHARED})")
    return SHARED


def make_noise_tables(wave: np.ndarray) -> NoiseTables:
    """Simple but complete noise tables: smooth throughput, three sky lines."""
    knots = np.linspace(wave[0] - 1.0, wave[-1] + 1.0, 5)
    field = np.linspace(0.0, 0.65, 14)
    seeing = np.linspace(0.4, 1.6, 25)
    zenith = np.linspace(0.0, 60.0, 61)
    lines = sum(
        np.exp(-0.5 * ((wave - centre) / 0.6) ** 2)
        for centre in wave[0] + (wave[-1] - wave[0]) * np.array([0.21, 0.48, 0.83])
    )
    airmass = 1.0 / np.cos(np.radians(zenith))
    aperture = np.exp(-seeing[:, None, None]) * (1 - 0.2 * field[None, :, None])
    return NoiseTables(
        wave=wave,
        conversion=0.0047 * (1.0 + 0.1 * np.sin(wave / 200.0)),
        knot_wave=knots,
        extinction=np.linspace(0.10, 0.05, 5),
        field_angle=field,
        collecting_area=40.0 - 10.0 * field,
        fibre_area=0.98 - 0.25 * field,
        seeing=seeing,
        encircled_energy=aperture * np.ones(5),
        zenith_angle=zenith,
        sky_rate=airmass[:, None] * (0.004 + 0.05 * lines[None, :]),
        read_variance=80.0,
        dark_rate=5e-4,
        stray_fraction=0.015,
        floor_fraction=0.01,
        variance_factor=1.015,
        sample_factor=1.0,
    )


def star_flux(teff, logg, m_h, wave):
    """Surface flux of a toy star: a sloping continuum and four Gaussian lines."""
    slope = (wave / 8000.0) ** (-3.0 * teff / 5000.0)
    span = wave[-1] - wave[0]
    depth = 0.25 + 0.1 * (m_h + 2.0) + 0.02 * (logg - 3.0) - 0.1 * (teff / 5000.0 - 1.0)
    flux = np.ones_like(wave)
    for k, position in enumerate((0.17, 0.4, 0.62, 0.9)):
        width = (1.5 + k) * (1.0 + 0.15 * (logg - 3.0) * (k % 2))
        centre = wave[0] + position * span
        flux -= depth * (0.5 + 0.25 * k) * np.exp(-0.5 * ((wave - centre) / width) ** 2)
    return 1e6 * (teff / 5000.0) ** 4 * slope * flux


def make_toy_bank(n_wave: int = 300) -> Bank:
    """Bank of 6 x 5 x 5 toy stars on ``n_wave`` pixels of 0.43 Å."""
    wave = 8500.0 + 0.43 * np.arange(n_wave)
    axes = (
        np.linspace(3750.0, 6000.0, 6),
        np.linspace(1.0, 5.0, 5),
        np.array([-2.5, -1.75, -1.0, 0.0, 0.75]),
    )
    nodes = np.stack(
        [[[star_flux(t, g, z, wave) for z in axes[2]] for g in axes[1]] for t in axes[0]]
    )
    # one maggie per unit of the mean surface flux, so that bank fluxes are of order unity
    band = nodes.mean(axis=-1) * 6e-15
    coef = prefilter(nodes * 1e-6, axes).reshape(-1, n_wave)
    return Bank(
        grid={"name": "toy"},
        instrument={"name": "toy"},
        label_names=("teff", "logg", "m_h"),
        axes=axes,
        wave=wave,
        coef=coef.astype(np.float32),
        band_coef=prefilter(band[..., None], axes).ravel(),
        filled=np.zeros(coef.shape[0], dtype=bool),
        mag_band="toy",
        noise=make_noise_tables(wave),
        notice="TOY BANK (formulae, not stars)",
    )


@pytest.fixture(scope="session")
def toy_bank() -> Bank:
    """Small bank with known fluxes; S/N near 7 at magnitude 21.5."""
    return make_toy_bank()


@pytest.fixture(scope="session")
def clean_python(tmp_path_factory):
    """A fresh environment that holds the built wheel, and the dependencies by path only."""
    work = tmp_path_factory.mktemp("wheel")
    source = work / "source"
    skip = shutil.ignore_patterns(".git", ".venv", "demo", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=skip)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "-v", "--no-deps", "--no-build-isolation", "-w", str(work), str(source)]
    built = subprocess.run(build, check=True, capture_output=True, text=True)
    (work / "build.log").write_text(built.stdout + built.stderr)
    (wheel,) = work.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(work / "env")], check=True)
    (site,) = (work / "env" / "lib").glob("python*/site-packages")
    install = [*pip, "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True)
    # a path line adds the dependencies without running the editable install's hooks
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return work / "env" / "bin" / "python"
