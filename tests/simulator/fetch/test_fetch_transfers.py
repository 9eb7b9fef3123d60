"""Downloads from an archive that behaves, is busy, slow or down."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from starsmith.data_contract.dataset.manifest import hash_file
from starsmith.data_contract.errors import ConfigError, StarsmithError
from starsmith.data_contract.grid.grid_file import read_grid
from starsmith.simulator.grids import import_bosz, plan_fetch
from starsmith.simulator.grids.download.fetch_record import RECORD_FILE
from starsmith.simulator.grids.download.remote import Patience
from tests.reference import http_archive
from tests.reference.bosz_archive import write_node
from tests.simulator.fetch.world import BOX, contents, record_of, text_body

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


# Cropped as it arrives

CROP = (8460.0, 8690.0)


@pytest.fixture
def stars(archive, plan, tmp_path):
    """Plan and archive of two real nodes of 2017, over more than what is kept."""
    folder, wide = tmp_path / "archive", (8000.0, 10_000.0)
    made = [write_node(folder, ".fits", 5000, wide, teff=teff) for teff in (5000.0, 5250.0)]
    archive.bodies = {path.name: path.read_bytes() for path in made}
    box = BOX | {"logg": (4, 4)}
    return plan_fetch("2017", box, 5000, base_url=archive.url, crop=CROP)


def test_a_cropped_fetch_is_the_grid_of_the_whole_files(archive, stars, fetch, tmp_path):
    """Same flux bits, same hashes and checks, and only the range is on the disk."""
    report = fetch(stars)
    cropped = import_bosz(report.out, tmp_path / "cropped.zarr", *CROP)
    whole = import_bosz(tmp_path / "archive", tmp_path / "whole.zarr", *CROP)

    ours, theirs = read_grid(tmp_path / "cropped.zarr"), read_grid(tmp_path / "whole.zarr")
    assert ours.flux.tobytes() == theirs.flux.tobytes()
    assert ours.continuum.tobytes() == theirs.continuum.tobytes()
    np.testing.assert_allclose(ours.wave, theirs.wave, rtol=1e-13)
    assert list(cropped.provenance["files"].values()) == list(whole.provenance["files"].values())
    assert cropped.provenance["medium"] == whole.provenance["medium"]
    names = {path.name for path in report.out.iterdir()}
    assert names == {f"{name}.cropped.npz" for name in archive.bodies} | {RECORD_FILE}
    kept = sum(path.stat().st_size for path in report.out.glob("*.npz"))
    assert report.n_kept == kept
    assert kept < 0.12 * report.n_received  # 2 x 4 bytes a sample of 16, of a ninth of the range


def test_a_cropped_fetch_goes_on_where_it_stopped(archive, stars, fetch):
    """Kept files are not asked for again, damaged ones are; another range is another folder."""
    fetch(stars)
    n_requests = len(archive.requests)
    assert len(fetch(stars).kept) == 2
    assert len(archive.requests) == n_requests
    damaged = next(fetch.out.glob("*.npz"))
    damaged.write_bytes(damaged.read_bytes()[:-50])
    assert len(fetch(stars).fetched) == 1
    (fetch.out / RECORD_FILE).unlink()
    assert len(fetch(stars).kept) == 2  # checked without a record
    with pytest.raises(ConfigError, match="choose another --out"):
        fetch(replace(stars, crop=(8470.0, 8690.0)))


def test_a_range_the_archive_lacks_fails_by_name(archive, stars, fetch):
    """A file that does not cover the range is named; nothing of it stays."""
    report = fetch(replace(stars, crop=(8460.0, 12_000.0)))
    assert [reason.startswith("ends at ") for _, reason in report.failed] == [True, True]
    assert not list(fetch.out.glob("*.npz*"))
    assert not list(fetch.out.glob("*.partial"))
