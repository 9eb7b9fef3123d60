"""What the benchmark of the networks needs where starsmith is not installed: a GPU machine.

Such a machine has a checkout, torch and numpy. Packages that only read files or draw figures
are replaced by empty ones, and a bank is read from one .npz file or made from formulae.
"""

import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

__all__ = [
    "PlainBank",
    "make_importable",
    "missing_packages",
    "read_npz",
    "specvit_ranges",
    "synthetic_bank",
    "training_view",
    "write_npz",
]

ROOT = Path(__file__).resolve().parents[1]
REPLACEABLE = (
    "astropy", "click", "dust_extinction", "google_crc32c", "h5py", "httpx", "lazy_loader",
    "lightgbm", "llvmlite", "matplotlib", "numba", "numcodecs", "pandas", "platformdirs", "rich",
    "safetensors", "scipy", "sklearn", "speclite", "tables", "tomli_w", "zarr",
)  # fmt: skip


NUMBERS = {  # of scipy.constants, read when modules are loaded; exact by definition
    "c": 299792458.0, "h": 6.62607015e-34, "k": 1.380649e-23, "eV": 1.602176634e-19,
    "kilo": 1e3, "nano": 1e-9, "angstrom": 1e-10, "erg": 1e-7,
}  # fmt: skip


class Anything(type):
    """Class of classes that have every name one asks for: again such a class."""

    def __getattr__(cls, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name, (Nothing,), {})


class Nothing(Exception, metaclass=Anything):
    """Takes every argument and does nothing with it."""

    def __init__(self, *arguments, **options):
        super().__init__()


class Absent(ModuleType):
    """A package that is not there: every name in it is a class that does nothing."""

    __path__: tuple = ()

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        if self.__name__ == "scipy" and name == "constants":
            return self
        if name in NUMBERS:
            return NUMBERS[name]
        if name == "attach_stub":
            return attach_stub
        if name in ("njit", "jit", "vectorize"):
            return passthrough
        if name == "prange":
            return range
        return Anything(name, (Nothing,), {})


def attach_stub(package: str, file: str) -> tuple:
    """Stand in for `lazy_loader.attach_stub`: names are imported when they are asked for."""
    lines = Path(file).with_suffix(".pyi").read_text()
    found = re.findall(r"^from \.([\w.]*) import (\w+) as", lines, re.MULTILINE)
    places = {name: module for module, name in found}

    def get(name: str):
        if name not in places:
            raise AttributeError(f"{package} has no {name}")
        return getattr(importlib.import_module(f"{package}.{places[name]}"), name)

    return get, lambda: list(places), list(places)


def passthrough(*arguments, **options):
    """Stand in for a compiling decorator: the function stays as it is."""
    if arguments and callable(arguments[0]):
        return arguments[0]
    return lambda function: function


class AbsentFinder(MetaPathFinder, Loader):
    """Finds packages of `REPLACEABLE` that nothing else finds."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in REPLACEABLE:
            return ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Absent(spec.name)

    def exec_module(self, module):
        """Nothing is in it."""


def missing_packages() -> list[str]:
    """Packages that starsmith imports and this machine has not."""
    return [name for name in REPLACEABLE if importlib.util.find_spec(name) is None]


def make_importable() -> list[str]:
    """Make ``starsmith`` importable from this checkout; return which packages are missing."""
    missing = missing_packages()
    sys.meta_path.append(AbsentFinder())
    if importlib.util.find_spec("starsmith") is None:
        package = ModuleType("starsmith")  # without the face, whose names need what is missing
        package.__path__ = [str(ROOT)]
        sys.modules["starsmith"] = package
    return missing


@dataclass(frozen=True, kw_only=True)
class PlainBank:
    """The part of a `starsmith.data_contract.bank.Bank` that decides spectra."""

    label_names: tuple[str, ...]
    axes: tuple[np.ndarray, ...]
    wave: np.ndarray
    coef: np.ndarray
    band_coef: np.ndarray
    filled: np.ndarray
    noise: object
    degree: int = 3
    basis: np.ndarray | None = None


def write_npz(path: Path, bank) -> None:
    """Write a bank as one file that numpy alone can read."""
    arrays = {f"axis_{k}": nodes for k, nodes in enumerate(bank.axes)}
    arrays |= {f"noise_{name}": values for name, values in bank.noise.arrays().items()}
    if bank.basis is not None:
        arrays["basis"] = bank.basis
    np.savez(
        path,
        label_names=np.array(bank.label_names),
        degree=bank.degree,
        wave=bank.wave,
        coef=bank.coef,
        band_coef=bank.band_coef,
        filled=bank.filled,
        arm_names=np.array(bank.noise.arm_names),
        **arrays,
    )


def read_npz(path: Path) -> PlainBank:
    """Read a file of `write_npz`."""
    from starsmith.data_contract.noise.noise_tables import NoiseTables

    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    noise = {k.removeprefix("noise_"): v for k, v in arrays.items() if k.startswith("noise_")}
    names = tuple(arrays["label_names"].tolist())
    return PlainBank(
        label_names=names,
        axes=tuple(arrays[f"axis_{k}"] for k in range(len(names))),
        noise=NoiseTables.from_arrays(noise, tuple(arrays["arm_names"].tolist())),
        degree=int(arrays["degree"]),
        basis=arrays.get("basis"),
        **{name: arrays[name] for name in ("wave", "coef", "band_coef", "filled")},
    )


def synthetic_bank(n_wave: int = 4096, shape: tuple[int, ...] = (10, 9, 14)) -> PlainBank:
    """Bank of formulae with the axes and pixels of the paper's; its speed is that of a real one."""
    from starsmith.data_contract.noise.noise_tables import NoiseTables

    random = np.random.default_rng(0)
    wave = 7100.0 + 0.43 * np.arange(n_wave)
    ends = ((3750.0, 6000.0), (1.0, 5.0), (-2.5, 0.75))
    axes = tuple(np.linspace(*end, n) for end, n in zip(ends, shape, strict=True))
    x = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"), -1)
    pattern = random.normal(size=(3, n_wave)) * (random.uniform(size=n_wave) < 0.05)
    coef = 1.0 + 0.3 * np.tanh(x.reshape(-1, 3) @ pattern)
    zenith, seeing = np.linspace(0.0, 60.0, 61), np.linspace(0.4, 1.6, 25)
    field = np.linspace(0.0, 0.65, 14)
    sky = 0.004 + 0.05 * (random.uniform(size=n_wave) < 0.05)
    n_knot = 36
    noise = NoiseTables(
        wave=wave,
        conversion=np.full(n_wave, 0.0047),
        knot_wave=np.linspace(wave[0] - 1.0, wave[-1] + 1.0, n_knot),
        extinction=np.linspace(0.1, 0.05, n_knot),
        field_angle=field,
        collecting_area=40.0 - 10.0 * field,
        fibre_area=0.98 - 0.25 * field,
        seeing=seeing,
        encircled_energy=np.exp(-seeing[:, None, None]) * np.ones((1, 14, n_knot)),
        zenith_angle=zenith,
        sky_rate=sky / np.cos(np.radians(zenith))[:, None],
        read_variance=80.0,
        dark_rate=5e-4,
        stray_fraction=0.015,
        floor_fraction=0.01,
        variance_factor=1.015,
        sample_factor=1.0,
    )
    return PlainBank(
        label_names=("teff", "logg", "m_h"),
        axes=axes,
        wave=wave,
        coef=coef.astype(np.float32),
        band_coef=np.full(len(coef), 1e-9),
        filled=np.zeros(len(coef), dtype=bool),
        noise=noise,
    )


def training_view(source, labels: tuple[str, ...], n_spec: int) -> SimpleNamespace:
    """What statistics are measured on: stars of record, as `open_online` draws them."""
    from starsmith.learners.online.online_view import drawn_split

    train, val = (drawn_split(source, split, n_spec) for split in ("train", "val"))
    return SimpleNamespace(train=train, val=val, labels=labels)


def specvit_ranges() -> Mapping[str, tuple[float, float]]:
    """Prior of the SpecViT paper, Table 2, without what an online run does not vary."""
    return {
        "teff": (3750.0, 6000.0), "logg": (1.0, 5.0), "m_h": (-2.5, 0.75), "a_m": (0.0, 0.0),
        "c_m": (0.0, 0.0), "mag": (20.5, 22.5), "seeing": (0.5, 1.5),
        "zenith_angle": (0.0, 45.0), "field_angle": (0.0, 0.65),
        "moon_zenith_angle": (30.0, 90.0), "moon_target_angle": (60.0, 180.0),
        "moon_phase": (0.0, 0.0), "exp_time": (900.0, 900.0), "exp_count": (12.0, 12.0),
    }  # fmt: skip
