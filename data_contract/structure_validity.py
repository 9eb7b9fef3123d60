"""How far a grid's model atmospheres are to be trusted, node by node, and shares of a data set."""

from collections.abc import Mapping

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.quantities import LABELS

__all__ = ["CLASSES", "node_counts", "star_shares", "validity_map"]

CLASSES = {
    "m": "modelled",
    "c": "cool: modelled, but structures below 4000 K are not called true",
    "x": "continued: no model, the trends of the nearest were continued",
}
"""Letter of a node -> what it means."""


def validity_map(axes: Mapping[str, np.ndarray], letters: np.ndarray) -> dict:
    """What a grid's provenance records, JSON-able.

    Parameters
    ----------
    axes : mapping of str to float64 array
    letters : array of str, shape (n_1, n_2, ...)
        One of `CLASSES` for each node.
    """
    return {
        "axes": {name: [float(node) for node in nodes] for name, nodes in axes.items()},
        "nodes": "".join(letters.ravel()),
        "classes": CLASSES,
    }


def _axes(validity: Mapping) -> dict[str, list[float]]:
    """Axes in the order of the map, that of `LABELS`: JSON of a data set has them sorted."""
    axes = validity["axes"]
    return {name: axes[name] for name in LABELS if name in axes}


def _letters(validity: Mapping) -> np.ndarray:
    shape = [len(nodes) for nodes in _axes(validity).values()]
    letters = np.array(list(validity["nodes"]))
    if letters.size != np.prod(shape):
        raise DataError(f"validity map: {letters.size} nodes, the axes span {np.prod(shape)}")
    return letters.reshape(shape)


def node_counts(validity: Mapping) -> dict[str, int]:
    """Nodes of each class, by its first word."""
    letters = _letters(validity)
    return {_word(key): int(np.sum(letters == key)) for key in CLASSES}


def star_shares(validity: Mapping, labels: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Share of stars in cells of each class: the worst of the nodes around a star counts.

    Parameters
    ----------
    validity : mapping
        From `validity_map`.
    labels : mapping of str to float64 array, shape (n_star,)
        Every axis of the map.
    """
    letters = _letters(validity)
    worst = np.zeros(letters.shape, dtype=np.int64)  # place in CLASSES: later is worse
    for place, key in enumerate(CLASSES):
        worst[letters == key] = place
    for axis, nodes in enumerate(_axes(validity).values()):
        if len(nodes) == 1:
            continue
        length = len(nodes) - 1  # cells along the axis
        worst = np.maximum(
            worst.take(range(length), axis=axis), worst.take(range(1, length + 1), axis=axis)
        )
    place = tuple(
        np.clip(np.searchsorted(nodes, labels[name], side="right") - 1, 0, max(len(nodes) - 2, 0))
        for name, nodes in _axes(validity).items()
    )
    found = worst[place]
    return {_word(key): float(np.mean(found == k)) for k, key in enumerate(CLASSES)}


def _word(key: str) -> str:
    return CLASSES[key].split(":")[0]
