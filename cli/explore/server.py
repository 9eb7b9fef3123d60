"""The page on this machine: it is sent whole, and answers with estimates of dropped spectra."""

import json
import re
import secrets
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from starsmith.data_contract.errors import ConfigError, StarsmithError

__all__ = ["PageServer", "is_loopback"]

MOST_UPLOAD = 64_000_000  # bytes: a survey's file of a few hundred spectra
SECONDS = 30  # a client that says nothing is let go
FILE_NAME = re.compile(r"[^A-Za-z0-9._-]")
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")

Rows = Callable[[Path], list[dict[str, str]]]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server at ``host``."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class PageServer(ThreadingHTTPServer):
    """Serves one page to any number of browsers; every other path is not found.

    Parameters
    ----------
    host : str
        Loopback; any other asks every request for the token.
    port : int
        0 for any that is free.
    html : str
        The page.
    rows : callable, optional
        From a file to estimates; without it nothing can be sent.

    Attributes
    ----------
    url : str
        Where the page is, the token included where one is asked for.

    Raises
    ------
    ConfigError
        If the address cannot be had.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, html: str, rows: Rows | None = None):
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as problem:
            raise ConfigError(
                f"--host {host} --port {port} cannot be served ({problem}); "
                "--port 0 takes any free one"
            ) from None
        self.html, self.rows = html.encode("utf-8"), rows
        self.token = "" if is_loopback(host) else secrets.token_urlsafe(16)
        self.one_at_a_time = Lock()  # models are not made for threads
        query = f"?token={self.token}" if self.token else ""
        self.url = f"http://{host}:{self.server_port}/{query}"


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: PageServer
    timeout = SECONDS
    server_version, sys_version = "starsmith", ""

    def do_GET(self) -> None:
        """Send the page."""
        if not self._allowed():
            return
        if urlsplit(self.path).path != "/":
            self._send(HTTPStatus.NOT_FOUND, b"there is one page: /", "text/plain")
            return
        self._send(HTTPStatus.OK, self.server.html, "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """Read a spectrum, and send estimates or the line that says what is wrong with it."""
        origin = self.headers.get("Origin")
        host = self.headers.get("Host", "")
        if not self._allowed():
            return
        if self.server.rows is None or urlsplit(self.path).path != "/estimate":
            self._answer(HTTPStatus.NOT_FOUND, {"error": "nothing is read here"})
        elif origin is not None and origin != f"http://{host}":  # another site's page
            self._answer(HTTPStatus.FORBIDDEN, {"error": f"pages of {origin} may not ask"})
        else:
            self._estimate()

    def _estimate(self) -> None:
        size = self.headers.get("Content-Length", "")
        if not size.isascii() or not size.isdigit() or int(size) > MOST_UPLOAD:
            line = f"a spectrum of up to {MOST_UPLOAD // 1_000_000} MB is read"
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": line})
            return
        content = self.rfile.read(int(size))
        given = parse_qs(urlsplit(self.path).query).get("name", ["spectrum"])[0]
        name = FILE_NAME.sub("_", given)[-80:].lstrip(".") or "spectrum"
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            try:
                with self.server.one_at_a_time:
                    rows = self.server.rows(path)
            except StarsmithError as problem:
                # an answer all the same: what is wrong with the file
                self._answer(HTTPStatus.OK, {"error": str(problem).replace(f"{folder}/", "")})
                return
        self._answer(HTTPStatus.OK, {"rows": rows})

    def _allowed(self) -> bool:
        """Whether this request may be answered; if not, it has been told so."""
        token = self.server.token
        if not token:
            # a name that another site has pointed at this machine
            allowed = re.sub(r":\d+$", "", self.headers.get("Host", "")) in LOCAL_NAMES
            line = b"open this page as localhost"
        else:
            given = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
            allowed = secrets.compare_digest(given.encode(), token.encode())
            line = b"add ?token=... as it was printed where the page was started"
        if not allowed:
            self._send(HTTPStatus.FORBIDDEN, line, "text/plain")
        return allowed

    def _answer(self, status: HTTPStatus, content: dict) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *words: object) -> None:
        """Say nothing: the terminal is the user's."""
