"""An archive over HTTP: asked patiently, left alone when it asks for that, and never elsewhere."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import quote

import httpx

from starsmith.data_contract.errors import StarsmithError

__all__ = ["CalledOff", "NotThere", "Patience", "RemoteArchive", "TransferFailed"]

MAX_REDIRECTS = 5
DEFAULT_PORTS = {"http": 80, "https": 443}


class CalledOff(Exception):
    """The fetch ends before this file is complete."""


class NotThere(Exception):
    """The archive has no such file."""


class TransferFailed(Exception):
    """A file cannot be had now; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to insist before a file is given up.

    Attributes
    ----------
    n_tries : int
        Connections made for one file.
    first_wait, longest_wait : float
        Pause after the first failure, doubled after each further one up to the longest;
        an archive that asks for a longer pause than that is left alone [s].
    timeout : float
        Silence after which a connection counts as broken [s].
    least_rate : float
        A connection that brings less counts as broken too, once it had ``timeout`` seconds
        [byte/s].
    """

    n_tries: int = 7
    first_wait: float = 1.0
    longest_wait: float = 600.0
    timeout: float = 60.0
    least_rate: float = 1000.0

    def wait(self, n_failed: int) -> float:
        """Pause after so many failures in a row [s]."""
        return min(self.longest_wait, self.first_wait * 2.0 ** (n_failed - 1))


class RemoteArchive:
    """An archive's files, shared by the threads of one fetch.

    Parameters
    ----------
    base_url : str
        Address all paths are below.
    patience : Patience
    sleep : callable, optional
        Takes seconds; by default a sleep that ends when the fetch is called off.
    """

    def __init__(
        self, base_url: str, patience: Patience, sleep: Callable[[float], object] | None = None
    ):
        self.base_url = base_url
        self.patience = patience
        self.called_off = threading.Event()
        self._sleep = sleep or self.called_off.wait
        self._lock = threading.Lock()
        self._quiet_until = 0.0
        self._n_received = 0
        agent = f"starsmith/{version('starsmith')} (stellar grid download)"
        self._client = httpx.Client(
            # identity: an archive file is kept as it is stored, compressed or not
            headers={"User-Agent": agent, "Accept-Encoding": "identity"},
            timeout=patience.timeout,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Drop all connections."""
        self._client.close()

    @property
    def n_received(self) -> int:
        """Bytes of files received so far."""
        return self._n_received

    def count(self, n_bytes: int) -> None:
        """Add to `n_received`."""
        with self._lock:
            self._n_received += n_bytes

    def keep_quiet(self, seconds: float) -> None:
        """Let no thread ask again before the archive wants to be asked [s].

        Raises
        ------
        StarsmithError
            If that is longer than our patience.
        """
        if seconds > self.patience.longest_wait:
            raise StarsmithError(
                f"{self.base_url} asks to be left alone for {seconds:.0f} s; run the same "
                "command again after that, it goes on where it stopped"
            )
        with self._lock:
            self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    def wait(self, seconds: float = 0.0) -> None:
        """Pause, at least as long as the archive asked for.

        Raises
        ------
        CalledOff
            If the fetch ended meanwhile.
        """
        pause = max(seconds, self._quiet_until - time.monotonic())
        if pause > 0:
            self._sleep(pause)
        self.go_on()

    def go_on(self) -> None:
        """Raise CalledOff once the fetch has ended."""
        if self.called_off.is_set():
            raise CalledOff

    @contextmanager
    def get(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Open the answer to a request, after redirections within the archive.

        Raises
        ------
        TransferFailed
            If a redirection leads elsewhere.
        """
        url = httpx.URL(f"{self.base_url}/{quote(path)}")
        for _ in range(MAX_REDIRECTS + 1):
            with self._client.stream("GET", url, headers=headers) as response:
                if response.next_request is None:
                    yield response
                    return
                url = response.next_request.url
            if not self.trusts(url):
                raise TransferFailed(
                    f"redirected to {url}, outside {self.base_url}; give --base-url if the "
                    "archive has moved there"
                )
        raise TransferFailed(f"redirected more than {MAX_REDIRECTS} times")

    def trusts(self, url: httpx.URL) -> bool:
        """Tell whether an address is https on the archive's host, or below the one configured."""
        base = httpx.URL(self.base_url)
        same_place = (url.scheme, url.host, _port(url)) == (base.scheme, base.host, _port(base))
        if same_place and url.path.startswith(base.path.rstrip("/") + "/"):
            return True
        return url.scheme == "https" and url.host == base.host and _port(url) in (443, _port(base))


def _port(url: httpx.URL) -> int | None:
    return url.port or DEFAULT_PORTS.get(url.scheme)
