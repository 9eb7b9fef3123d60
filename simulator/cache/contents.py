"""What the user's cache holds, what of it no command would use again, and its removal."""

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import partial_name
from starsmith.data_contract.files.outside import read_json
from starsmith.data_contract.files.user_cache import cache_folder, reserved
from starsmith.simulator.cache.cached_bank import bank_digest
from starsmith.simulator.grids.cached_demo import named_grid_key
from starsmith.simulator.grids.demo import demo_axes, demo_cache_key
from starsmith.simulator.grids.demo_ranges import DEMO_RANGES
from starsmith.simulator.synthesis import PHYSICS_VERSION, table_digest

__all__ = ["CacheEntry", "Cleared", "clear_cache", "list_cache"]

KINDS = {"grids": "grid", "banks": "bank", "nodes": "unfinished grid"}
NAMES = {
    "grid": r"demo-[0-9a-f]{16}\.zarr",
    "bank": r"[0-9a-f]{20}\.zarr",
    "unfinished grid": r"[0-9a-f]{16}",
}
LEFT_BEHIND = r"\.+(demo-[0-9a-f]{16}|[0-9a-f]{20})\.zarr(\.[0-9a-f]{12,}\.partial)+"
NODE_FILE = r"[\d-]+(\.npy|\.\d+\.partial)"
SCHEMAS = {"grid": "starsmith.grid", "bank": "starsmith.bank"}
PLAIN = {"mag_band": "hsc2017-i", "interpolation": "cubic"}
AT_WORK = 600.0
"""Seconds for which something half-made counts as being made; a model takes a fraction of one."""


@dataclass(frozen=True, kw_only=True)
class CacheEntry:
    """One thing kept in the cache.

    Attributes
    ----------
    path : Path
    kind : str
        ``grid``, ``bank``, ``unfinished grid`` (finished models of an interrupted build) or
        ``left behind`` (by a process that was killed while writing).
    grid, instrument : str
        Names; empty where there is none.
    physics : str
        Version of the synthesis or release the spectra come from; empty where unknown.
    size : int
        Disk it takes [bytes].
    used : float
        When it was last used [s since 1970].
    stale : str
        Why no command of this version would use it; empty where one may.
    in_use : bool
        By a process running now.
    """

    path: Path
    kind: str
    grid: str = ""
    instrument: str = ""
    physics: str = ""
    size: int = 0
    used: float = 0.0
    stale: str = ""
    in_use: bool = False


@dataclass(frozen=True)
class Cleared:
    """What `clear_cache` removed, and what it left because a process uses it."""

    removed: tuple[CacheEntry, ...]
    in_use: tuple[CacheEntry, ...]

    @property
    def freed(self) -> int:
        """Disk given back [bytes]."""
        return sum(entry.size for entry in self.removed)


def list_cache() -> tuple[list[CacheEntry], list[Path]]:
    """Look through the cache.

    Returns
    -------
    entries : list of CacheEntry
        The least recently used first.
    others : list of Path
        What is there and not recognised as ours, links among it; never touched.
    """
    entries, others = [], []
    for path in _children(cache_folder(), others):
        kind = KINDS.get(path.name)
        if kind is None:
            others.append(path)
            continue
        for own in _children(path, others):
            entry = _recognise(own, kind)
            if entry is None:
                others.append(own)
            else:
                entries.append(entry)
    return sorted(entries, key=lambda entry: entry.used), others


def _children(folder: Path, others: list[Path]) -> Iterator[Path]:
    """Folders in a folder; files and links are added to ``others``."""
    if not folder.is_dir():
        return
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if entry.is_dir(follow_symlinks=False):
            yield folder / entry.name
        else:
            others.append(folder / entry.name)


def _recognise(path: Path, kind: str) -> CacheEntry | None:
    """Describe a folder of the cache; None where it is not ours or went away meanwhile."""
    half_made = re.fullmatch(LEFT_BEHIND, path.name) is not None and kind != "unfinished grid"
    try:
        size, changed = _measure(path)
        used = path.stat().st_mtime
        if half_made:
            busy = time.time() - changed < AT_WORK
            stale = "left by a killed process"
            return CacheEntry(
                path=path, kind="left behind", size=size, used=changed, stale=stale, in_use=busy
            )
        if not re.fullmatch(NAMES[kind], path.name):
            return None
        entry = CacheEntry(path=path, kind=kind, size=size, used=used)
        if kind == "unfinished grid":
            return _unfinished(entry, changed)
        with reserved(path, time.time() - used) as free:
            return _described(replace(entry, in_use=not free))
    except FileNotFoundError:
        return None


def _measure(path: Path) -> tuple[int, float]:
    """Disk a folder takes [bytes], and when anything in it last changed; links count as links."""
    status = path.lstat()
    size, changed = _disk(status), status.st_mtime
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            status = os.lstat(os.path.join(folder, name))
            size, changed = size + _disk(status), max(changed, status.st_mtime)
    return size, changed


def _disk(status: os.stat_result) -> int:
    return 512 * status.st_blocks if hasattr(status, "st_blocks") else status.st_size


def _unfinished(entry: CacheEntry, changed: float) -> CacheEntry | None:
    """Models of a build that has not ended: `build_demo_grid` goes on from them."""
    if not all(re.fullmatch(NODE_FILE, file.name) for file in os.scandir(entry.path)):
        return None
    boxes = {
        demo_cache_key(demo_axes(box), sampling)
        for box in ("3d", "5d", "small")
        for sampling in DEMO_RANGES.values()
    }
    return replace(
        entry,
        grid="demo",
        used=changed,
        stale="" if entry.path.name in boxes else "of another version or other axes",
        in_use=time.time() - changed < AT_WORK,
    )


def _described(entry: CacheEntry) -> CacheEntry | None:
    """Fill in what the file's attributes say; None where it is no file of ours."""
    try:
        attributes = read_json(entry.path / "zarr.json")["attributes"]
        if attributes["schema"] != SCHEMAS[entry.kind]:
            return None
        grid = attributes if entry.kind == "grid" else attributes["grid"]
        entry = replace(
            entry,
            grid=grid["name"],
            physics=grid["provenance"].get("release", ""),
            instrument="" if entry.kind == "grid" else attributes["instrument"]["name"],
        )
        return replace(entry, stale=_why_stale(entry, grid, attributes))
    except (DataError, LookupError, TypeError):
        return None


def _why_stale(entry: CacheEntry, grid: dict, attributes: dict) -> str:
    """Why no command of this version looks for an entry; empty where one may."""
    if entry.grid not in DEMO_RANGES:
        return ""  # the key of a grid file is its path and contents: it may come back
    if entry.physics != (current := f"physics version {PHYSICS_VERSION}"):
        return f"now {current}"
    if grid["provenance"].get("tables_sha256") != table_digest():
        return "line tables have changed"
    if entry.kind == "grid":
        current = entry.path.name == f"demo-{named_grid_key(entry.grid)}.zarr"
        return "" if current else "nodes or sampling have changed"
    options = any((entry.path / name).exists() for name in ("velocity", "reddening", "basis"))
    if options or any(attributes.get(name, plain) != plain for name, plain in PLAIN.items()):
        return ""  # rendered with options that are not recorded
    found = bank_digest(named_grid_key(entry.grid), attributes["instrument"]) == entry.path.stem
    return "" if found else "rendering has changed"


def clear_cache(entries: Iterable[CacheEntry], dry_run: bool = False) -> Cleared:
    """Remove entries of the cache that no process uses.

    An entry is renamed before it is taken apart: whoever opens it meanwhile finds all of it or
    nothing, and what an interruption leaves is recognised as left behind.

    Parameters
    ----------
    entries : iterable of CacheEntry
        Of `list_cache`.
    dry_run : bool
        Only say what would be removed.

    Returns
    -------
    cleared : Cleared
    """
    removed, busy = [], []
    for entry in entries:
        if entry.in_use:
            busy.append(entry)
            continue
        if dry_run:
            removed.append(entry)
            continue
        aside = partial_name(entry.path)
        try:
            with reserved(entry.path, time.time() - entry.used) as free:
                if not free:
                    busy.append(replace(entry, in_use=True))
                    continue
                os.rename(entry.path, aside)
        except FileNotFoundError:
            continue  # another process removed it
        shutil.rmtree(aside)
        removed.append(entry)
    return Cleared(tuple(removed), tuple(busy))
