"""Groups of stars that scores are told for: all, metal-poor and -rich, giants and dwarfs."""

from collections.abc import Sequence

import numpy as np

__all__ = ["GIANT", "GROUPS", "METAL_POOR", "groups_of"]

GROUPS = ("all", "metal-poor", "metal-rich", "giants", "dwarfs")
METAL_POOR, GIANT = -1.0, 3.5  # [M/H] and log g below which stars are so


def groups_of(labels: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Which stars belong to each group, bool (n_spec,).

    Parameters
    ----------
    labels : float64 array, shape (n_spec, n_label)
        True.
    names : sequence of str
        Of the labels, ``logg`` and ``m_h`` among them.
    """
    m_h, logg = labels[:, list(names).index("m_h")], labels[:, list(names).index("logg")]
    inside = (np.ones(len(labels), bool), m_h < METAL_POOR, m_h >= METAL_POOR)
    return dict(zip(GROUPS, (*inside, logg < GIANT, logg >= GIANT), strict=True))
