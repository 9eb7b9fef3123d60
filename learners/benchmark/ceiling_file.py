"""Ceiling tables kept between commands: the rows as JSON, the stars as arrays."""

import json
import math
from pathlib import Path

import numpy as np

from starsmith.data_contract.files.atomic import staged_file, write_text
from starsmith.data_contract.files.outside import MOST_TABLE, read_json, read_npz
from starsmith.fisher.ceilings.ceiling_table import CeilingRow, CeilingTable, StarCeiling

__all__ = ["read_ceiling_file", "write_ceiling_file"]

STAR_ARRAYS = ("index", "snr", "mag", "label", "sigma2", "mean", "var", "ess")
OPEN_ENDS = {"low": -math.inf, "high": math.inf}
"""What null stands for in the edges of a row; elsewhere it is an unknown number."""


def write_ceiling_file(path: Path, origin: dict, table: CeilingTable) -> None:
    """Write ``path.npz``, then ``path.json``; ``origin`` says what the table is of."""
    stars = table.stars
    with staged_file(path.with_suffix(".npz")) as partial, partial.open("wb") as stream:
        np.savez(stream, **{name: getattr(stars, name) for name in STAR_ARRAYS})
    content = {"of": origin, "seed": stars.seed, "split": stars.split, "ceiling": table.to_dict()}
    write_text(path.with_suffix(".json"), json.dumps(content, allow_nan=False))


def read_ceiling_file(path: Path, origin: dict) -> CeilingTable | None:
    """Read what `write_ceiling_file` wrote; None if it is missing or of something else."""
    if not path.with_suffix(".json").exists():
        return None
    content = read_json(path.with_suffix(".json"), advice="remove it")
    if content.get("of") != origin:
        return None
    arrays = read_npz(path.with_suffix(".npz"), STAR_ARRAYS, MOST_TABLE)
    stars = StarCeiling(seed=content["seed"], split=content["split"], **arrays)
    table = content["ceiling"]
    rows = _rows(table)
    scalars = {name: table[name] for name in ("target", "unit", "header", "notice")}
    return CeilingTable(rows=rows, stars=stars, **scalars)


def _rows(content: dict) -> tuple[CeilingRow, ...]:
    """Rows of a table from what `CeilingTable.to_dict` made of it."""
    return tuple(
        CeilingRow(**{name: _restored(name, value) for name, value in row.items()})
        for row in content["rows"]
    )


def _restored(name: str, value: object) -> object:
    if value is None:
        return OPEN_ENDS.get(name, math.nan)
    if isinstance(value, dict):
        return {key: _restored("", item) for key, item in value.items()}
    return tuple(_restored("", item) for item in value) if isinstance(value, list) else value
