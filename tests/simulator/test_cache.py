"""The user's cache: what is recognised, what is stale, and what removal never touches."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from starsmith.data_contract.files import user_cache as cache_use
from starsmith.simulator.cache import contents as cache_contents
from starsmith.simulator.cache.cached_bank import bank_digest
from starsmith.simulator.cache.contents import clear_cache, list_cache
from starsmith.simulator.grids.demo import demo_cache_key
from starsmith.simulator.synthesis import PHYSICS_VERSION, table_digest

NOW = {"release": f"physics version {PHYSICS_VERSION}", "tables_sha256": table_digest()}
OLD = {**NOW, "release": f"physics version {PHYSICS_VERSION - 1}"}
INSTRUMENT = {"name": "toy", "arms": [{"n_pixel": 300}]}


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """An empty cache of our own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / "cache/starsmith"
    cache_use.let_go()


def store(path, attributes, size=100_000):
    """A folder as zarr leaves it, with one chunk."""
    (path / "flux/c").mkdir(parents=True)
    (path / "flux/c/0").write_bytes(os.urandom(size))
    (path / "zarr.json").write_text(json.dumps({"attributes": attributes}))
    return path


def put_grid(folder, key, provenance):
    attributes = {"schema": "starsmith.grid", "name": "demo", "provenance": provenance}
    return store(folder / f"grids/demo-{key}.zarr", attributes)


def put_bank(folder, digest, provenance=NOW, name="demo", **others):
    grid = {"name": name, "provenance": provenance}
    attributes = {"schema": "starsmith.bank", "grid": grid, "instrument": INSTRUMENT, **others}
    return store(folder / f"banks/{digest}.zarr", attributes)


def stale_names(entries):
    return {entry.path.name for entry in entries if entry.stale}


def test_an_absent_cache_is_empty(folder):
    assert list_cache() == ([], [])
    assert clear_cache([]).freed == 0


def test_an_outdated_physics_version_is_stale(folder):
    """Grid and banks of the version before; what this version looks for is not."""
    put_grid(folder, demo_cache_key(), NOW)
    old = put_grid(folder, "0" * 16, OLD)
    put_bank(folder, bank_digest(demo_cache_key(), INSTRUMENT))
    old_bank = put_bank(folder, "1" * 20, OLD)
    other_code = put_bank(folder, "2" * 20)
    entries, others = list_cache()
    assert not others
    assert stale_names(entries) == {old.name, old_bank.name, other_code.name}
    described = {entry.path.name: entry for entry in entries}
    assert described[old.name].stale == f"now physics version {PHYSICS_VERSION}"
    assert described[old_bank.name].physics == f"physics version {PHYSICS_VERSION - 1}"
    assert described[old_bank.name].instrument == "toy"
    # one chunk of 100 kB, and folders
    assert 100_000 <= described[old.name].size < 200_000


@pytest.mark.parametrize(
    "others", [{"mag_band": "ab8000"}, {"interpolation": "linear"}, {"name": "bosz2024"}]
)
def test_a_bank_that_some_call_may_look_for_is_not_stale(folder, others):
    """Options of rendering and paths of grid files are not recorded: the doubt is the bank's."""
    put_bank(folder, "3" * 20, **others)
    assert not stale_names(list_cache()[0])


def test_clearing_what_is_stale_leaves_the_rest(folder):
    kept = put_grid(folder, demo_cache_key(), NOW)
    old = put_grid(folder, "0" * 16, OLD)
    entries = [entry for entry in list_cache()[0] if entry.stale]
    planned = clear_cache(entries, dry_run=True)
    assert old.is_dir()
    done = clear_cache(entries)
    assert done == planned
    assert done.freed == entries[0].size > 100_000
    assert not old.exists()
    assert kept.is_dir()
    assert [path.name for path in old.parent.iterdir()] == [kept.name]


def test_what_is_not_ours_is_never_touched(folder, tmp_path):
    """Links, strangers' files, and folders that only look like ours; nothing outside."""
    outside = store(tmp_path / "precious", {"schema": "starsmith.grid"})
    put_grid(folder, "0" * 16, OLD)
    grids = folder / "grids"
    (grids / f"demo-{'a' * 16}.zarr").symlink_to(outside)
    (grids / "thesis.tex").write_text("mine")
    store(grids / "demo-mine.zarr", {"schema": "starsmith.grid"})
    store(grids / f"demo-{'b' * 16}.zarr", {"schema": "another.schema"})
    (grids / f"demo-{'c' * 16}.zarr").mkdir()
    (folder / "other").mkdir()
    (folder / "banks").symlink_to(tmp_path)
    (folder / "nodes" / ("d" * 16)).mkdir(parents=True)
    (folder / "nodes" / ("d" * 16) / "letter.txt").write_text("mine")
    entries, others = list_cache()
    assert [entry.path.name for entry in entries] == [f"demo-{'0' * 16}.zarr"]
    assert len(others) == 8
    before = {path: path.lstat().st_mtime_ns for path in others}
    clear_cache(entries)
    assert {path: path.lstat().st_mtime_ns for path in others} == before
    assert (outside / "zarr.json").is_file()


def test_links_inside_an_entry_are_removed_as_links(folder, tmp_path):
    """What a link points to is neither counted nor removed."""
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "data").write_bytes(bytes(10_000_000))
    old = put_grid(folder, "0" * 16, OLD)
    (old / "elsewhere").symlink_to(outside)
    (entry,) = list_cache()[0]
    assert entry.size < 1_000_000
    clear_cache([entry])
    assert not old.exists()
    assert (outside / "data").stat().st_size == 10_000_000


@pytest.mark.skipif(cache_use.fcntl is None, reason="this system has no file locks")
def test_what_a_running_process_uses_stays(folder):
    """Held by another process until that ends, however it ends."""
    old = put_grid(folder, "0" * 16, OLD)
    (before,) = list_cache()[0]
    script = (
        "import sys, pathlib; from starsmith.data_contract.files.user_cache import hold;"
        "hold(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(old)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        (entry,) = list_cache()[0]
        assert entry.in_use
        # found free before the process began to use it: looked at again before it is removed
        for one in (entry, before):
            assert clear_cache([one]).in_use
            assert old.is_dir()
        process.kill()
    (entry,) = list_cache()[0]
    assert not entry.in_use
    assert clear_cache([entry]).removed == (entry,)


def test_use_is_noted(folder):
    """The least recently used comes first."""
    first, second = put_grid(folder, "0" * 16, OLD), put_grid(folder, "1" * 16, OLD)
    os.utime(first, (1e9, 1e9))
    os.utime(second, (1.1e9, 1.1e9))
    assert [entry.used for entry in list_cache()[0]] == [1e9, 1.1e9]
    cache_use.hold(first)
    cache_use.let_go()
    assert [entry.path for entry in list_cache()[0]] == [second, first]


def test_a_cache_without_locks_keeps_what_was_used_within_the_hour(folder, monkeypatch):
    monkeypatch.setattr(cache_use, "fcntl", None)
    old = put_grid(folder, "0" * 16, OLD)
    cache_use.hold(old)
    (entry,) = list_cache()[0]
    assert entry.in_use
    os.utime(old, (time.time() - 4000.0,) * 2)
    (entry,) = list_cache()[0]
    assert not entry.in_use
    assert clear_cache([entry]).removed == (entry,)


def test_an_entry_that_went_away_meanwhile_is_no_error(folder):
    old = put_grid(folder, "0" * 16, OLD)
    (entry,) = list_cache()[0]
    clear_cache([entry])
    assert not old.exists()
    assert clear_cache([entry]).removed == ()


def test_half_made_things_are_kept_while_they_are_made(folder):
    """Models of a build and what a killed writer left: in use for ten minutes after a change."""
    nodes = folder / "nodes" / demo_cache_key()
    other = folder / "nodes" / ("e" * 16)
    for build in (nodes, other):
        build.mkdir(parents=True)
        (build / "0-1.npy").write_bytes(b"model")
    left = store(folder / f"grids/.demo-{'0' * 16}.zarr.0123456789ab.partial", {})
    entries = list_cache()[0]
    assert {entry.kind for entry in entries} == {"unfinished grid", "left behind"}
    assert all(entry.in_use for entry in entries)
    past = time.time() - 2 * cache_contents.AT_WORK
    for root in (nodes, other, left):
        for path in (*root.rglob("*"), root):
            os.utime(path, (past, past))
    entries = list_cache()[0]
    assert not any(entry.in_use for entry in entries)
    # the build of a box of this version goes on from its models
    assert stale_names(entries) == {other.name, left.name}


def test_an_interrupted_removal_is_found_as_left_behind(folder, monkeypatch):
    """Renamed first: a reader finds all or nothing, and the next call removes the rest."""
    old = put_grid(folder, "0" * 16, OLD)
    (entry,) = list_cache()[0]
    with monkeypatch.context() as patch:
        patch.setattr(
            cache_contents.shutil, "rmtree", lambda path: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            clear_cache([entry])
    assert not old.exists()
    (left,) = list_cache()[0]
    assert left.kind == "left behind"
    assert clear_cache([replace(left, in_use=False)]).removed
    assert list_cache() == ([], [])
