"""A thousand bad inputs to all readers: one line, exit code 0, 2 or 3, nothing left behind.

In one process, so that a process that dies shows. What may stay 0 is damage that no reader of that
command looks at, or that changes nothing.
"""

import resource
import shutil
import signal
import time
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import numpy as np
import pytest

from starsmith.data_contract.grid.grid_file import GridData, write_grid
from starsmith.simulator.samples import sample_population
from tests.attack.mutations import MUTATIONS, VALUES
from tests.cli.conftest import call

pytestmark = pytest.mark.slow

KEPT = Path(__file__).parents[1] / "kept/before.zip"
SECONDS = 20
MEMORY_KB = 1_500_000
LEAST = 1000

GENERATE = "specsim generate --splits train=16,val=16,test=16 --workers 1 --out OUT"
TRAIN = "speclearn train data.zarr --target logg --out OUT"
PREDICT = "speclearn predict {} data.zarr --out OUT.ecsv"
BANK_FILES = (
    "zarr.json",
    "wave/zarr.json",
    "wave/c/0",
    "coef/zarr.json",
    "coef/c/0/0",
    "noise/zarr.json",
    "noise/sky_rate/zarr.json",
    "noise/sky_rate/c/0/0",
    "teff/c/0",
)
DATA_FILES = (
    "zarr.json",
    "run.json",
    "manifest.json",
    "wave/c/0",
    "shards/train-00000.json",
    "train/flux_model/zarr.json",
    "train/flux_model/c/0/0",
    "train/logg/c/0",
)
GRID_FILES = ("zarr.json", "flux/zarr.json", "flux/c/0/0/0", "valid/c/0/0", "wave/zarr.json")
TARGETS = {
    "bank.zarr": (
        BANK_FILES,
        (f"{GENERATE} --bank bank.zarr", "specdata verify bank.zarr", "specdata info bank.zarr"),
    ),
    "data.zarr": (
        DATA_FILES,
        ("specdata verify data.zarr", "specdata info data.zarr", f"{TRAIN} --model ridge"),
    ),
    "grid.zarr": (
        GRID_FILES,
        ("specdata verify grid.zarr", "specsim grid info --grid grid.zarr"),
    ),
    "ridge": (
        ("card.json", "model.safetensors"),
        (PREDICT.format("ridge"), "specdata verify ridge"),
    ),
    "lightgbm": (
        ("card.json", "trees/logg.txt"),
        (PREDICT.format("lightgbm"), "specdata verify lightgbm"),
    ),
    "mlp": (
        ("card.json", "model.safetensors"),
        (PREDICT.format("mlp"), "specdata verify mlp"),
    ),
    "published": (
        ("train.h5",),
        ("specdata info published/train.h5", "specdata convert published OUT"),
    ),
    "run.toml": (("",), (f"{GENERATE} --bank bank.zarr --dry-run --config run.toml",)),
    "instrument.toml": (("",), ("specsim instrument show instrument.toml",)),
    "recipe.toml": (("",), (f"{TRAIN} --model ridge --recipe recipe.toml",)),
    "stars.csv": (("",), (f"{GENERATE} --bank bank.zarr --dry-run --population stars.csv",)),
    "ridge.ecsv": (("",), ("speclearn evaluate ridge.ecsv data.zarr",)),
}
"""File or folder -> files in it that are damaged, and commands that read it."""
OPTIONS = {
    "specsim generate": "--bank bank.zarr --dry-run --out OUT",
    "specsim spectrum": "--bank bank.zarr --index 3",
    "specfisher info": "--bank bank.zarr --star teff=4500,logg=2,m_h=-1",
}


@dataclass(frozen=True)
class Answer:
    """What a command answered to a bad input."""

    case: str
    code: int
    text: str
    seconds: float
    left: tuple[str, ...]

    @property
    def miss(self) -> str:
        """What is wrong with it; empty if nothing is."""
        if self.code not in (0, 2, 3):
            return f"exit code {self.code}"
        if "unexpected" in self.text or "Traceback" in self.text:
            return "unexpected"
        if self.left and self.code:
            return f"left {self.left}"
        return f"{self.seconds:.0f} s" if self.seconds > SECONDS else ""


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """Files of every kind; never written to."""
    folder = tmp_path_factory.mktemp("attack")
    with zipfile.ZipFile(KEPT) as archive:
        archive.extractall(folder)
    axes = {"teff": np.array([4000.0, 5000.0]), "logg": np.array([1.0, 3.0])}
    flux = np.ones((2, 2, 50), dtype=np.float32)
    wave = np.linspace(8000.0, 8100.0, 50)
    valid = np.ones((2, 2), dtype=bool)
    write_grid(
        folder / "grid.zarr",
        GridData(name="toy", axes=axes, wave=wave, flux=flux, resolution=1e4, valid=valid),
    )
    assert call("specdata convert", folder / "data.zarr", folder / "published").exit_code == 0
    (folder / "run.toml").write_text("seed = 5\nmag = [20, 21]\nstore = 'noiseless'\n")
    instruments = Path(__file__).parents[2] / "simulator/instruments"
    shutil.copy(instruments / "pfs_mr.toml", folder / "instrument.toml")
    (folder / "recipe.toml").write_text(
        'kind = "ridge"\npenalties = [0.1, 1.0]\nnoise_copies = 1\n'
    )
    sample_population().write(folder / "stars.csv", format="ascii.csv")
    return folder


@pytest.fixture
def place(before, tmp_path, monkeypatch):
    """A folder of copies, in which commands run."""
    shutil.copytree(before, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def answer(line, case, place):
    """Run a command under an alarm and say what it answered."""
    out = place.parent / "out"
    out.mkdir(exist_ok=True)

    def ring(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(2 * SECONDS)
    start = time.monotonic()
    words = [str(out / word) if word.startswith("OUT") else word for word in line.split(" ")]
    try:
        done = call(" ".join(words[:2]), *words[2:])
    finally:
        signal.alarm(0)
    seconds = time.monotonic() - start
    left = tuple(sorted(path.name for path in out.iterdir()))
    shutil.rmtree(out)
    return Answer(f"{line}: {case}", done.exit_code, done.stderr, seconds, left)


def restore(before, place, name):
    """Put a file or folder back as it was."""
    for path in (place / name, place / "elsewhere", place.parent / "elsewhere"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.is_symlink() or path.exists():
            path.unlink()
    if (before / name).is_dir():
        shutil.copytree(before / name, place / name)
    else:
        shutil.copy(before / name, place / name)


def misses(answers):
    """Lines on the answers that are wrong."""
    found = [f"{a.miss}: {a.case} | {a.text.strip()[-200:]}" for a in answers if a.miss]
    print("\n".join(found))
    return found


@pytest.fixture(scope="module")
def counted():
    """Number of inputs tried; at the end, whether there were enough and memory stayed bounded."""
    before, tried = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    yield tried
    if len({target for target, _ in tried}) > len(TARGETS):
        assert sum(n for _, n in tried) >= LEAST
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KB


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_files_are_one_line(target, before, place, counted):
    """Every mutation of every file of every kind, in every command that reads it."""
    files, commands = TARGETS[target]
    answers = []
    for file in files:
        for name, mutate in MUTATIONS.items():
            mutate(place / target / file if file else place / target)
            answers += [answer(line, f"{target}/{file} {name}", place) for line in commands]
            restore(before, place, target)
    counted.append((target, len(answers)))
    assert misses(answers) == []


@pytest.mark.parametrize("command", OPTIONS)
def test_wrong_values_are_one_line(command, place, counted):
    """Every bad value of every option that takes one."""
    tool, name = command.split()
    group = import_module(f"starsmith.cli.{tool}").main
    options = group.get_command(click.Context(group), name).params
    answers = []
    for option in options:
        if not isinstance(option, click.Option) or option.is_flag or option.count:
            continue
        for value in VALUES:
            line = f"{command} {OPTIONS[command]} {option.opts[-1]} {value}"
            answers.append(answer(line, value[:10], place))
    counted.append((command, len(answers)))
    assert misses(answers) == []
