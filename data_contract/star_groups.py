"""Groups of stars that scores are told for: all, metal-poor and -rich, giants and dwarfs."""

from collections.abc import Sequence

import numpy as np

__all__ = ["GIANT", "METAL_POOR", "groups_of"]

METAL_POOR, GIANT = -1.0, 3.5  # [M/H] and log g below which stars are so


def groups_of(labels: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Which stars belong to each group, bool (n_spec,).

    Parameters
    ----------
    labels : float64 array, shape (n_spec, n_label)
        True.
    names : sequence of str
        Of the labels; without ``m_h`` or ``logg`` the groups of that label are left out.
    """
    columns = dict(zip(names, labels.T, strict=True))
    found = {"all": np.ones(len(labels), dtype=bool)}
    if "m_h" in columns:
        poor = columns["m_h"] < METAL_POOR
        found |= {"metal-poor": poor, "metal-rich": ~poor}
    if "logg" in columns:
        giant = columns["logg"] < GIANT
        found |= {"giants": giant, "dwarfs": ~giant}
    return found
