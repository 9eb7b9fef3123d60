"""Spectra over REST: a service on this machine that forgets, stumbles and sends too much."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from starsmith.data_contract.errors import DataError, StarsmithError
from starsmith.data_contract.surveys.catalogues import fetch_desi as module
from starsmith.data_contract.surveys.catalogues.fetch_desi import FetchOrder, fetch_desi
from starsmith.data_contract.surveys.registry import read_spectra

WAVE = [3600.0 + 0.8 * k for k in range(20)]


@contextmanager
def service(answer):
    """Serve ``answer(path, body) -> (status, bytes)``; yields address and calls."""
    calls = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            calls.append(self.path)
            status, content = answer(self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", calls
    server.shutdown()


def sparcl(path, body):
    if "/find/" in path:
        wanted = dict((row[0], row[1:]) for row in body["search"])["specid"]
        rows = [{"sparcl_id": f"u{n}", "specid": n} for n in wanted if n != 13]
    else:
        rows = [
            {
                "sparcl_id": name,
                "specid": int(name[1:]),
                "targetid": int(name[1:]),
                "wavelength": WAVE,
                "flux": [1.0] * 20,
                "ivar": [4.0] * 20,
                "mask": [0] * 20,
                "redshift": 1e-4,
            }
            for name in body
        ]
    return 200, json.dumps([{"status": {"success": True}}, *rows]).encode()


def test_batches_arrive_and_are_ingested(tmp_path):
    with service(sparcl) as (url, calls):
        report = fetch_desi(FetchOrder(ids=tuple(range(10, 20)), batch=4, base_url=url), tmp_path)
        assert (report["spectra"], report["missing"], len(report["files"])) == (9, [13], 3)
        assert len(calls) == 6
        again = fetch_desi(FetchOrder(ids=tuple(range(10, 20)), batch=4, base_url=url), tmp_path)
        assert again == report
        assert len(calls) == 6  # nothing is asked twice
        (tmp_path / "desi-00001.json").write_text("[]")
        fetch_desi(FetchOrder(ids=tuple(range(10, 20)), batch=4, base_url=url), tmp_path)
        assert len(calls) == 8  # a changed file is fetched again
    spectra = [s for file in report["files"] for s in read_spectra(file)]
    assert {s.ids["targetid"] for s in spectra} == {str(n) for n in range(10, 20)} - {"13"}
    with pytest.raises(DataError, match="another fetch"):
        fetch_desi(FetchOrder(ids=(1,), base_url=url), tmp_path)


def test_a_service_that_stumbles_is_asked_again(tmp_path):
    stumbles = [503, 429]

    def answer(path, body):
        return (stumbles.pop(), b"") if stumbles else sparcl(path, body)

    waits = []
    with service(answer) as (url, _):
        report = fetch_desi(FetchOrder(ids=(1,), base_url=url), tmp_path, sleep=waits.append)
    assert report["spectra"] == 1
    assert waits == [1.0, 2.0]


BAD = {
    "refused": (lambda *_: (403, b""), "it answers 403"),
    "no records": (lambda *_: (200, b"<html>"), "something else than records"),
    "too much": (lambda *_: (200, b"[" + b" " * 5000), "more than"),
    "strangers": (
        lambda path, body: sparcl(path, ["u5"]) if "spectras" in path else sparcl(path, body),
        "nobody asked for",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_other_answers_are_one_line_and_leave_no_file(tmp_path, monkeypatch, case):
    answer, text = BAD[case]
    monkeypatch.setattr(module, "MOST_FOUND", 4096)
    with service(answer) as (url, _), pytest.raises(StarsmithError, match=text):
        fetch_desi(FetchOrder(ids=(1,), base_url=url), tmp_path, sleep=lambda s: None)
    assert not list(tmp_path.glob("desi-*"))
