"""Download a box of archive files into a folder that can be imported as it is."""

import logging
import queue
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from starsmith.data_contract.dataset.manifest import FileRecord, hash_file
from starsmith.data_contract.errors import GridError, InputError, StarsmithError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.files.outside import read_file
from starsmith.simulator.grids.bosz.bosz_integrity import find_damage
from starsmith.simulator.grids.bosz.bosz_spectrum import most_text
from starsmith.simulator.grids.bosz.cropped import CROPPED, cropped_content
from starsmith.simulator.grids.bosz.releases import parse_archive_name
from starsmith.simulator.grids.download.fetch_plan import FetchPlan, PlannedFile
from starsmith.simulator.grids.download.fetch_record import FetchRecord, sole_use
from starsmith.simulator.grids.download.remote import (
    NotThere,
    Patience,
    RemoteArchive,
    TransferFailed,
)
from starsmith.simulator.grids.download.transfer import PartialFile, download

__all__ = ["FetchReport", "fetch_grid", "missing_bytes", "room_bytes"]

logger = logging.getLogger(__name__)

DOWNLOADS_OF_DAMAGED = 2
SIZE_MARGIN = 4  # a file this many times larger than planned is something else
SIZE_SLACK = 1 << 20  # [byte]
FAILURES_IN_A_ROW = 8
SECONDS_BETWEEN_REPORTS = 0.5
SECONDS_TO_STOP = 2.0


@dataclass(frozen=True, kw_only=True)
class FetchReport:
    """What became of every file of a plan, in label order.

    Attributes
    ----------
    out : Path
    fetched, kept : tuple of str
        Files that arrived, and those that were there already and proved whole.
    holes : tuple of str
        Files the archive does not have.
    failed : tuple of (str, str)
        File and the reason it is not there; running again may help.
    n_received : int
        Bytes that came over the network.
    n_kept : int
        Bytes that lie in the folder now.
    """

    out: Path
    fetched: tuple[str, ...]
    kept: tuple[str, ...]
    holes: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    n_received: int
    n_kept: int


class _Outcome(NamedTuple):
    """What became of one file; ``name`` is the archive's."""

    name: str
    kind: str  # fetched, kept, hole or failed
    record: FileRecord | None = None
    reason: str = ""


def missing_bytes(plan: FetchPlan, out: Path) -> int:
    """What is still to come of the planned files [byte]."""
    total = 0
    for file in plan.files:
        if not (out / plan.kept_name(file)).exists():
            total += max(0, file.n_bytes - PartialFile(out / file.name).size)
    return total


def fetch_grid(
    plan: FetchPlan,
    out: Path | str,
    connections: int = 4,
    patience: Patience | None = None,
    progress: Callable[[int, int, int], None] | None = None,
    sleep: Callable[[float], object] | None = None,
) -> FetchReport:
    """Download the files of a plan, or what is still missing of them.

    However it ends, running it again goes on where it stopped: whole files are kept if
    their hash is the one recorded, and a part of a file is continued.

    Parameters
    ----------
    plan : FetchPlan
    out : Path or str
        Folder for the files and their ``manifest.json``; what `import_bosz` reads.
    connections : int
        Files on the way at a time.
    patience : Patience, optional
        Retries, pauses and timeouts.
    progress : callable, optional
        Called with (files done, files in all, bytes received).
    sleep : callable, optional
        Used for pauses, in seconds.

    Returns
    -------
    report : FetchReport

    Raises
    ------
    GridError
        If the folder cannot take the files.
    StarsmithError
        If the archive does not answer, or has none of the files.
    """
    out = Path(out)
    _check_names(plan)
    out.mkdir(parents=True, exist_ok=True)
    with (
        sole_use(out),
        closing(RemoteArchive(plan.base_url, patience or Patience(), sleep)) as archive,
    ):
        record = FetchRecord(out, plan)
        _check_room(plan, out, connections)
        outcomes: dict[str, _Outcome] = {}
        try:
            with _crew(archive, plan, out, record, connections) as arrivals:
                for outcome in _collect(arrivals, archive, len(plan.files), progress):
                    outcomes[outcome.name] = outcome
                    _note(record, outcome, plan)
                    record.save()
        finally:
            record.save(now=True)
        return _report(plan, out, outcomes, archive.n_received)


def _check_names(plan: FetchPlan) -> None:
    """Refuse any name that is not exactly one the release has: it could lead out of the folder."""
    for file in plan.files:
        try:
            parse_archive_name(file.name)
        except GridError as problem:
            raise GridError(f"{file.name!r} is not fetched: {problem}") from None
        if not file.path.endswith(f"/{file.name}") or ".." in file.path.split("/"):
            raise GridError(f"{file.path!r} is no place of {file.name} in the archive")


def room_bytes(plan: FetchPlan, out: Path, connections: int = 4) -> int:
    """Room that a fetch still needs on the disk [byte]: what is kept, and what is on the way."""
    if plan.crop is None:
        return missing_bytes(plan, out)
    absent = [file for file in plan.files if not (out / plan.kept_name(file)).exists()]
    on_the_way = sorted((file.n_bytes for file in absent), reverse=True)[:connections]
    return sum(map(plan.kept_bytes, absent)) + sum(on_the_way)


def _check_room(plan: FetchPlan, out: Path, connections: int) -> None:
    needed, free = room_bytes(plan, out, connections), shutil.disk_usage(out).free
    if needed > free:
        raise GridError(
            f"{out} has {free / 1e9:.1f} GB free, about {needed / 1e9:.1f} GB are needed; choose "
            "another --out, a lower --resolution or narrower ranges"
        )


@contextmanager
def _crew(
    archive: RemoteArchive, plan: FetchPlan, out: Path, record: FetchRecord, connections: int
) -> Iterator[queue.Queue]:
    """Threads at work on a plan; yields the queue their outcomes arrive in.

    They are daemons and not waited for: at any moment they can be cut off without harm.
    """
    todo: queue.Queue[PlannedFile] = queue.Queue()
    arrivals: queue.Queue[_Outcome | BaseException] = queue.Queue()
    files, holes = dict(record.files), dict(record.holes)
    for file in plan.files:
        todo.put(file)

    def work() -> None:
        while not archive.called_off.is_set():
            try:
                file = todo.get_nowait()
            except queue.Empty:
                return
            try:
                if holes.get(file.name) == plan.base_url:
                    arrivals.put(_Outcome(file.name, "hole"))
                else:
                    kept = out / plan.kept_name(file)
                    arrivals.put(_obtain(archive, plan, file, kept, files.get(kept.name)))
            except BaseException as problem:
                archive.called_off.set()
                arrivals.put(problem)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        yield arrivals
    finally:
        archive.called_off.set()
        for thread in threads:
            thread.join(SECONDS_TO_STOP / connections)


def _obtain(
    archive: RemoteArchive,
    plan: FetchPlan,
    file: PlannedFile,
    kept: Path,
    known: FileRecord | None,
) -> _Outcome:
    """Have one file, or its cropped range, in the folder."""
    if kept.exists() and (found := _whole(kept, known)):
        return _Outcome(file.name, "kept", found)
    partial = PartialFile(kept.with_name(file.name))
    damage = None
    try:
        for _ in range(DOWNLOADS_OF_DAMAGED):
            download(archive, file.path, partial, SIZE_MARGIN * file.n_bytes + SIZE_SLACK)
            damage = find_damage(partial.path, file.name)
            archive.go_on()
            if damage is None:
                return _Outcome(file.name, "fetched", _settle(partial, plan, kept))
            partial.discard()
    except NotThere:
        partial.discard()
        return _Outcome(file.name, "hole")
    except InputError as problem:  # it cannot be cropped
        partial.discard()
        return _Outcome(file.name, "failed", reason=str(problem))
    except TransferFailed as problem:
        return _Outcome(file.name, "failed", reason=str(problem))
    return _Outcome(
        file.name, "failed", reason=f"damaged each time it was downloaded ({damage}); refused"
    )


def _settle(partial: PartialFile, plan: FetchPlan, kept: Path) -> FileRecord:
    """Give a whole file its name; or keep its cropped range, and discard it."""
    if plan.crop is None:
        record = hash_file(partial.path)
        partial.finish()
        return record
    name = parse_archive_name(partial.target.name)
    content = read_file(partial.path, most_text(name.resolution))
    cropped = cropped_content(content, partial.target.name, name, *plan.crop)
    with staged_file(kept, sweep=True) as staging:
        staging.write_bytes(cropped)
    partial.discard()
    return hash_file(kept)


def _whole(target: Path, known: FileRecord | None) -> FileRecord | None:
    """Hash of a file that is as it was fetched or, where that is unknown, undamaged."""
    found = hash_file(target)
    if known is not None:
        problem = None if found == known else "changed since it was fetched"
    else:
        problem = find_damage(target, target.name)
    if problem is None:
        return found
    logger.warning("%s: %s; downloading it again", target, problem)
    return None


def _collect(
    arrivals: queue.Queue,
    archive: RemoteArchive,
    n_files: int,
    progress: Callable[[int, int, int], None] | None,
) -> Iterator[_Outcome]:
    """Outcomes as they arrive; whatever ends the whole fetch is raised here."""
    n_done = n_failed = 0
    while n_done < n_files:
        try:
            outcome = arrivals.get(timeout=SECONDS_BETWEEN_REPORTS)
        except queue.Empty:
            outcome = None
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome is not None:
            n_done += 1
            n_failed = n_failed + 1 if outcome.kind == "failed" else 0
            yield outcome
        if progress:
            progress(n_done, n_files, archive.n_received)
        if n_failed >= FAILURES_IN_A_ROW:
            raise StarsmithError(
                f"{n_failed} files in a row could not be had from {archive.base_url}, the last: "
                f"{outcome.name}: {outcome.reason}; run the same command again later, it goes on "
                "where it stopped"
            )


def _note(record: FetchRecord, outcome: _Outcome, plan: FetchPlan) -> None:
    if outcome.record is not None:
        kept = outcome.name if plan.crop is None else f"{outcome.name}{CROPPED}"
        record.files[kept] = outcome.record
        record.holes.pop(outcome.name, None)
    elif outcome.kind == "hole":
        record.holes[outcome.name] = plan.base_url


def _report(
    plan: FetchPlan, out: Path, outcomes: dict[str, _Outcome], n_received: int
) -> FetchReport:
    found = [outcomes[file.name] for file in plan.files]
    counts = Counter(outcome.kind for outcome in found)
    if counts["hole"] == len(found):
        raise StarsmithError(
            f"none of the {len(found)} files exists below {plan.base_url}; check --base-url, or "
            "whether the archive has moved"
        )
    return FetchReport(
        out=out,
        fetched=tuple(outcome.name for outcome in found if outcome.kind == "fetched"),
        kept=tuple(outcome.name for outcome in found if outcome.kind == "kept"),
        holes=tuple(outcome.name for outcome in found if outcome.kind == "hole"),
        failed=tuple(
            (outcome.name, outcome.reason) for outcome in found if outcome.kind == "failed"
        ),
        n_received=n_received,
        n_kept=sum(outcome.record["bytes"] for outcome in found if outcome.record is not None),
    )
