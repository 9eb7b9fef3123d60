"""``specsim cache``: grids and banks kept for the next command, and their removal."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.command import CommandGroup, echo_json, json_option
from starsmith.cli.shared.option_table import option, takes
from starsmith.cli.shared.option_types import Duration
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.simulator.cache.contents import CacheEntry

__all__ = ["CacheOptions", "ClearOptions", "cache", "clear"]

MEGABYTE = 1e6


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """Options of ``specsim cache``."""

    as_json: bool = json_option()


@dataclass(frozen=True, kw_only=True)
class ClearOptions:
    """Options of ``specsim cache clear``."""

    age: float | None = option(
        "--older-than", type=Duration(), help="What was not used for so long, stale or not: 30d."
    )
    everything: bool = option("--all", is_flag=True, help="All of it, stale or not.")
    dry_run: bool = option(is_flag=True, help="Only say what would be removed.")
    as_json: bool = json_option()


@click.group(cls=CommandGroup, invoke_without_command=True)
@takes(CacheOptions)
@click.pass_context
def cache(context: click.Context, options: CacheOptions) -> None:
    """List the grids and banks kept for the next command, and what of it is stale.

    Stale is what no command of this version would use: another physics version, or rendered
    by other code. `specsim cache clear` removes it.
    """
    if context.invoked_subcommand is not None:
        if options.as_json:
            raise click.UsageError("--json goes after the subcommand: specsim cache clear --json")
        return
    report = _report()
    if options.as_json:
        echo_json("specsim.cache", report)
    else:
        click.echo(_describe(report))


@cache.command(
    "clear",
    examples=(
        "specsim cache clear --dry-run",
        "specsim cache clear --older-than 30d",
        "specsim cache clear --all",
    ),
    resume="what was removed is gone; run the same command again to remove the rest",
)
@takes(ClearOptions)
def clear(options: ClearOptions) -> None:
    """Remove what is stale from the cache; it is made again when it is needed.

    What a running process uses stays, and so does whatever starsmith did not put there.
    """
    if options.everything and options.age is not None:
        raise click.UsageError("give either --all or --older-than")
    report = _clear(options.age, options.everything, options.dry_run)
    if options.as_json:
        echo_json("specsim.cache_clear", report)
    else:
        click.echo(_describe_cleared(report))


def _entry(entry: "CacheEntry") -> dict:
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


def _report() -> dict:
    """What is in the cache, as the JSON document has it."""
    from starsmith.data_contract.files.user_cache import cache_folder
    from starsmith.simulator.cache.contents import list_cache

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


def _describe(report: dict) -> str:
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


def _clear(age: float | None, everything: bool, dry_run: bool) -> dict:
    """Remove entries of the cache; what was removed, as the JSON document has it.

    Parameters
    ----------
    age : float or None
        Those not used for so long [s]; None for those that are stale.
    everything : bool
    dry_run : bool
    """
    from starsmith.data_contract.files.user_cache import cache_folder
    from starsmith.simulator.cache.contents import clear_cache, list_cache

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


def _describe_cleared(report: dict) -> str:
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
