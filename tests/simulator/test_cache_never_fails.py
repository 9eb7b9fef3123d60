"""The cache can fail no command: damaged, unwritable, missing, or first used by several at once."""

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.digests import DIGESTS
from starsmith.data_contract.files.user_cache import (
    cache_folder,
    kept_or_made,
    let_go,
    shared_until_whole,
)
from starsmith.data_contract.grid.grid_file import write_grid
from starsmith.simulator.grids.cached_demo import read_with_digests
from starsmith.simulator.grids.demo import build_demo_grid, demo_cache_key
from starsmith.simulator.synthesis import Sampling


@pytest.fixture(autouse=True)
def released():
    """No entry stays held between tests."""
    yield
    let_go()


@pytest.fixture
def entry(toy_bank, tmp_path):
    """A bank kept in the cache."""
    path = tmp_path / "banks/0.zarr"
    toy_bank.save(path)
    return path


def flip(path):
    content = bytearray((path / "coef/c/0/0").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "coef/c/0/0").write_bytes(content)


def in_its_place(make):
    def damage(path):
        shutil.rmtree(path)
        make(path)

    return damage


DAMAGE = {
    "flip": flip,
    "no description": lambda path: (path / "zarr.json").unlink(),
    "empty description": lambda path: (path / "zarr.json").write_bytes(b""),
    "deep description": lambda path: (path / "zarr.json").write_bytes(b"[" * 100_000),
    "list": lambda path: (path / "zarr.json").write_bytes(b"[]"),
    "no UTF-8": lambda path: (path / "wave/zarr.json").write_bytes(b"\xff\xfe"),
    "lost array": lambda path: shutil.rmtree(path / "wave"),
    "lost noise": lambda path: shutil.rmtree(path / "noise"),
    "pipe": lambda path: (os.unlink(path / "wave/c/0"), os.mkfifo(path / "wave/c/0")),
    "empty folder": in_its_place(lambda path: path.mkdir()),
    "file": in_its_place(lambda path: path.write_text("x")),
    "pipe in its place": in_its_place(os.mkfifo),
    "link to nowhere": in_its_place(lambda path: path.symlink_to("nowhere")),
    "link to itself": in_its_place(lambda path: path.symlink_to(path.name)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_damaged_is_made_again(entry, toy_bank, kind):
    """And is whole afterwards; nothing is left beside it."""
    DAMAGE[kind](entry)
    found = kept_or_made(entry, load_bank, lambda: toy_bank, Bank.save)
    assert found is toy_bank
    assert load_bank(entry).digest == toy_bank.digest
    assert list(entry.parent.iterdir()) == [entry]


def test_what_is_whole_is_read(entry, toy_bank):
    """Nothing is made."""
    assert kept_or_made(entry, load_bank, pytest.fail, Bank.save).digest == toy_bank.digest


@pytest.mark.parametrize("blocker", ["file", "read-only"])
def test_what_cannot_be_kept_is_used_all_the_same(toy_bank, tmp_path, blocker):
    """A file where the folder should be; a place that takes no files."""
    folder = tmp_path / "cache"
    folder.write_text("x") if blocker == "file" else None
    path = folder / "0.zarr" if blocker == "file" else "/proc/starsmith/0.zarr"
    found = kept_or_made(Path(path), load_bank, lambda: toy_bank, Bank.save)
    assert found is toy_bank


def test_a_disk_that_is_full_is_no_failure(toy_bank, tmp_path):
    """The result is there; it is not kept."""

    def save(bank, path):
        raise OSError(28, "No space left on device")

    found = kept_or_made(tmp_path / "0.zarr", load_bank, lambda: toy_bank, save)
    assert found is toy_bank
    assert list(tmp_path.iterdir()) == []


def test_four_first_users_at_once(toy_bank, tmp_path):
    """All have their bank; one of them keeps it."""
    path, found = tmp_path / "banks/0.zarr", []
    start = threading.Barrier(4)

    def use():
        start.wait()
        found.append(kept_or_made(path, load_bank, lambda: toy_bank, Bank.save).digest)

    users = [threading.Thread(target=use) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert found == [toy_bank.digest] * 4
    assert list(path.parent.iterdir()) == [path]
    assert load_bank(path).digest == toy_bank.digest


def test_a_user_without_a_home_has_a_cache(monkeypatch):
    """Never a folder named ~ in the present one."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "")
    relative = Path("~/.cache/starsmith")
    monkeypatch.setattr(
        "starsmith.data_contract.files.user_cache.user_cache_path", lambda name: relative
    )
    assert cache_folder().is_absolute()
    assert "~" not in str(cache_folder())


AXES = {"teff": np.array([4500.0, 5500.0]), "logg": np.array([2.0, 4.0])}
SAMPLING = Sampling(wave_min=8540.0, wave_max=8545.0, resolution=20_000.0)


def test_stored_nodes_of_the_demo_grid_are_checked(tmp_path):
    """A flip, a cut, a folder or a pipe in the place of a node: synthesized again."""
    folder = tmp_path / demo_cache_key(AXES, SAMPLING)
    folder.mkdir()
    with shared_until_whole(folder):  # another process is at work: nodes stay
        whole = build_demo_grid(axes=AXES, cache_dir=tmp_path, sampling=SAMPLING, workers=1)
        kept = shutil.copytree(folder, tmp_path / "kept")
    shutil.copytree(kept, folder)
    first, second = sorted(folder.glob("*.npy"))
    content = bytearray(first.read_bytes())
    content[200] ^= 1
    first.write_bytes(content)
    second.unlink()
    os.mkfifo(second)
    again = build_demo_grid(axes=AXES, cache_dir=tmp_path, sampling=SAMPLING, workers=1)
    np.testing.assert_array_equal(again.flux, whole.flux)
    np.testing.assert_array_equal(again.continuum, whole.continuum)
    assert not folder.exists()


def test_a_grid_is_built_where_no_node_can_be_kept(tmp_path):
    """In the folder of temporary files."""
    (tmp_path / "nodes").write_text("x")
    grid = build_demo_grid(axes=AXES, cache_dir=tmp_path / "nodes", sampling=SAMPLING, workers=1)
    assert grid.valid.all()


def test_a_kept_demo_grid_of_before_digests_is_given_them(tmp_path, caplog):
    """Once some of its nodes are made again alike; one with an edited node is refused."""
    axes = {"teff": np.array([5000.0, 5500.0]), "logg": np.array([4.0])}
    whole = build_demo_grid(axes=axes, cache_dir=tmp_path / "nodes", workers=1)
    write_grid(tmp_path / "demo.zarr", whole)
    (tmp_path / "demo.zarr" / DIGESTS).unlink()
    edited = shutil.copytree(tmp_path / "demo.zarr", tmp_path / "edited.zarr")
    np.testing.assert_array_equal(read_with_digests(tmp_path / "demo.zarr").flux, whole.flux)
    assert (tmp_path / "demo.zarr" / DIGESTS).exists()
    read_with_digests(tmp_path / "demo.zarr")
    assert not caplog.records

    flux = whole.flux.copy()
    flux[0, 0] *= 1.01
    write_grid(edited, replace(whole, flux=flux))
    (edited / DIGESTS).unlink()
    with pytest.raises(DataError, match="is not what the synthesizer makes of it"):
        read_with_digests(edited)
    assert not (edited / DIGESTS).exists()
