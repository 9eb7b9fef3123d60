"""One file of an archive: received, resumed where it broke off, or given up with a reason."""

import io
import os
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from starsmith.data_contract.files.outside import read_file
from starsmith.simulator.grids.download.remote import NotThere, RemoteArchive, TransferFailed

__all__ = ["PartialFile", "download"]

OK, PARTIAL, NO_SUCH_RANGE = 200, 206, 416
GONE = (404, 410)
BUSY = (408, 425, 429, 500, 502, 503, 504)
MOST_DIGITS = 18
MOST_TAG = 2**13  # bytes
CONTENT_RANGE = re.compile(r"bytes (?:(?P<start>\d+)-\d+|\*)/(?P<total>\d+|\*)")


class _BrokenOff(Exception):
    """Worth another try."""


class PartialFile:
    """The part of a file that is there, and what tells whether the rest still fits it.

    Parameters
    ----------
    target : Path
        Where the complete file goes. Beside it lie ``.partial`` and, holding the archive's
        ETag or date, ``.partial.tag``.
    """

    def __init__(self, target: Path):
        self.target = target
        self.path = target.with_name(f"{target.name}.partial")
        self._tag = target.with_name(f"{target.name}.partial.tag")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def tag(self) -> str:
        """What the archive calls this version of the file; empty if unknown."""
        try:
            tag = read_file(self._tag, MOST_TAG).decode("ascii")
        except (OSError, ValueError):
            return ""
        return tag if tag.isprintable() else ""

    def restart(self, tag: str) -> None:
        """Begin anew."""
        self.discard()
        self._tag.write_text(tag)

    def discard(self) -> None:
        """Throw away what is there."""
        self.path.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def append(self) -> io.FileIO:
        """Open for writing at the end; unbuffered, so that a killed process loses nothing."""
        if self.path.is_symlink():
            raise TransferFailed(f"{self.path} is a link; remove it")
        return self.path.open("ab", buffering=0)

    def finish(self) -> None:
        """Give the complete file its name, once it is safe on disk."""
        with self.path.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(self.path, self.target)
        self._tag.unlink(missing_ok=True)


def download(archive: RemoteArchive, path: str, partial: PartialFile, max_bytes: int) -> None:
    """Receive what is missing of a file, over as many connections as patience allows.

    Parameters
    ----------
    archive : RemoteArchive
    path : str
        Place below the archive's address.
    partial : PartialFile
        Filled on return to the length the archive states.
    max_bytes : int
        More than this is no file of the archive.

    Raises
    ------
    NotThere, TransferFailed, CalledOff
    StarsmithError
        If the archive wants to be left alone.
    """
    patience = archive.patience
    reason = ""
    for n_failed in range(patience.n_tries):
        archive.wait(patience.wait(n_failed) if n_failed else 0.0)
        try:
            return _receive(archive, path, partial, max_bytes)
        except (_BrokenOff, httpx.TransportError) as problem:
            reason = str(problem) or type(problem).__name__
    raise TransferFailed(f"{patience.n_tries} tries failed, the last: {reason}")


def _receive(archive: RemoteArchive, path: str, partial: PartialFile, max_bytes: int) -> None:
    headers = {}
    if partial.size:
        headers["Range"] = f"bytes={partial.size}-"
        if partial.tag:
            headers["If-Range"] = partial.tag
    with archive.get(path, headers) as response:
        _check_status(archive, response)
        total = _expected_size(response, partial)
        if total is not None and total > max_bytes:
            partial.discard()
            raise TransferFailed(f"has {total} bytes, more than any file of this release")
        if response.status_code != NO_SUCH_RANGE:
            _store(archive, response, partial, max_bytes)
    if total is not None and partial.size != total:
        found = partial.size
        if found > total:
            partial.discard()
        raise _BrokenOff(f"{found} bytes came instead of {total}")


def _store(archive: RemoteArchive, response: httpx.Response, partial: PartialFile, max_bytes: int):
    n_bytes = before = partial.size
    start, patience = time.monotonic(), archive.patience
    with partial.append() as stream:
        for chunk in response.iter_raw():
            archive.go_on()
            n_bytes += len(chunk)
            seconds = time.monotonic() - start
            if seconds > patience.timeout and n_bytes - before < patience.least_rate * seconds:
                raise _BrokenOff(f"less than {patience.least_rate:g} bytes a second came")
            if n_bytes > max_bytes:
                partial.discard()
                raise TransferFailed(f"sends more than {max_bytes} bytes, no file of this release")
            stream.write(chunk)
            archive.count(len(chunk))


def _check_status(archive: RemoteArchive, response: httpx.Response) -> None:
    status = response.status_code
    if status in (OK, PARTIAL, NO_SUCH_RANGE):
        return
    if status in GONE:
        raise NotThere
    text = f"HTTP {status} {response.reason_phrase}".rstrip()
    if status not in BUSY:
        raise TransferFailed(text)
    archive.keep_quiet(_retry_after(response.headers.get("Retry-After", "")))
    raise _BrokenOff(text)


def _expected_size(response: httpx.Response, partial: PartialFile) -> int | None:
    """Make the partial file fit what is coming; return the length of the whole [byte]."""
    if response.status_code == OK:
        partial.restart(_version_tag(response))
        length = response.headers.get("Content-Length", "")
        return _count(length) if length.isdecimal() else None
    found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    total = _count(found["total"]) if found and found["total"] != "*" else None
    if response.status_code == NO_SUCH_RANGE:
        usable = total == partial.size
    else:
        usable = found is not None and found["start"] == str(partial.size)
    if not usable:
        partial.discard()
        raise _BrokenOff(f"HTTP {response.status_code} with a range that was not asked for")
    return total


def _count(digits: str) -> int:
    """A number of bytes; TransferFailed for one that no file has."""
    if len(digits) > MOST_DIGITS:
        raise TransferFailed(f"claims a length of {len(digits)} digits")
    return int(digits)


def _version_tag(response: httpx.Response) -> str:
    """Return a strong ETag, else the date of change: what If-Range accepts."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _retry_after(value: str) -> float:
    """Seconds of a Retry-After header, a number or a date; 0 if there is none."""
    if value.isdecimal() and len(value) <= MOST_DIGITS:
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
