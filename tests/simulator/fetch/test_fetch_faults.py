"""Downloads from an archive that misbehaves in every way we could think of."""

import errno
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from starsmith.data_contract.errors import GridError
from starsmith.simulator.grids import plan_fetch
from starsmith.simulator.grids.download import fetch as fetch_module
from starsmith.simulator.grids.download.fetch import missing_bytes
from starsmith.simulator.grids.download.fetch_record import RECORD_FILE, sole_use
from starsmith.simulator.grids.download.remote import Patience, RemoteArchive
from starsmith.simulator.grids.download.transfer import PartialFile
from tests.reference import http_archive
from tests.reference.bosz_archive import write_node
from tests.simulator.fetch.world import BOX, contents, text_body

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


def test_an_absurd_range_ends_one_file_and_not_the_fetch(archive, plan, fetch):
    """A length of 5000 digits is no number that anybody should read."""
    name = plan.files[0].name
    archive.script[name] = [http_archive.cut_at(7000), http_archive.absurd_range]

    report = fetch()

    assert [failed for failed, _ in report.failed] == [name]
    whole = {k: v for k, v in contents(fetch.out).items() if ".partial" not in k}
    assert whole == {k: v for k, v in archive.bodies.items() if k != name}


def test_an_archive_that_drips_holds_nobody(archive, plan, fetch):
    """A byte in 20 ms never is silence: the rate is what tells."""
    name = plan.files[0].name
    archive.script[name] = [http_archive.drip]

    fetch(patience=Patience(n_tries=4, timeout=0.3, first_wait=0.01))

    assert contents(fetch.out) == archive.bodies
    assert len(archive.asked(name)) == 2


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
