"""What is stored of a shard against what its keys make: to the bit, or to the last rounding."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from starsmith.data_contract.checks.integrity import Finding
from starsmith.data_contract.dataset.gathered import read_column
from starsmith.data_contract.dataset.remaker import Remaker
from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.shards import Shard, open_run, plan_shards
from starsmith.data_contract.dataset.stored_spectra import as_stored, rounding_step
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.quantities import SNR_STATISTICS

__all__ = ["TOLERANCE", "compare_with_keys", "difference"]

TOLERANCE = 1e-6  # of labels, conditions and spectra made by other software than the first
SNR_TOLERANCE = 1e-3  # one rounding step of the median pixel
ROUNDING_FLIPS = 0.01  # share of pixels that an error of 1e-6 may carry over a rounding step


def difference(
    path: Path,
    header: DatasetHeader,
    shard: Shard,
    name: str,
    columns: Mapping[str, np.ndarray],
) -> float | None:
    """Largest relative difference of a stored column from the one made; None within tolerance.

    ``columns`` are all that were made of the shard's rows.
    """
    try:
        (stored,) = read_column(path, header, shard, name)
    except DataError:
        return np.inf
    made = as_stored(header, shard.split, name, columns)
    if np.array_equal(stored, made):
        return None
    scale = np.maximum(np.abs(made), 1e-30 if stored.ndim == 2 else 1e-3)
    moved = np.abs(stored.astype(np.float64) - made)
    error = moved / scale
    worst = float(error.max()) if np.isfinite(error).all() else np.inf
    if stored.ndim == 2:
        step = rounding_step(header, shard.split, name, columns) + TOLERANCE * scale
        close = (moved <= step).all() and (error > TOLERANCE).mean() <= ROUNDING_FLIPS
    else:
        close = worst <= (SNR_TOLERANCE if name in SNR_STATISTICS else TOLERANCE)
    return None if close else worst


def compare_with_keys(
    path: Path | str, remaker: Remaker, progress: Callable[[int, int], None] | None = None
) -> list[Finding]:
    """Make every row of a dataset again from its key; name the columns that are something else.

    It finds what no hash can: values that were changed before they were hashed, or by somebody
    who wrote all hashes again.

    Parameters
    ----------
    path : path
        With arrays that can be read.
    remaker : Remaker
    progress : callable, optional
        Called with (shards compared, shards in all).

    Raises
    ------
    DataError
        If the header or an array is damaged, or the bank is none of this dataset.
    """
    path = Path(path)
    header = open_run(path)
    plan = plan_shards(header.counts, header.shard_rows)
    findings = []
    for k, shard in enumerate(plan, start=1):
        made = remaker.columns(header, shard)
        found = {name: difference(path, header, shard, name, made) for name in header.columns}
        wrong = [f"{name} (by {v:.2g})" for name, v in found.items() if v is not None]
        if wrong:
            findings.append(Finding(shard.name, f"{', '.join(wrong)} not what its keys make"))
        if progress:
            progress(k, len(plan))
    return findings
