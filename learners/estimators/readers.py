"""How estimators learn to read vectors from few labelled stars."""

from collections.abc import Callable, Mapping
from typing import Any

from starsmith.learners.recipe import NetworkRecipe, load_recipe

__all__ = ["READERS"]

BATCH = 64
WIDTHS = (128, 64)
LEAST_LEAF = 4  # of the labelled stars that trees learn from, the share a leaf holds: 1 / 4


def _ridge(n: int, epochs: int, seed: int) -> Any:
    return load_recipe("ridge")


def _mlp(n: int, epochs: int, seed: int) -> NetworkRecipe:
    return NetworkRecipe(
        learning_rate=1e-3,
        weight_decay=1e-2,
        batch_size=min(BATCH, n),
        epochs=epochs,
        patience=max(epochs // 4, 1),
        warmup=0.02,
        noise="fixed",
        seed=seed,
        options={"widths": WIDTHS, "dropout": 0.1},
    )


def _trees(n: int, epochs: int, seed: int) -> Any:
    return load_recipe("lightgbm", n_leaves=max(2, min(31, n // LEAST_LEAF)), threads=1)


READERS: Mapping[str, Callable[[int, int, int], Any]] = {
    "ridge": _ridge,
    "mlp": _mlp,
    "lightgbm": _trees,
}
"""Estimator -> recipe for a number of stars; epochs and seed are those of a network."""
