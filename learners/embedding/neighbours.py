"""Which spectra resemble each other: neighbours, outliers, and pairs of two kinds of spectra."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Neighbours", "outlier_scores", "recall_at", "similar_to"]

N_NEIGHBOUR = 10


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
    unit = directions(among, among)
    own = unit @ unit.T
    np.fill_diagonal(own, -np.inf)
    k = min(n_neighbour, len(among) - 1)
    usual = np.sort(1.0 - np.partition(own, -k, axis=1)[:, -k])
    cosine = directions(vectors, among) @ unit.T
    away = 1.0 - np.partition(cosine, -k, axis=1)[:, -k]
    return np.searchsorted(usual, away, side="left") / len(usual)


def recall_at(first: np.ndarray, second: np.ndarray, n_neighbour: int = 1) -> float:
    """Share of stars whose own spectrum of the second kind is among the most similar.

    Parameters
    ----------
    first, second : float arrays, shape (n_star, dim)
        Vectors of the same stars in the same order, of an aligned pair.
    """
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second)]
    cosine = unit[0] @ unit[1].T
    better = (cosine > np.diagonal(cosine)[:, None]).sum(axis=1)
    return float((better < n_neighbour).mean())
