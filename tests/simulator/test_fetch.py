"""Downloads from an archive that misbehaves in every way we could think of."""

import bz2
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError, GridError, StarsmithError
from starsmith.data_contract.manifest import hash_file
from starsmith.simulator.grids import fetch as fetch_module
from starsmith.simulator.grids import fetch_grid, import_bosz, plan_fetch
from starsmith.simulator.grids.bosz2024 import (
    ATMOSPHERES,
    bosz2024_atmosphere,
    bosz2024_nodes,
    bosz2024_url,
    parse_bosz2024,
)
from starsmith.simulator.grids.bosz_names import NodeLabels, parse_bosz2017
from starsmith.simulator.grids.fetch import missing_bytes
from starsmith.simulator.grids.fetch_record import RECORD_FILE, sole_use
from starsmith.simulator.grids.remote import Patience, RemoteArchive
from starsmith.simulator.grids.transfer import PartialFile
from tests.reference import http_archive
from tests.reference.bosz_archive import write_node

BOX = {"teff": (5000, 5250), "logg": (4, 4.5), "m_h": (0, 0)}


def text_body(name, n_bytes=20_000):
    """Compressed text that differs from file to file; noise, so that it stays long."""
    seed = [ord(letter) for letter in name]
    return bz2.compress(np.random.default_rng(seed).bytes(n_bytes))


@pytest.fixture
def archive():
    with http_archive.serve() as archive:
        yield archive


@pytest.fixture
def plan(archive):
    """Four files, all in the archive."""
    plan = plan_fetch("2017", BOX, 5000, "ascii", base_url=archive.url)
    archive.bodies = {file.name: text_body(file.name) for file in plan.files}
    return plan


@pytest.fixture
def fetch(plan, tmp_path):
    """Fetch the plan without ever sleeping; ``fetch.pauses`` collects the seconds."""
    usual = {"connections": 2, "patience": Patience(n_tries=4, timeout=5.0)}

    def run(plan=plan, **options):
        return fetch_grid(plan, run.out, **usual | {"sleep": run.pauses.append} | options)

    run.out = tmp_path / "bosz"
    run.pauses = []
    return run


def contents(folder):
    """File name -> bytes of a folder without its record."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != RECORD_FILE}


def record_of(folder):
    return json.loads((folder / RECORD_FILE).read_text())


# What is planned


def test_plan_lists_the_box_asked_for():
    plan = plan_fetch("2017", {"teff": (5000, 5250), "logg": (4, 5), "m_h": (-0.25, 0.0)}, 5000)
    assert len(plan.files) == 2 * 3 * 2
    assert all(file.path.startswith("fits/insbroad_005000/metal_") for file in plan.files)
    assert all(file.path.endswith(f"/{file.name}") for file in plan.files)
    assert [parse_bosz2017(file.name).labels for file in plan.files] == [
        file.labels for file in plan.files
    ]
    assert {file.labels.a_m for file in plan.files} == {0.0}


def test_models_known_never_to_exist_are_not_asked_for():
    """At 3500 K and [M/H] <= -2 the 2017 listing lacks 10 of 33 models."""
    plan = plan_fetch("2017", {"teff": (3500, 3500), "m_h": (-2.5, -2.0)}, 5000)
    assert (len(plan.files), len(plan.never_computed)) == (23, 10)
    enriched = {"teff": (3500, 3500), "m_h": (-2.5, -2.0), "a_m": (0.25, 0.25)}
    assert len(plan_fetch("2017", enriched, 5000).files) == 33  # nobody has listed these


def test_2024_lays_out_as_many_models_as_the_archive_lists():
    """492 listed at solar metallicity, of which 21 are ATLAS9 doubles at 7500-8000 K."""
    composition = [n for n in bosz2024_nodes() if n.m_h == n.a_m == n.c_m == 0.0]
    assert len(composition) == len(set(composition)) == 492 - 21


@pytest.mark.parametrize(
    ("teff", "logg", "letters"),
    [(4000, 3.0, "ms"), (4000, 3.5, "mp"), (7750, 4.0, "mp"), (8000, 2.0, "ms"), (8250, 4.0, "ap")],
)
def test_2024_models_are_spherical_at_low_gravity_and_atlas_when_hot(teff, logg, letters):
    assert bosz2024_atmosphere(NodeLabels(teff, logg, 0.0)) == ATMOSPHERES[letters]


def test_2024_plan_names_files_as_the_archive_does():
    plan = plan_fetch("2024", {"teff": (3500, 8250), "logg": (3, 3.5), "m_h": (0, 0.25)}, 20000)
    for file in plan.files:
        name = parse_bosz2024(file.name)
        assert (name.labels, name.microturbulence) == (file.labels, 2.0)
        assert f"{plan.base_url}/{file.path}".replace("+", "%2B") == bosz2024_url(name)


def test_planned_sizes_are_near_a_real_file(shared_data):
    """Compressed text is planned to a quarter of the size of the genuine R = 200 file."""
    name = "amp00cp00op00t10000g40v20modrt0b200rs.asc.bz2"
    box = {"teff": (10000, 10000), "logg": (4, 4), "m_h": (0, 0)}
    (file,) = plan_fetch("2017", box, 200, "ascii").files
    assert file.name == name
    assert file.n_bytes == pytest.approx((shared_data / "bosz" / name).stat().st_size, rel=0.25)


@pytest.mark.parametrize(
    "wrong",
    [
        {"release": "2015"},
        {"ranges": {"feh": (0, 0)}},
        {"ranges": {"teff": (5001, 5002)}},
        {"resolution": 5001},
        {"file_format": "csv"},
        {"microturbulence": 4.0},
        {"base_url": "ftp://archive.stsci.edu/bosz"},
        {"base_url": "https://user:secret@archive.stsci.edu/bosz"},
        {"base_url": "https://archive.stsci.edu/bosz?x=1"},
        {"base_url": "archive.stsci.edu"},
    ],
)
def test_plans_that_cannot_be_are_refused(wrong):
    good = {"release": "2017", "ranges": BOX, "resolution": 5000}
    with pytest.raises(ConfigError):
        plan_fetch(**good | wrong)


# An archive that behaves


def test_a_fetched_folder_is_what_import_reads(archive, fetch, tmp_path):
    """Real nodes over the network become the grid that was asked for."""
    stars = [{"teff": teff, "logg": 4.0, "m_h": 0.0} for teff in (5000.0, 5250.0)]
    made = [write_node(tmp_path / "archive", ".fits", 5000, **labels) for labels in stars]
    archive.bodies = {path.name: path.read_bytes() for path in made}
    plan = plan_fetch("2017", BOX | {"logg": (4, 4)}, 5000, base_url=archive.url)

    report = fetch(plan)
    imported = import_bosz(report.out, tmp_path / "bosz.zarr")

    assert set(report.fetched) == set(imported.imported) == set(archive.bodies)
    assert imported.ignored == (RECORD_FILE,)
    assert not imported.refused
    assert imported.provenance["files"] == {
        name: entry["sha256"] for name, entry in record_of(report.out)["files"].items()
    }


def test_files_are_stored_as_they_are_and_recorded(archive, plan, fetch):
    report = fetch()

    assert contents(report.out) == archive.bodies
    assert report.n_received == sum(map(len, archive.bodies.values()))
    record = record_of(report.out)
    assert record["setup"]["release"] == "BOSZ 2017"
    assert record["files"] == {name: hash_file(report.out / name) for name in archive.bodies}
    assert {headers["Accept-Encoding"] for _, headers in archive.requests} == {"identity"}


def test_running_again_asks_for_nothing(archive, plan, fetch):
    first = fetch()
    n_requests = len(archive.requests)

    second = fetch()
    (fetch.out / RECORD_FILE).unlink()
    third = fetch()  # files without a record are kept when they are undamaged

    assert len(archive.requests) == n_requests == 4
    assert first.fetched == second.kept == third.kept
    assert set(record_of(fetch.out)["files"]) == set(archive.bodies)


def test_a_file_that_changed_on_disk_is_fetched_again(archive, plan, fetch, caplog):
    """One byte of the same length betrays itself by the hash."""
    fetch()
    name = plan.files[1].name
    spoiled = bytearray(archive.bodies[name])
    spoiled[100] ^= 1
    (fetch.out / name).write_bytes(spoiled)

    report = fetch()

    assert report.fetched == (name,)
    assert contents(fetch.out) == archive.bodies
    assert name in caplog.text


def test_a_wider_box_only_adds_to_the_folder(archive, plan, fetch):
    fetch(replace(plan, files=plan.files[:1]))
    report = fetch()
    assert (len(report.kept), len(report.fetched)) == (1, 3)
    assert set(record_of(fetch.out)["files"]) == set(archive.bodies)


def test_another_setup_in_the_same_folder_is_refused(archive, plan, fetch):
    fetch()
    with pytest.raises(ConfigError, match="choose another --out"):
        fetch(plan_fetch("2017", BOX, 10000, "ascii", base_url=archive.url))


def test_no_more_connections_than_allowed(archive, plan, fetch):
    """Every request waits for two others: with fewer than three at once none gets through."""
    wide = plan_fetch("2017", BOX | {"m_h": (-0.5, 0)}, 5000, "ascii", base_url=archive.url)
    archive.bodies = {file.name: text_body(file.name, 100) for file in wide.files}
    three = threading.Barrier(3)

    def meet(handler, body):
        three.wait(timeout=20)
        time.sleep(0.05)  # so that a fourth would be seen
        http_archive.answer(handler, body)

    archive.always = dict.fromkeys(archive.bodies, meet)

    report = fetch(wide, connections=3)

    assert len(report.fetched) == 12
    assert archive.most_at_once == 3


# Files the archive does not have


def test_a_missing_model_is_a_hole_asked_for_once(archive, plan, fetch):
    hole = plan.files[2].name
    del archive.bodies[hole]

    first = fetch()
    second = fetch()

    assert first.holes == second.holes == (hole,)
    assert not first.failed
    assert len(archive.asked(hole)) == 1
    assert record_of(fetch.out)["holes"] == {hole: archive.url}
    assert not fetch.pauses


def test_an_archive_with_none_of_the_files_is_the_wrong_address(archive, plan, fetch):
    archive.bodies = {}
    with pytest.raises(StarsmithError, match="--base-url"):
        fetch()
    assert record_of(fetch.out)["holes"] == {}


# An archive that is busy, slow or down


@pytest.mark.parametrize("busy", [503, 429])
@pytest.mark.parametrize("as_date", [False, True])
def test_a_busy_archive_is_left_alone_as_long_as_it_asks(archive, plan, fetch, busy, as_date):
    name = plan.files[0].name
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=41), usegmt=True)
    archive.script[name] = [http_archive.status(busy, Retry_After=later if as_date else 40)]

    report = fetch()

    assert len(report.fetched) == 4
    assert len(archive.asked(name)) == 2
    assert 30 < max(fetch.pauses) <= 41  # less what has passed since it was asked


def test_an_archive_that_wants_hours_ends_the_fetch(archive, plan, fetch):
    archive.always[plan.files[0].name] = http_archive.status(503, Retry_After=7200)
    with pytest.raises(StarsmithError, match="left alone for 7200 s"):
        fetch(connections=1)
    assert len(archive.requests) == 1


def test_pauses_double(archive, plan, fetch):
    name = plan.files[3].name
    archive.script[name] = [http_archive.status(500)] * 3
    assert len(fetch(connections=1).fetched) == 4
    assert fetch.pauses == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(("code", "n_asked"), [(500, 4), (403, 1)])
def test_a_file_that_cannot_be_had_is_named_and_the_others_arrive(
    archive, plan, fetch, code, n_asked
):
    """A server error may pass, a refusal will not."""
    name = plan.files[1].name
    archive.always[name] = http_archive.status(code)

    report = fetch()

    assert len(report.fetched) == 3
    ((failed, reason),) = report.failed
    assert failed == name
    assert f"HTTP {code}" in reason
    assert len(archive.asked(name)) == n_asked


def test_a_silent_connection_is_given_up_and_tried_again(archive, plan, fetch):
    name = plan.files[0].name
    archive.script[name] = [http_archive.silent_for(1.0)]
    report = fetch(patience=Patience(timeout=0.2))
    assert name in report.fetched
    assert len(archive.asked(name)) == 2


def test_an_archive_that_is_down_ends_the_fetch_early(fetch):
    """Nobody waits for 1,344 files in turn, each with its three pauses."""
    box = BOX | {"m_h": (-2.5, 0.75), "a_m": (-0.25, 0.5), "c_m": (-0.75, 0.5)}
    plan = plan_fetch("2017", box, 5000, base_url="http://127.0.0.1:9/bosz")
    assert len(plan.files) == 1344
    with pytest.raises(StarsmithError, match="in a row could not be had"):
        fetch(plan)
    assert len(fetch.pauses) < 1344


# Bodies that are not what they should be


def test_a_body_cut_short_is_continued_where_it_broke_off(archive, plan, fetch):
    name = plan.files[0].name
    archive.script[name] = [http_archive.cut_at(7000)]

    report = fetch()

    assert contents(fetch.out) == archive.bodies
    assert archive.asked(name)[1]["Range"] == "bytes=7000-"
    assert report.n_received == sum(map(len, archive.bodies.values()))


def test_an_archive_that_ignores_ranges_starts_anew(archive, plan, fetch):
    name = plan.files[0].name
    archive.script[name] = [http_archive.cut_at(7000), http_archive.no_ranges]
    fetch()
    assert contents(fetch.out) == archive.bodies
    assert len(archive.asked(name)) == 2


def test_another_range_than_asked_for_is_thrown_away(archive, fetch, tmp_path):
    """FITS has no checksum: a wrong piece of the right length would go unseen."""
    star = write_node(tmp_path, ".fits", 5000, teff=5000.0, m_h=0.0)
    archive.bodies = {star.name: star.read_bytes()}
    archive.script[star.name] = [http_archive.cut_at(8000), http_archive.wrong_range]
    box = {"teff": (5000, 5000), "logg": (4, 4), "m_h": (0, 0)}

    fetch(plan_fetch("2017", box, 5000, base_url=archive.url))

    assert contents(fetch.out) == archive.bodies
    assert len(archive.asked(star.name)) == 3


def test_a_file_replaced_in_the_archive_is_not_mixed_with_its_old_beginning(archive, plan, fetch):
    name = plan.files[0].name
    old = text_body("another version")
    archive.script[name] = [lambda handler, _: http_archive.cut_at(7000)(handler, old)]

    fetch()

    assert contents(fetch.out) == archive.bodies
    assert archive.asked(name)[1]["If-Range"] == http_archive.etag(old)


@pytest.mark.parametrize("error", [1000, -1000])
def test_a_wrong_length_never_leaves_half_a_file(archive, plan, fetch, error):
    """Stated too long it looks cut short, stated too short its checksum is missing."""
    name = plan.files[0].name
    archive.script[name] = [http_archive.length_off_by(error)]
    report = fetch()
    assert name in report.fetched
    assert contents(fetch.out) == archive.bodies


def test_a_length_that_stays_wrong_is_refused(archive, plan, fetch):
    name = plan.files[0].name
    archive.always[name] = http_archive.length_off_by(-1000)
    ((failed, reason),) = fetch().failed
    assert failed == name
    assert "damaged each time" in reason
    assert name not in contents(fetch.out)


def test_a_damaged_archive_is_downloaded_again_then_refused_by_name(archive, plan, fetch):
    once, ever = plan.files[0].name, plan.files[1].name
    spoiled = bytearray(archive.bodies[once])
    spoiled[5000] ^= 0xFF
    archive.script[once] = [http_archive.other_body(bytes(spoiled))]
    archive.always[ever] = http_archive.other_body(b"<html>we are moving</html>")

    report = fetch()

    assert once in report.fetched
    ((failed, reason),) = report.failed
    assert failed == ever
    assert "refused" in reason
    assert len(archive.asked(ever)) == fetch_module.DOWNLOADS_OF_DAMAGED
    assert contents(fetch.out) == {n: b for n, b in archive.bodies.items() if n != ever}


def test_fits_files_are_opened_and_compared_with_their_name(archive, fetch, tmp_path):
    """Cut short, or another star's: neither gets through."""
    plan = plan_fetch("2017", BOX | {"logg": (4, 4)}, 5000, base_url=archive.url)
    short, foreign = (file.name for file in plan.files)
    star = write_node(tmp_path, ".fits", 5000, teff=5000.0, m_h=0.0).read_bytes()
    archive.bodies = {short: star[:-3000], foreign: star}

    reasons = dict(fetch(plan).failed)

    assert "FITS" in reasons[short]
    assert "T_EFF" in reasons[foreign]


def test_a_body_without_end_does_not_fill_the_disk(archive, plan, fetch):
    name = plan.files[0].name
    archive.always[name] = http_archive.endless
    ((failed, reason),) = fetch().failed
    assert failed == name
    assert "no file of this release" in reason
    assert set(contents(fetch.out)) == set(archive.bodies) - {name}


# Places a file must not come from or go to


def test_a_redirection_within_the_archive_is_followed(archive, plan, fetch):
    name = plan.files[0].name
    archive.script[name] = [http_archive.status(302, Location=f"{archive.url}/moved/{name}")]
    assert len(fetch().fetched) == 4
    assert contents(fetch.out) == archive.bodies


@pytest.mark.parametrize(
    "elsewhere",
    ["http://127.0.0.2:1/x.asc.bz2", "https://example.org/x.asc.bz2", "file:///etc/passwd", "/etc"],
)
def test_a_redirection_out_of_the_archive_is_refused(archive, plan, fetch, elsewhere):
    name = plan.files[0].name
    archive.always[name] = http_archive.status(302, Location=elsewhere)
    ((failed, reason),) = fetch().failed
    assert failed == name
    assert "redirected" in reason
    assert len(archive.asked(name)) == 1


@pytest.mark.parametrize(
    ("base_url", "target", "ours"),
    [
        ("https://archive.stsci.edu/bosz", "https://archive.stsci.edu/hlsps/x", True),
        ("https://archive.stsci.edu/bosz", "https://archive.stsci.edu:443/x", True),
        ("https://archive.stsci.edu/bosz", "https://archive.stsci.edu:8443/bosz/x", False),
        ("https://archive.stsci.edu/bosz", "http://archive.stsci.edu/bosz/x", False),
        ("https://archive.stsci.edu/bosz", "https://archive.stsci.edu.example.org/bosz/x", False),
        ("http://mirror:8080/bosz/", "http://mirror:8080/bosz/x", True),
        ("http://mirror:8080/bosz", "http://mirror:8080/bosz2/x", False),
        ("http://mirror:8080/bosz", "http://mirror/bosz/x", False),
        ("http://mirror:8080/bosz", "https://mirror/x", True),
    ],
)
def test_redirections_stay_on_https_of_the_host_or_below_the_address(base_url, target, ours):
    with closing(RemoteArchive(base_url, Patience())) as archive:
        assert archive.trusts(httpx.URL(target)) is ours


@pytest.mark.parametrize(
    "name", ["../evil.asc.bz2", "/tmp/evil.fits", "a/b.fits", "manifest.json", ""]
)
def test_no_name_leads_out_of_the_folder(archive, plan, fetch, name):
    evil = plan.files[0]._replace(name=name)
    with pytest.raises(GridError, match="not fetched"):
        fetch(replace(plan, files=(evil,)))
    assert not archive.requests
    assert not fetch.out.exists()


def test_a_link_in_place_of_a_partial_file_is_not_written_through(archive, plan, fetch, tmp_path):
    name = plan.files[0].name
    precious = tmp_path / "thesis.tex"
    precious.write_bytes(archive.bodies[name][:50])
    fetch.out.mkdir()
    (fetch.out / f"{name}.partial").symlink_to(precious)
    fetch()
    assert precious.read_bytes() == archive.bodies[name][:50]


# The folder


def test_two_downloads_do_not_share_a_folder(plan, fetch):
    fetch.out.mkdir()
    with sole_use(fetch.out), pytest.raises(GridError, match="another download"):
        fetch()


def test_a_disk_too_small_is_told_before_the_first_byte(archive, plan, fetch, monkeypatch):
    monkeypatch.setattr(fetch_module, "missing_bytes", lambda plan, out: 10**18)
    with pytest.raises(GridError, match="free"):
        fetch()
    assert not archive.requests


def test_a_full_disk_ends_the_fetch_and_the_next_one_goes_on(archive, plan, fetch, monkeypatch):
    def full(partial):
        raise OSError(errno.ENOSPC, "No space left on device", str(partial.path))

    with monkeypatch.context() as disk:
        disk.setattr(PartialFile, "append", full)
        with pytest.raises(OSError, match="No space left"):
            fetch()

    assert len(fetch().fetched) == 4


def test_a_manifest_of_something_else_is_not_overwritten(archive, plan, fetch):
    fetch.out.mkdir()
    (fetch.out / RECORD_FILE).write_text('{"schema": "starsmith.dataset"}')
    with pytest.raises(GridError, match="choose another --out"):
        fetch()
    assert (fetch.out / RECORD_FILE).read_text() == '{"schema": "starsmith.dataset"}'


def test_what_is_missing_counts_parts(plan, fetch):
    fetch.out.mkdir()
    first, second = plan.files[:2]
    (fetch.out / first.name).write_bytes(b"x")
    (fetch.out / f"{second.name}.partial").write_bytes(b"x" * 1000)
    assert missing_bytes(plan, fetch.out) == 3 * first.n_bytes - 1000


def test_a_killed_process_resumes_to_identical_files(archive, plan, fetch):
    """SIGKILL in the middle of the last file; the next run asks for the rest of it only."""
    *_, last = plan.files
    halfway = threading.Event()
    archive.script[last.name] = [http_archive.dripping(0.05, then=halfway.set)]
    script = (
        "import sys\n"
        "from starsmith.simulator.grids import fetch_grid, plan_fetch\n"
        f"plan = plan_fetch('2017', {BOX}, 5000, 'ascii', base_url={archive.url!r})\n"
        "fetch_grid(plan, sys.argv[1], connections=1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(fetch.out)])
    assert halfway.wait(timeout=60)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    partial = contents(fetch.out)[f"{last.name}.partial"]
    archive.requests.clear()

    report = fetch()

    assert report.fetched == (last.name,)
    assert contents(fetch.out) == archive.bodies
    ((name, headers),) = archive.requests
    assert (name, headers["Range"]) == (last.name, f"bytes={len(partial)}-")
    assert 0 < len(partial) < len(archive.bodies[last.name])
