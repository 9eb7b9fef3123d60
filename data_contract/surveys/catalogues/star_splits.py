"""Which split a star goes into: by a hash of its name, so that no star is in two."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.quantities import SPLITS

__all__ = ["SPLIT_SHARES", "hashed_name", "share_of_each", "split_stars"]

SPLIT_SHARES = (0.8, 0.1, 0.1)
STRATUM = 20  # stars of neighbouring labels that are divided together


def hashed_name(text: str) -> int:
    """A number below -1 for a name: 62 bits of its BLAKE2b."""
    return -2 - (int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 2)


def share_of_each(shares: Sequence[float]) -> dict[str, float]:
    """Share of train, val and test; DataError unless they are three that sum to 1."""
    if len(shares) != len(SPLITS) or min(shares) < 0 or abs(sum(shares) - 1.0) > 1e-6:
        raise DataError(f"shares {tuple(shares)} of train, val and test; expected three, sum 1")
    return dict(zip(SPLITS, map(float, shares), strict=True))


def split_stars(
    groups: np.ndarray,
    shares: Mapping[str, float],
    seed: int = 0,
    strata: np.ndarray | None = None,
) -> np.ndarray:
    """Split of every group of spectra, numbers of `SPLITS`.

    Each group's hash decides, so that more stars leave the others where they are. With strata,
    groups of neighbouring values are divided together: each split has its share of all values.

    Parameters
    ----------
    groups : int64 array, shape (n_group,)
        A number for the name of each, none twice.
    shares : dict of str to float
    seed : int
    strata : float array, shape (n_group,), optional
        A label of each group; NaN last.

    Returns
    -------
    splits : int8 array, shape (n_group,)
    """
    hashes = (hashed_name(f"{seed} {group}") for group in groups.tolist())
    at = np.fromiter(((number + 2) / -(2.0**62) for number in hashes), float, len(groups))
    edges = np.cumsum([shares[split] for split in SPLITS])[:-1]
    if strata is None:
        return np.searchsorted(edges, at, side="right").astype(np.int8)
    order = np.lexsort((at, strata))
    for start in range(0, order.size, STRATUM):
        within = order[start : start + STRATUM]
        rank = np.argsort(np.argsort(at[within]))
        at[within] = (rank + 0.5) / within.size
    return np.searchsorted(edges, at, side="right").astype(np.int8)
