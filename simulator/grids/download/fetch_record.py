"""The record a download keeps beside its files: what is there, what the archive lacks."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starsmith.data_contract.dataset.manifest import FileRecord
from starsmith.data_contract.errors import ConfigError, DataError, GridError
from starsmith.data_contract.files.atomic import write_json
from starsmith.data_contract.files.outside import read_json
from starsmith.simulator.grids.bosz.releases import RELEASES
from starsmith.simulator.grids.download.fetch_plan import FetchPlan

__all__ = ["RECORD_FILE", "FetchRecord", "sole_use"]

logger = logging.getLogger(__name__)

RECORD_FILE = "manifest.json"
SCHEMA = "starsmith.grid_fetch"
SCHEMA_VERSION = 1
SECONDS_BETWEEN_WRITES = 5.0


class FetchRecord:
    """Files and holes of a folder, written to ``manifest.json`` now and then.

    Parameters
    ----------
    folder : Path
    plan : FetchPlan

    Attributes
    ----------
    files : dict of str to {"bytes", "sha256"}
        Files that arrived whole.
    holes : dict of str to str
        Files the archive does not have, and the address they were asked for below.

    Raises
    ------
    ConfigError
        If the folder holds files of another release, resolution, format or microturbulence.
    GridError
        If its ``manifest.json`` is damaged or something else.
    """

    def __init__(self, folder: Path, plan: FetchPlan):
        self.path = folder / RECORD_FILE
        self._plan = plan
        self._written = time.monotonic()
        self.files: dict[str, FileRecord] = {}
        self.holes: dict[str, str] = {}
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        try:
            content = read_json(self.path)
            schema = content.get("schema"), content.get("schema_version")
            if schema != (SCHEMA, SCHEMA_VERSION):
                raise DataError("not written by grid fetch")
            setup, self.files, self.holes = content["setup"], content["files"], content["holes"]
        except (DataError, KeyError) as problem:
            raise GridError(
                f"{self.path} is no record of a download ({problem}); choose another --out, or "
                "delete it: files already there are then checked and kept"
            ) from None
        if setup != self._plan.setup:
            raise ConfigError(
                f"{self.path.parent} holds {_words(setup)}, asked for is "
                f"{_words(self._plan.setup)}; choose another --out"
            )

    def save(self, now: bool = False) -> None:
        """Write the record, unless it was written a moment ago."""
        if not now and time.monotonic() - self._written < SECONDS_BETWEEN_WRITES:
            return
        release = RELEASES[self._plan.release]
        content = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "setup": self._plan.setup,
            "source": self._plan.base_url,
            "citation": release.citation,
            "files": self.files,
            # where nothing was found at all, the address was wrong rather than the nodes missing
            "holes": self.holes if self.files else {},
        }
        write_json(self.path, content)
        self._written = time.monotonic()


def _words(setup: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in setup.items())


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Keep a second download out of a folder, where the system can lock one.

    Raises
    ------
    GridError
        If another download is at work there.
    """
    try:
        import fcntl
    except ImportError:  # a system without such locks
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise GridError(
            f"another download is writing to {folder}; wait for it or choose another --out"
        ) from None
    except OSError as problem:
        logger.debug("%s cannot be locked: %s", folder, problem)
    try:
        yield
    finally:
        os.close(descriptor)
