"""A data set on a web server opens as one on the disk, and only its very bytes do."""

import functools
import http.server
import threading

import numpy as np
import pytest

from starsmith.data_contract import open_dataset
from starsmith.data_contract.errors import DataError
from starsmith.simulator import write_dataset
from starsmith.simulator.prior import Prior


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and counts what is asked for."""

    asked: list = []  # noqa: RUF012

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *words):
        pass


@pytest.fixture
def server(toy_bank, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_dataset(toy_bank, Prior.default(), 30, tmp_path / "web" / "d.zarr", seed=3)
    Quiet.asked = []
    handler = functools.partial(Quiet, directory=tmp_path / "web")
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}", tmp_path / "web" / "d.zarr"
    running.shutdown()
    running.server_close()


def test_a_data_set_on_a_server_is_the_same_and_is_fetched_once(server):
    url, path = server

    there, here = open_dataset(f"{url}/d.zarr/"), open_dataset(path)
    first = len(Quiet.asked)
    again = open_dataset(f"{url}/d.zarr")

    assert there.manifest.digest == here.manifest.digest == again.manifest.digest
    np.testing.assert_array_equal(
        there.split("test").observe().flux, here.split("test").observe().flux
    )
    assert first > 10
    assert len(Quiet.asked) == first + 1  # the manifest alone


def test_a_changed_file_is_refused(server):
    url, path = server
    file = next((path / "test" / "flux_model").rglob("c/*/*"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    with pytest.raises(DataError, match="is not what the manifest says"):
        open_dataset(f"{url}/d.zarr")


@pytest.mark.parametrize("where", ["nothing.zarr", "d.zarr/train"])
def test_what_is_no_data_set_is_said(server, where):
    url, _ = server

    with pytest.raises(DataError, match=r"no manifest\.json there"):
        open_dataset(f"{url}/{where}")


def test_a_server_that_does_not_answer_is_named():
    with pytest.raises(DataError, match="cannot be read"):
        open_dataset("http://127.0.0.1:1/d.zarr")


def test_a_data_set_in_a_bucket_is_the_same(server, monkeypatch):
    """Through fsspec and s3fs, from a bucket of a local server."""
    pytest.importorskip("s3fs", reason="s3fs comes with starsmith[cloud]")
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    import s3fs

    _, path = server
    keys = {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    bucket = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    bucket.start()
    try:
        address = f"http://127.0.0.1:{bucket.get_host_and_port()[1]}"
        for name, value in (keys | {"AWS_ENDPOINT_URL": address}).items():
            monkeypatch.setenv(name, value)
        files = s3fs.S3FileSystem()
        files.mkdir("survey")
        files.put(str(path), "survey/d.zarr", recursive=True)
        there = open_dataset("s3://survey/d.zarr")
    finally:
        bucket.stop()

    here = open_dataset(path)
    assert there.manifest.digest == here.manifest.digest
    np.testing.assert_array_equal(
        there.split("test").observe().flux, here.split("test").observe().flux
    )
