"""An archive on this machine's loopback address that misbehaves on request."""

import re
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

CHUNK = 1024


class HttpArchive:
    """Files and how each request for them is answered.

    ``bodies`` maps file name to bytes; anything else is 404. ``script[name]`` lists the
    misbehaviours of the first requests for a file; ``always[name]`` that of all later ones.
    """

    def __init__(self):
        self.bodies = {}
        self.script = defaultdict(list)
        self.always = {}
        self.requests = []
        self.n_at_once = 0
        self.most_at_once = 0
        self.lock = threading.Lock()

    def asked(self, name):
        """Headers of the requests for a file."""
        return [headers for asked, headers in self.requests if asked == name]

    def next_answer(self, name):
        script = self.script[name]
        return script.pop(0) if script else self.always.get(name, answer)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        archive = self.server.archive
        name = unquote(self.path).rpartition("/")[2]
        with archive.lock:
            archive.requests.append((name, dict(self.headers)))
            archive.n_at_once += 1
            archive.most_at_once = max(archive.most_at_once, archive.n_at_once)
            behave = archive.next_answer(name)
        try:
            behave(self, archive.bodies.get(name))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with archive.lock:
                archive.n_at_once -= 1

    def log_message(self, *args):
        pass

    def head(self, status, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()


def etag(body):
    return f'"{sha256(body).hexdigest()[:16]}"'


def answer(handler, body, ranges=True):
    """Behave: 200, 206, 404 or 416."""
    if body is None:
        return handler.head(404, Content_Length=0)
    wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    fits = handler.headers.get("If-Range", etag(body)) == etag(body)
    if not (ranges and wanted and fits):
        handler.head(200, Content_Length=len(body), ETag=etag(body))
        return handler.wfile.write(body)
    start = int(wanted[1])
    if start >= len(body):
        return handler.head(416, Content_Length=0, Content_Range=f"bytes */{len(body)}")
    span = f"bytes {start}-{len(body) - 1}/{len(body)}"
    handler.head(206, Content_Length=len(body) - start, Content_Range=span, ETag=etag(body))
    return handler.wfile.write(body[start:])


def no_ranges(handler, body):
    """Send the whole file whatever was asked for."""
    answer(handler, body, ranges=False)


def wrong_range(handler, body):
    """Answer a request for the rest of a file with as many bytes from elsewhere."""
    start = int(re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"])[1])
    rest = body[1000 : 1000 + len(body) - start]
    span = f"bytes 1000-{999 + len(rest)}/{len(body)}"
    handler.head(206, Content_Length=len(rest), Content_Range=span, ETag=etag(body))
    handler.wfile.write(rest)


def absurd_range(handler, body):
    """Answer with a range whose numbers have thousands of digits."""
    rest = body[7000:]
    span = f"bytes 7000-{len(body) - 1}/{'9' * 5000}"
    handler.head(206, Content_Length=len(rest), Content_Range=span, ETag=etag(body))
    handler.wfile.write(rest)


def drip(handler, body):
    """Send a byte at a time, slowly, as long as anybody listens."""
    handler.head(200, Content_Length=len(body), ETag=etag(body))
    for k in range(len(body)):
        handler.wfile.write(body[k : k + 1])
        handler.wfile.flush()
        time.sleep(0.02)


def status(code, **headers):
    """Answer with an empty status."""
    return lambda handler, body: handler.head(code, Content_Length=0, **headers)


def cut_at(n_bytes):
    """Promise the whole file, send its beginning and hang up."""

    def behave(handler, body):
        handler.head(200, Content_Length=len(body), ETag=etag(body))
        handler.wfile.write(body[:n_bytes])
        handler.close_connection = True

    return behave


def length_off_by(n_bytes):
    """State a length that is wrong, send the file and hang up."""

    def behave(handler, body):
        if "Range" in handler.headers:
            return answer(handler, body)
        handler.head(200, Content_Length=len(body) + n_bytes)
        handler.wfile.write(body)
        handler.close_connection = True

    return behave


def other_body(body):
    """Send something else."""
    return lambda handler, _: answer(handler, body)


def silent_for(seconds):
    """Say nothing, then hang up."""

    def behave(handler, body):
        time.sleep(seconds)
        handler.close_connection = True

    return behave


def dripping(seconds, then=None):
    """Send a kilobyte at a time; after the first ones, set the event ``then``."""

    def behave(handler, body):
        handler.head(200, Content_Length=len(body), ETag=etag(body))
        for n_sent, start in enumerate(range(0, len(body), CHUNK), 1):
            handler.wfile.write(body[start : start + CHUNK])
            if then is not None and n_sent == 5:
                then()
            time.sleep(seconds)

    return behave


def endless(handler, body):
    """Send without end and without saying how much."""
    handler.head(200, Transfer_Encoding="chunked")
    while True:
        handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")


@contextmanager
def serve():
    """Run an archive for the time of a test; its ``url`` is what --base-url takes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.archive = HttpArchive()
    server.archive.url = f"http://127.0.0.1:{server.server_port}/bosz"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.archive
    finally:
        server.shutdown()
        server.server_close()
