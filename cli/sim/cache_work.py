"""What ``specsim cache`` does between its options and the cache."""

import time
from datetime import UTC, datetime

from starsmith.data_contract.text_tables import text_table
from starsmith.simulator.cache.contents import CacheEntry, clear_cache, list_cache
from starsmith.simulator.cache.use import cache_folder

__all__ = ["clear_chosen", "describe_cache", "describe_cleared", "report_cache"]

MEGABYTE = 1e6


def _entry(entry: CacheEntry) -> dict:
    return {
        "kind": entry.kind,
        "name": entry.path.name,
        "path": str(entry.path),
        "grid": entry.grid,
        "instrument": entry.instrument,
        "physics": entry.physics,
        "bytes": entry.size,
        "last_used": datetime.fromtimestamp(entry.used, UTC).isoformat(timespec="seconds"),
        "stale": bool(entry.stale),
        "stale_because": entry.stale,
        "in_use": entry.in_use,
    }


def report_cache() -> dict:
    """What is in the cache, as the JSON document has it."""
    entries, others = list_cache()
    stale = [entry for entry in entries if entry.stale]
    return {
        "folder": str(cache_folder()),
        "entries": [_entry(entry) for entry in entries],
        "bytes": sum(entry.size for entry in entries),
        "bytes_stale": sum(entry.size for entry in stale),
        "not_ours": [str(path) for path in others],
    }


def _table(rows: list[dict]) -> str:
    return text_table(
        [
            {
                "kind": row["kind"],
                "grid": row["grid"] or None,
                "instrument": row["instrument"] or None,
                "physics": row["physics"] or None,
                "MB": round(row["bytes"] / MEGABYTE),
                "last used": row["last_used"][:16].replace("T", " "),
                "state": _state(row),
                "name": row["name"],
            }
            for row in rows
        ]
    )


def _state(row: dict) -> str:
    stale = f"stale: {row['stale_because']}" if row["stale"] else "current"
    return f"in use, {stale}" if row["in_use"] else stale


def _not_ours(report: dict) -> str:
    found = report["not_ours"]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return f"\nnot ours, left alone: {', '.join(found[:5])}{more}" if found else ""


def describe_cache(report: dict) -> str:
    """The listing as text."""
    head = report["folder"]
    if not report["entries"]:
        return f"{head}: nothing kept{_not_ours(report)}"
    n_stale = sum(row["stale"] for row in report["entries"])
    total = f"{len(report['entries'])} kept, {report['bytes'] / MEGABYTE:.0f} MB"
    if n_stale:
        total += (
            f"; {n_stale} of them stale, {report['bytes_stale'] / MEGABYTE:.0f} MB: "
            "`specsim cache clear` removes them"
        )
    return f"{head}\n\n{_table(report['entries'])}\n\n{total}{_not_ours(report)}"


def clear_chosen(age: float | None, everything: bool, dry_run: bool) -> dict:
    """Remove entries of the cache; what was removed, as the JSON document has it.

    Parameters
    ----------
    age : float or None
        Those not used for so long [s]; None for those that are stale.
    everything : bool
    dry_run : bool
    """
    entries, others = list_cache()
    now = time.time()
    if not everything:
        entries = [
            entry for entry in entries if (entry.stale if age is None else now - entry.used > age)
        ]
    cleared = clear_cache(entries, dry_run)
    return {
        "folder": str(cache_folder()),
        "dry_run": dry_run,
        "removed": [_entry(entry) for entry in cleared.removed],
        "in_use": [_entry(entry) for entry in cleared.in_use],
        "bytes_freed": cleared.freed,
        "not_ours": [str(path) for path in others],
    }


def describe_cleared(report: dict) -> str:
    """What was removed as text."""
    rows, busy = report["removed"], report["in_use"]
    verb = "would be removed" if report["dry_run"] else "removed"
    freed = "to be freed" if report["dry_run"] else "freed"
    text = f"nothing to remove from {report['folder']}"
    if rows:
        text = (
            f"{_table(rows)}\n\n{len(rows)} {verb} from {report['folder']}, "
            f"{report['bytes_freed'] / MEGABYTE:.0f} MB {freed}"
        )
    if busy:
        names = ", ".join(row["name"] for row in busy)
        text += f"\nin use by a running process, left: {names}"
    return text + _not_ours(report)
