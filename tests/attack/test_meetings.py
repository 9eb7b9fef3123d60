"""Processes that meet at one place: no failure, or one clear refusal."""

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def started(line, folder, **variables):
    """A command as a process of its own."""
    tool, *words = line.split()
    return subprocess.Popen(
        [sys.executable, "-m", f"starsmith.cli.{tool}", *words],
        cwd=folder,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(processes):
    """Exit code and last line of stderr of each."""
    said = [process.communicate()[1].strip().splitlines()[-1:] for process in processes]
    return [(p.returncode, "".join(text)) for p, text in zip(processes, said, strict=True)]


@pytest.fixture
def folder(kept, tmp_path):
    """Grid and data set of the pristine files."""
    for name in ("grid.zarr", "data.zarr", "bank.zarr"):
        shutil.copytree(kept / "pristine" / name, tmp_path / name)
    return tmp_path


def test_four_first_users_fill_one_empty_cache(folder):
    """All render the same bank at once; each gets its spectrum, and one bank is left."""
    cache = folder / "cache"
    line = (
        "specsim generate -n 20 --workers 1 --grid grid.zarr --out own{}.zarr "
        "--teff 4500..5500 --logg 4..4.5 --m-h=-0.5..0"
    )
    users = [started(line.format(k), folder, XDG_CACHE_HOME=str(cache)) for k in range(4)]
    found = ended(users)
    assert [code for code, _ in found] == [0] * 4, found
    banks = list(cache.rglob("banks/*"))
    assert len([path for path in banks if path.suffix == ".zarr"]) <= 1, banks
    assert not [path for path in cache.rglob("*") if "partial" in path.name]


def test_ten_readers_of_a_bank_that_is_being_replaced(folder):
    """Each reads the old bank or the new one, whole."""
    build = "specsim bank --grid grid.zarr --out moving.zarr --overwrite"
    assert ended([started(build, folder)])[0][0] == 0
    line = "specsim spectrum --bank moving.zarr --teff 5000 --logg 4.2 --m-h=-0.2 --index {}"
    for _ in range(2):
        writer = started(build, folder)
        readers = [started(line.format(k), folder) for k in range(5)]
        found = ended([writer, *readers])
        assert [code for code, _ in found] == [0] * 6, found
    assert {p.name for p in folder.iterdir()} == {
        "grid.zarr",
        "data.zarr",
        "bank.zarr",
        "moving.zarr",
    }


def test_two_trainers_in_one_folder(folder):
    """One trains; the other is refused in one line that names the folder, or finds it done."""
    line = "speclearn train data.zarr --model specvit_tiny --epochs 3 --out models/one"
    found = ended([started(line, folder) for _ in range(2)])
    codes = sorted(code for code, _ in found)
    assert codes in ([0, 0], [0, 2]), found
    if codes == [0, 2]:
        refusal = next(text for code, text in found if code == 2)
        assert "models/one" in refusal
    again = ended([started("speclearn predict models/one data.zarr --out p.ecsv", folder)])
    assert again[0][0] == 0, again
