"""``specsim grid fetch``: plans without a connection, exit codes, and what Ctrl-C leaves."""

import bz2
import json
import os
import signal
import socket
import time
from random import Random

import pytest

from starsmith.simulator.grids import plan_fetch
from tests.cli.conftest import call
from tests.reference import http_archive

BOX = "--teff 5000..5250 --logg 4..4.5 --m-h 0 --resolution 5000 --format ascii"
LINE = f"specsim grid fetch bosz2017 {BOX}"


@pytest.fixture
def archive():
    """Four files, served on the loopback address."""
    ranges = {"teff": (5000, 5250), "logg": (4, 4.5), "m_h": (0, 0)}
    with http_archive.serve() as archive:
        names = [file.name for file in plan_fetch("2017", ranges, 5000, "ascii").files]
        archive.bodies = {name: bz2.compress(Random(name).randbytes(20_000)) for name in names}
        yield archive


@pytest.fixture
def fetch(archive, tmp_path):
    """Run the command against the archive; more words follow as they are."""

    def run(*more):
        return call(LINE, "--base-url", archive.url, "--out", run.out, *more)

    run.out = tmp_path / "bosz"
    return run


def test_a_dry_run_opens_no_connection_and_writes_nothing(archive, fetch, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)

    done = fetch("--dry-run", "--json")
    report = json.loads(done.stdout)

    assert done.exit_code == 0, done.stderr
    assert (report["n_files"], report["n_present"]) == (4, 0)
    assert report["bytes"] > 0
    assert report["bytes_free"] > 0
    assert not archive.requests
    assert not fetch.out.exists()


def test_a_dry_run_names_files_bytes_and_room(fetch):
    done = fetch("--dry-run")
    assert "4 of 4 files" in done.stdout
    assert "MB" in done.stdout
    assert "GB free" in done.stdout
    assert "amp00cp00op00t5000g40v20modrt0b5000rs.asc.bz2" in done.stdout


def test_holes_are_counted_and_are_no_failure(archive, fetch):
    hole = next(iter(archive.bodies))
    del archive.bodies[hole]

    done = fetch("--json")
    report = json.loads(done.stdout)

    assert done.exit_code == 0, done.stderr
    assert report["holes"] == [hole]
    assert report["n_fetched"] == 3
    assert report["release"] == "BOSZ 2017"
    assert {path.name for path in fetch.out.iterdir()} == {*archive.bodies, "manifest.json"}


def test_the_second_run_finds_everything_there(archive, fetch):
    assert fetch().exit_code == 0
    done = fetch()
    assert "0 files fetched" in done.stdout
    assert "4 there already" in done.stdout
    assert f"specsim grid import {fetch.out}" in done.stdout
    assert len(archive.requests) == 4
    assert "0 of 4 files" in fetch("--dry-run").stdout


def test_a_file_that_cannot_be_had_is_named_and_fails_the_command(archive, fetch):
    name = next(iter(archive.bodies))
    archive.always[name] = http_archive.status(403)
    done = fetch()
    assert done.exit_code == 1
    assert f"failed {name}: HTTP 403" in done.stderr
    assert "run the same command again" in done.stderr
    assert len(list(fetch.out.glob("*.bz2"))) == 3


def test_ctrl_c_says_how_to_go_on_and_loses_nothing(archive, fetch):
    *_, last = archive.bodies
    archive.bodies[last] = bz2.compress(Random(last).randbytes(2_000_000))  # drips for a minute
    begun = fetch.out / f"{last}.partial"

    def interrupt():
        deadline = time.monotonic() + 30.0
        while not (begun.exists() and begun.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    archive.script[last] = [http_archive.dripping(0.05, then=interrupt)]

    stopped = fetch("--connections", 1)
    assert stopped.exit_code == 130
    partial = begun.stat().st_size
    finished = fetch()

    assert "run the same command again" in stopped.stderr
    assert finished.exit_code == 0, finished.stderr
    assert "1 files fetched" in finished.stdout
    assert archive.asked(last)[1]["Range"] == f"bytes={partial}-"
    assert (fetch.out / last).read_bytes() == archive.bodies[last]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--base-url", "ftp://archive.stsci.edu"), "--base-url"),
        (("--m-h", "0..-1"), "runs downwards"),
        (("--teff", "100..200"), "widen the ranges"),
        (("--resolution", "5001"), "5000"),
        (("--format", "text"), "fits, ascii"),
        (("--microturbulence", "4"), "--microturbulence"),
        (("--connections", "64"), "16"),
    ],
)
def test_wrong_usage_is_refused_before_anything_happens(archive, fetch, more, complaint):
    done = fetch(*more)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert not archive.requests
    assert not fetch.out.exists()
