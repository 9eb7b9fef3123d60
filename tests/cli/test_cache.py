"""``specsim cache`` as a command: listing, and removal of what was chosen."""

import json
import os
import time

import pytest

from starsmith.data_contract.files import user_cache as cache_use
from starsmith.simulator.grids.demo import demo_cache_key
from tests.cli.conftest import call
from tests.simulator.test_cache import NOW, OLD, put_bank, put_grid


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A current grid, a stale one, and a bank of a grid file not used for 40 days."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "starsmith"
    paths = {
        "current": put_grid(folder, demo_cache_key(), NOW),
        "stale": put_grid(folder, "0" * 16, OLD),
        "old": put_bank(folder, "1" * 20, name="bosz2024"),
    }
    long_ago = time.time() - 40 * 86400.0
    os.utime(paths["old"], (long_ago, long_ago))
    yield paths
    cache_use.let_go()


def left(cache):
    return {name for name, path in cache.items() if path.exists()}


def test_the_listing_says_what_it_is_and_what_is_stale(cache):
    done = call("specsim cache")
    assert done.exit_code == 0, done.stderr
    assert "3 kept, 0 MB; 1 of them stale" in done.stdout
    report = json.loads(call("specsim cache --json").stdout)
    assert report["schema"] == "specsim.cache"
    assert [row["stale"] for row in report["entries"]].count(True) == 1
    first = report["entries"][0]
    assert (first["kind"], first["grid"], first["instrument"]) == ("bank", "bosz2024", "toy")
    assert report["bytes"] == sum(row["bytes"] for row in report["entries"])
    assert left(cache) == {"current", "stale", "old"}


@pytest.mark.parametrize(
    ("options", "remaining"),
    [
        ("", {"current", "old"}),
        ("--older-than 30d", {"current", "stale"}),
        ("--older-than 41d", {"current", "stale", "old"}),
        ("--all", set()),
        ("--all --dry-run", {"current", "stale", "old"}),
    ],
)
def test_clear_removes_what_was_chosen(cache, options, remaining):
    report = json.loads(call(f"specsim cache clear --json {options}").stdout)
    assert left(cache) == remaining
    chosen = len(report["removed"])
    assert chosen == (3 if "dry" in options else 3 - len(remaining))
    assert (report["bytes_freed"] > 100_000 * chosen) or not chosen


def test_what_is_freed_is_said(cache):
    done = call("specsim cache clear")
    assert "1 removed from" in done.stdout
    assert "0 MB freed" in done.stdout
    assert "nothing to remove" in call("specsim cache clear").stdout


@pytest.mark.skipif(cache_use.fcntl is None, reason="this system has no file locks")
def test_what_is_in_use_is_named_and_left(cache):
    cache_use.hold(cache["stale"])
    done = call("specsim cache clear --all")
    assert done.exit_code == 0
    assert f"in use by a running process, left: {cache['stale'].name}" in done.stdout
    assert left(cache) == {"stale"}


def test_an_empty_cache_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    assert "nothing kept" in call("specsim cache").stdout
    assert "nothing to remove" in call("specsim cache clear --all").stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("clear --all --older-than 30d", "either --all or --older-than"),
        ("clear --older-than 30", "write 30d, 12h, 90m or 5400s"),
        ("clear --older-than -1d", "write 30d"),
        ("clear something", "unexpected extra argument"),
        ("--json clear", "--json goes after"),
    ],
)
def test_wrong_calls_name_the_right_one(cache, words, says):
    done = call(f"specsim cache {words}")
    assert done.exit_code == 2
    assert says in done.stderr
    assert left(cache) == {"current", "stale", "old"}
