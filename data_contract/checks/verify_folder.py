"""Verification of grids and banks: every byte against their digest tree, every array read."""

from collections.abc import Callable
from pathlib import Path

from starsmith.data_contract.bank.bank_file import BANK_SCHEMA, read_bank
from starsmith.data_contract.checks.integrity import Finding
from starsmith.data_contract.checks.verify import Report, verify_dataset
from starsmith.data_contract.errors import DataError, StarsmithError
from starsmith.data_contract.files.digests import changed_files, read_digests
from starsmith.data_contract.files.zarr_groups import schema_of
from starsmith.data_contract.grid.error_map import NODES, PIXELS, read_error_map
from starsmith.data_contract.grid.grid_file import GRID_SCHEMA, read_whole_grid
from starsmith.data_contract.grid.map_file import MAPS, read_quality_maps

__all__ = ["verify_file"]

ADVICE = {BANK_SCHEMA: "render the bank again", GRID_SCHEMA: "import or copy the grid again"}


def verify_file(path: Path | str) -> Report:
    """Check a dataset, a bank or a grid, byte by byte.

    Parameters
    ----------
    path : path

    Returns
    -------
    report : Report

    Raises
    ------
    DataError
        If ``path`` is not a folder at all.
    """
    path = Path(path)
    schema = schema_of(path)
    if schema == BANK_SCHEMA:
        return _verify_group(path, [path], read_bank, ADVICE[schema])
    if schema == GRID_SCHEMA:
        maps = [path / name for name in (PIXELS, NODES, MAPS) if (path / name).is_dir()]
        return _verify_group(path, [path, *maps], _read_grid, ADVICE[schema])
    return verify_dataset(path)


def _read_grid(path: Path) -> None:
    read_whole_grid(path)
    read_error_map(path)
    read_quality_maps(path)


def _verify_group(
    path: Path, trees: list[Path], read: Callable[[Path], object], advice: str
) -> Report:
    """Compare folders with their digest trees, then read all that is in them."""
    problems, n_files, n_bytes, has_digest = [], 0, 0, True
    for tree in trees:
        inside = tree.relative_to(path)
        try:
            files = read_digests(tree)
        except DataError as problem:
            problems.append(str(problem))
            continue
        if files is None:
            has_digest = False
            continue
        found = changed_files(tree, files, thorough=True)
        problems += [f"{inside / text}" for text in found]
        n_files, n_bytes = n_files + len(files), n_bytes + sum(r["bytes"] for r in files.values())
    try:
        read(path)
    except StarsmithError as problem:
        if not problems:
            problems.append(str(problem))
    findings = [Finding("", f"{text}; {advice}") for text in problems]
    return Report(path, findings, n_files, n_bytes, has_digest)
