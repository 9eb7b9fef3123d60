"""The Hugging Face client against a server of this computer that speaks enough of the Hub's API."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from starsmith.learners import fit, load_checkpoint
from tests.learners.worlds import lines, make_data, uniform_logg

pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")

pytestmark = pytest.mark.slow


class ToyHub(BaseHTTPRequestHandler):
    """Repositories in memory: made, committed to, listed, and read file by file."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *parts):
        self.server.seen.append(f"{self.command} {self.path}")

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, content, status=200, headers=()):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def missing(self):
        self.answer({"error": "not found"}, 404, [("X-Error-Code", "RepoNotFound")])

    def do_POST(self):
        path, body = urlsplit(self.path).path, self.body()
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(part for part in (asked.get("organization"), asked["name"]) if part)
            self.server.repos.setdefault(name, {})
            self.answer({"url": f"{self.server.url}/{name}", "name": name, "id": name})
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            names = [file["path"] for file in json.loads(body)["files"]]
            self.answer(
                {"files": [
                    {"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names
                ]}
            )  # fmt: skip
        elif "/commit/" in path:
            repo = path.removeprefix("/api/models/").split("/commit/")[0]
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    self.server.repos[repo][value["path"]] = base64.b64decode(value["content"])
            url = f"{self.server.url}/{repo}/commit/{self.oid(repo)}"
            self.answer({"commitUrl": url, "commitOid": self.oid(repo), "success": True})
        else:
            self.missing()

    def oid(self, repo):
        files = sorted(self.server.repos[repo].items())
        return hashlib.sha1(repr(files).encode()).hexdigest()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/models/"):
            repo = "/".join(path.split("/")[3:5])
            if repo not in self.server.repos:
                self.missing()
            elif "/tree/" in path:
                self.answer([
                    {"type": "file", "path": n, "size": len(d), "oid": hashlib.sha1(d).hexdigest()}
                    for n, d in self.server.repos[repo].items()
                ])  # fmt: skip
            else:
                names = [{"rfilename": name} for name in self.server.repos[repo]]
                self.answer({"id": repo, "modelId": repo, "sha": self.oid(repo), "private": True,
                             "siblings": names, "tags": []})  # fmt: skip
        elif "/resolve/" in path:
            repo, _, rest = path[1:].partition("/resolve/")
            data = self.server.repos.get(repo, {}).get(rest.partition("/")[2])
            if data is None:
                self.missing()
            else:
                etag = f'"{hashlib.sha1(data).hexdigest()}"'
                self.answer(data, 200, [("ETag", etag), ("X-Repo-Commit", self.oid(repo))])
        else:
            self.missing()

    do_HEAD = do_GET


@pytest.fixture(scope="module")
def server():
    toy = ThreadingHTTPServer(("127.0.0.1", 0), ToyHub)
    toy.repos, toy.seen = {}, []
    toy.url = f"http://127.0.0.1:{toy.server_address[1]}"
    thread = threading.Thread(target=toy.serve_forever, daemon=True)
    thread.start()
    yield toy
    toy.shutdown()
    toy.server_close()


@pytest.fixture(scope="module")
def ridge(tmp_path_factory):
    work = tmp_path_factory.mktemp("client")
    view = make_data(lines, uniform_logg, 0.2, (60, 20, 10)).training()
    fit("ridge", view, "logg", None, work / "ridge")
    return work / "ridge"


def hub(words, server, home):
    """Run `speclearn hub` with the client pointed at the server; it reads that when imported."""
    own = {"HF_ENDPOINT": server.url, "HF_HOME": str(home), "HF_TOKEN": "hf_of_a_test"}
    own |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-m", "starsmith.cli.speclearn", "hub", *map(str, words)]
    return subprocess.run(
        command, env=os.environ | own, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_checkpoint_goes_up_and_comes_back_by_the_client(server, ridge, tmp_path):
    done = hub(["push", ridge, "me/ridge", "--licence", "mit"], server, tmp_path)
    assert done.returncode == 0, f"{done.stderr}\n{server.seen}"
    held = server.repos["me/ridge"]
    assert held["model.safetensors"] == (ridge / "model.safetensors").read_bytes()
    assert b"license: mit" in held["README.md"]
    done = hub(["pull", "me/ridge", "--out", tmp_path / "back"], server, tmp_path)
    assert done.returncode == 0, f"{done.stderr}\n{server.seen}"
    flux = lines(np.full((3, 1), 3.0), load_checkpoint(ridge).wave.size).astype(np.float32)
    value = [load_checkpoint(folder).predict(flux)[0] for folder in (ridge, tmp_path / "back")]
    np.testing.assert_array_equal(value[0], value[1])


def test_what_was_changed_on_the_server_is_refused(server, ridge, tmp_path):
    done = hub(["push", ridge, "me/changed", "--licence", "mit"], server, tmp_path)
    assert done.returncode == 0, done.stderr
    data = server.repos["me/changed"]["model.safetensors"]
    server.repos["me/changed"]["model.safetensors"] = data[:-1] + bytes([data[-1] ^ 1])
    done = hub(["pull", "me/changed", "--out", tmp_path / "back"], server, tmp_path)
    assert done.returncode == 3
    assert "SHA-256" in done.stderr
    assert not (tmp_path / "back").exists()


def test_a_repository_that_is_not_there_is_one_line(server, tmp_path):
    done = hub(["pull", "me/absent", "--out", tmp_path / "back"], server, tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("speclearn: hub: me/absent: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "back").exists()
