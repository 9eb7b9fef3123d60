"""DESI spectra from SPARCL's REST interface, batch by batch, into a folder that can be ingested.

Two requests a batch (https://astrosparcl.datalab.noirlab.edu): ``find`` turns DESI's targets into
SPARCL's records, ``spectras`` sends them as JSON. Answers are kept as they come, each hashed.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx

from starsmith.data_contract.errors import DataError, StarsmithError
from starsmith.data_contract.files.atomic import staged_file, write_json
from starsmith.data_contract.files.digests import hash_file
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.files.outside import read_json

__all__ = ["SPARCL_URL", "FetchOrder", "fetch_desi"]

SPARCL_URL = "https://astrosparcl.datalab.noirlab.edu"
FIELDS = ("sparcl_id", "specid", "targetid", "data_release", "wavelength", "flux", "ivar", "mask")
FIELDS += ("redshift", "spectype", "ra", "dec")
RECORD = "fetch.json"
MOST_FOUND = 2**24  # bytes of a list of records
MOST_BATCH = 2**28  # bytes of a batch of spectra
TRIES = 5
FIRST_WAIT = 1.0  # s, doubled after each failure
TIMEOUT = 120.0  # s
AGAIN = {429, 500, 502, 503, 504}  # answers after which asking again may help


@dataclass(frozen=True, kw_only=True)
class FetchOrder:
    """What is to be fetched.

    Attributes
    ----------
    ids : tuple of int
        DESI's TARGETID.
    release : str
    batch : int
        Spectra per request.
    base_url : str
    """

    ids: tuple[int, ...]
    release: str = "DESI-DR1"
    batch: int = 100
    base_url: str = SPARCL_URL

    def as_record(self) -> dict:
        """What a resumed fetch must have in common with the first."""
        total = hashlib.sha256(" ".join(map(str, self.ids)).encode()).hexdigest()
        return {"ids_sha256": total, "release": self.release, "batch": self.batch}


def fetch_desi(
    order: FetchOrder,
    out: Path | str,
    progress: Callable[[int, int], None] = lambda done, total: None,
    sleep: Callable[[float], object] = time.sleep,
) -> dict:
    """Fetch the spectra of some targets, or what is missing of them.

    Parameters
    ----------
    order : FetchOrder
    out : path
        Folder of ``desi-00000.json``, ... and ``fetch.json``.
    progress : callable
        ``progress(n_ids_done, n_ids)``.
    sleep : callable
        Used for pauses [s].

    Returns
    -------
    report : dict
        ``files``, ``spectra``, and ``missing``: targets that SPARCL has no spectrum of.

    Raises
    ------
    DataError
        If the folder holds another fetch, or there are no ids.
    StarsmithError
        If the service cannot be had, or answers something else.
    """
    out, ids = Path(out), order.ids
    if not ids:
        raise DataError("no ids to fetch")
    out.mkdir(parents=True, exist_ok=True)
    with writer_lock(out / RECORD), closing(httpx.Client(timeout=TIMEOUT)) as client:
        record = _begun(order, out)
        service = _Service(client, order.base_url.rstrip("/"), sleep)
        for number, start in enumerate(range(0, len(ids), order.batch)):
            name, some = f"desi-{number:05d}.json", ids[start : start + order.batch]
            if not _is_whole(out / name, record["files"].get(name)):
                entry = _fetch_batch(service, order, some, out / name)
                record["files"][name] = entry
                write_json(out / RECORD, record)
            progress(min(start + order.batch, len(ids)), len(ids))
    entries = record["files"].values()
    return {
        "files": [str(out / name) for name in sorted(record["files"])],
        "spectra": sum(entry["spectra"] for entry in entries),
        "missing": [target for entry in entries for target in entry["missing"]],
    }


def _begun(order: FetchOrder, out: Path) -> dict:
    """The record of a fetch that was begun in the folder, or a new one."""
    wanted = order.as_record()
    if not (out / RECORD).exists():
        return {**wanted, "files": {}}
    found = read_json(out / RECORD, advice="remove it")
    if {name: found.get(name) for name in wanted} != wanted or "files" not in found:
        raise DataError(f"{out} holds another fetch; choose another --out")
    return found


def _is_whole(path: Path, entry: dict | None) -> bool:
    """Whether a batch is there as it was fetched."""
    if entry is None or not path.is_file():
        return False
    return hash_file(path) == {"bytes": entry["bytes"], "sha256": entry["sha256"]}


@dataclass(frozen=True)
class _Service:
    """SPARCL, asked patiently; an answer is never larger than it may be."""

    client: httpx.Client
    base_url: str
    sleep: Callable[[float], object]

    def post(self, call: str, options: dict, body: object, most: int) -> bytes:
        """Answer to one request, of at most so many bytes; StarsmithError otherwise."""
        url = f"{self.base_url}/api/{call}/?{urlencode(options)}"
        reason = ""
        for attempt in range(TRIES):
            if attempt:
                self.sleep(FIRST_WAIT * 2.0 ** (attempt - 1))
            try:
                with self.client.stream("POST", url, json=body) as answer:
                    if answer.status_code == 200:
                        return self._bounded(answer, most)
                    reason = f"it answers {answer.status_code}"
                    if answer.status_code not in AGAIN:
                        break
            except httpx.HTTPError as problem:
                reason = str(problem) or type(problem).__name__
        raise StarsmithError(
            f"{self.base_url}: {call} cannot be had ({reason}); run the same command again later, "
            "it goes on where it stopped"
        )

    def _bounded(self, answer: httpx.Response, most: int) -> bytes:
        content = bytearray()
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > most:
                raise StarsmithError(f"{self.base_url} answers with more than {most} bytes")
        return bytes(content)


def _records(content: bytes, base_url: str) -> list[dict]:
    """Records of an answer: a list of them after a header."""
    try:
        rows = json.loads(content)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError("no list of records")
    except (ValueError, RecursionError) as problem:
        raise StarsmithError(
            f"{base_url} answers something else than records ({problem})"
        ) from None
    return [row for row in rows if "sparcl_id" in row]


def _fetch_batch(service: _Service, order: FetchOrder, ids: Sequence[int], path: Path) -> dict:
    """Fetch one batch into a file; what is recorded of it."""
    search = [["specid", *ids], ["data_release", order.release]]
    body = {"outfields": ["sparcl_id", "specid"], "search": search}
    limit = {"limit": 10 * len(ids)}
    found = _records(service.post("find", limit, body, MOST_FOUND), service.base_url)
    wanted = set(ids)
    names = [str(row["sparcl_id"]) for row in found if row.get("specid") in wanted]
    content = b"[]"
    if names:
        options = {"include": ",".join(FIELDS), "format": "json", "dataset_list": order.release}
        content = service.post("spectras", options, names, MOST_BATCH)
    rows = _records(content, service.base_url)
    held = {row.get("specid", row.get("targetid")) for row in rows}
    if strangers := held - wanted:
        raise StarsmithError(f"{service.base_url} sent {len(strangers)} spectra nobody asked for")
    with staged_file(path) as partial:
        partial.write_bytes(content)
    return {**hash_file(path), "spectra": len(rows), "missing": sorted(wanted - held)}
