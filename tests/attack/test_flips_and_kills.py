"""A flipped byte is found or harmless; a killed command leaves nothing that its rerun minds."""

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.written.driver import run

pytestmark = pytest.mark.slow

N_FLIP, N_KILL = 60, 17
CHECKED = {  # what finds a flipped byte
    "data.zarr": "specdata verify data.zarr",
    "bank.zarr": "specdata verify bank.zarr",
    "grid.zarr": "specdata verify grid.zarr",
    "ridge": "speclearn predict ridge star.ecsv",
    "trees": "speclearn predict trees star.ecsv",
    "vit": "speclearn predict vit star.ecsv",
    "gp": "speclearn predict gp data.zarr",
}
HARMLESS = {  # files of a run that nothing reads when a model is used
    "metrics.jsonl",
    "run.json",
    "recipe.toml",
    "state.safetensors",
}
KILLED = {  # command -> what it makes
    "specsim generate -n 3000 --shard-rows 256 --bank bank.zarr --out new.zarr": "new.zarr",
    "specsim bank --grid grid.zarr --out new.zarr": "new.zarr",
    "specsim grid import archive --out new.zarr": "new.zarr",
    "speclearn train data.zarr --model specvit_tiny --epochs 4 --out new": "new/model.safetensors",
    "specdata convert data.zarr new.zarr --store frozen": "new.zarr",
    "specdata repair data.zarr --bank bank.zarr": "data.zarr",
}


@pytest.mark.parametrize("name", CHECKED)
def test_a_flipped_byte_is_found_or_harmless(kept, tmp_path, monkeypatch, name):
    """Sixty places, each in a copy that is otherwise whole."""
    needs = {name, "star.ecsv", "data.zarr"}
    for other in needs:
        source = kept / "pristine" / other
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / other)
    monkeypatch.chdir(tmp_path)
    rng = random.Random(name)
    files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file() and p.stat().st_size)
    files = [p for p in files if p.name not in HARMLESS]
    assert run(CHECKED[name])[0] == 0
    unseen = []
    for _ in range(N_FLIP):
        path = rng.choice(files)
        content = bytearray(path.read_bytes())
        place = rng.randrange(len(content))
        content[place] ^= 1 << rng.randrange(8)
        whole = path.read_bytes()
        path.write_bytes(content)
        code, said = run(CHECKED[name])
        path.write_bytes(whole)
        if code not in (2, 3):
            unseen.append(f"{path.relative_to(tmp_path)} byte {place}: exit {code}: {said[-100:]}")
    assert not unseen, "\n".join(unseen)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    texts = (str(p.relative_to(path)).encode() + p.read_bytes() for p in files)
    return hashlib.sha256(b"".join(texts)).hexdigest()


def damage(folder: Path) -> None:
    """Give ``specdata repair`` something to do."""
    shard = max((p for p in (folder / "data.zarr" / "train").rglob("c/*") if p.is_file()), key=str)
    shard.write_bytes(shard.read_bytes()[:-3])


def laid_out(kept: Path, folder: Path, line: str) -> None:
    """What a command needs, in a new folder."""
    folder.mkdir()
    for name in ("bank.zarr", "grid.zarr", "archive", "data.zarr"):
        if name in line:
            shutil.copytree(kept / "pristine" / name, folder / name)
    if " repair " in line:
        damage(folder)


def started(line: str, folder: Path) -> subprocess.Popen:
    """A command in a process group of its own."""
    tool, *words = line.split()
    command = [sys.executable, "-m", f"starsmith.cli.{tool}", *words]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, start_new_session=True, text=True, **quiet)


@pytest.mark.parametrize("line", KILLED)
def test_a_killed_command_is_run_again_and_makes_the_same_bits(kept, tmp_path, line):
    """Seventeen kills at times spread over the whole run: a hundred and two in all."""
    laid_out(kept, tmp_path / "whole", line)
    start = time.monotonic()
    process = started(line, tmp_path / "whole")
    said = process.communicate()[1]
    seconds = time.monotonic() - start
    assert process.returncode == 0, said
    wanted = digest_of(tmp_path / "whole" / KILLED[line])
    names = {p.name for p in (tmp_path / "whole").iterdir()}
    for k, wait in enumerate(np.linspace(0.3, 1.0, N_KILL) * seconds):
        folder = tmp_path / f"killed{k}"
        laid_out(kept, folder, line)
        process = started(line, folder)
        try:
            process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        again = started(line, folder)
        said = again.communicate()[1]
        told_complete = (
            again.returncode == 2 and "exists" in said
        )  # it was finished before the kill
        assert again.returncode == 0 or told_complete, f"killed after {wait:.2f} s: {said}"
        assert digest_of(folder / KILLED[line]) == wanted, f"killed after {wait:.2f} s"
        left = {p.name for p in folder.iterdir()} - names
        assert not left, f"killed after {wait:.2f} s: {sorted(left)} left"
        shutil.rmtree(folder)
