"""Which spectra resemble each other: neighbours, outliers, and pairs of two kinds of spectra."""

from dataclasses import dataclass

import numpy as np

__all__ = [
    "Neighbours",
    "found_among",
    "outlier_scores",
    "outliers_among",
    "recall_at",
    "similar_to",
]

N_NEIGHBOUR = 10
BLOCK = 1024  # spectra compared with a set at once


@dataclass(frozen=True)
class Neighbours:
    """The most similar vectors of a set.

    Attributes
    ----------
    rows : int64 array, shape (n_spec, n_neighbour)
        In the set, the most similar first.
    similarity : float64 array, shape (n_spec, n_neighbour)
        Cosine of the angle between vectors less the set's mean.
    """

    rows: np.ndarray
    similarity: np.ndarray


def directions(vectors: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Vectors less the mean of a set, of length 1, float64 (n_spec, dim)."""
    away = vectors - among.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(away, axis=1, keepdims=True)
    return away / np.where(length > 0, length, 1.0)


def similar_to(
    vectors: np.ndarray, among: np.ndarray, n_neighbour: int = N_NEIGHBOUR
) -> Neighbours:
    """The vectors of a set that are most similar to some.

    Parameters
    ----------
    vectors : float array, shape (n_spec, dim)
    among : float array, shape (n_set, dim)
    n_neighbour : int
        At most as many as there are.
    """
    cosine = directions(vectors, among) @ directions(among, among).T
    n = min(n_neighbour, len(among))
    rows = np.argsort(-cosine, axis=1, kind="stable")[:, :n]
    return Neighbours(rows, np.take_along_axis(cosine, rows, axis=1))


def outlier_scores(
    vectors: np.ndarray, among: np.ndarray, n_neighbour: int = N_NEIGHBOUR
) -> np.ndarray:
    """Share of a set's own vectors that lie closer to their neighbours than each, 0..1.

    The distance is 1 less the cosine to the last of ``n_neighbour``; a vector of the set is not
    its own neighbour.
    """
    k, unit = min(n_neighbour, len(among) - 1), directions(among, among)
    usual = np.sort(_distances(unit, unit, k, own=True))
    away = _distances(directions(vectors, among), unit, k)
    return np.searchsorted(usual, away, side="left") / len(usual)


def outliers_among(among: np.ndarray, n_neighbour: int = N_NEIGHBOUR) -> np.ndarray:
    """`outlier_scores` of every vector of a set among the others, 0..1."""
    unit = directions(among, among)
    away = _distances(unit, unit, min(n_neighbour, len(among) - 1), own=True)
    return np.searchsorted(np.sort(away), away, side="left") / len(away)


def _distances(unit: np.ndarray, among: np.ndarray, k: int, own: bool = False) -> np.ndarray:
    """1 less the cosine to the k-th neighbour, block by block; not to oneself where both are one.

    float64 (n_spec,)
    """
    found = np.empty(len(unit))
    for start in range(0, len(unit), BLOCK):
        cosine = unit[start : start + BLOCK] @ among.T
        if own:
            rows = np.arange(len(cosine))
            cosine[rows, start + rows] = -np.inf
        found[start : start + BLOCK] = 1.0 - np.partition(cosine, -k, axis=1)[:, -k]
    return found


def found_among(first: np.ndarray, second: np.ndarray, n_neighbour: int = 1) -> np.ndarray:
    """Whether each star's own vector of the second kind is among the most similar, bool (n_star,).

    Parameters
    ----------
    first, second : float arrays, shape (n_star, dim)
        Vectors of the same stars in the same order, of an aligned pair.
    """
    one, other = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second))
    found = np.empty(len(one), dtype=bool)
    for start in range(0, len(one), BLOCK):
        cosine = one[start : start + BLOCK] @ other.T
        rows = np.arange(len(cosine))
        partner = cosine[rows, start + rows][:, None]
        found[start : start + BLOCK] = (cosine > partner).sum(axis=1) < n_neighbour
    return found


def recall_at(first: np.ndarray, second: np.ndarray, n_neighbour: int = 1) -> float:
    """Share of stars that `found_among` finds."""
    return float(found_among(first, second, n_neighbour).mean())
