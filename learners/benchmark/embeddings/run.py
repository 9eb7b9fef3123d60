"""Train the readers of every embedding; a finished cell is a file, and is not trained again."""

import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starsmith.data_contract.files.atomic import json_safe, write_text
from starsmith.learners.benchmark.embeddings.makers import Makers, Unlabelled, outside_door
from starsmith.learners.benchmark.embeddings.suite import (
    Cell,
    EmbeddingSuite,
    cell_file,
    is_outside,
)
from starsmith.learners.benchmark.lab_cells import LabTarget
from starsmith.learners.benchmark.suite_tables import finished_cells, waiting_cells
from starsmith.learners.embedding.doors import Door
from starsmith.learners.estimators.readers import READERS
from starsmith.learners.prediction.predict import load_checkpoint
from starsmith.learners.train import fit
from starsmith.learners.transfer.samples import Sample, training_view

__all__ = ["finished", "read_vectors", "run_embeddings"]

CHOOSE = 5  # one in so many labelled stars chooses epochs and penalties
FREE = ("embeddings", "readers")  # may be added to a folder


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors of labelled stars and of stars to be judged on."""

    name: str
    train: np.ndarray
    test: np.ndarray

    @classmethod
    def of(cls, door: Door, target: LabTarget) -> "Vectors":
        """Under the noise of record."""
        train, test = (door.of_split(split) for split in (target.view.train, target.test))
        return cls(door.name, train, test)


def run_embeddings(
    suite: EmbeddingSuite,
    out: Path,
    world: Unlabelled,
    device: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[dict]:
    """Train every cell that is not done; return what every finished cell holds.

    Parameters
    ----------
    suite : EmbeddingSuite
    out : Path
        Folder of networks and cells; one of another suite is refused.
    world : Unlabelled
    device : str, optional
    tell : callable
        Told what is done next.
    """
    for name in filter(is_outside, suite.embeddings):  # what is missing is said first
        outside_door(name, None, device)
    waiting = waiting_cells(suite, out, cell_file, FREE)
    if waiting:
        makers = Makers(suite, out, world, device, tell)
        tell(f"labelled stars of {suite.survey}")
        target = world.target(0.0)
        for name in dict.fromkeys(cell[0] for cell in waiting):
            vectors = Vectors.of(makers.door(name), target)
            for cell in waiting:
                if cell[0] == name:
                    tell("{}, {}, {} labelled stars, draw {}".format(*cell))
                    _run_cell(suite, cell, vectors, target, out, device)
    return finished(suite, out)


def finished(suite: EmbeddingSuite, out: Path) -> list[dict]:
    """What every finished cell of a folder holds."""
    return finished_cells(suite, out, cell_file)


def _run_cell(
    suite: EmbeddingSuite,
    cell: Cell,
    vectors: Vectors,
    target: LabTarget,
    out: Path,
    device: str | None,
) -> None:
    """Train a reader and write what it says of the stars that it is judged on."""
    _, reader, n, draw = cell
    rows = np.random.default_rng([n, draw]).permutation(len(vectors.train))[:n]
    labels, names = target.view.train.labels[rows], target.view.train.label_names
    value = read_vectors(
        reader, vectors.train[rows], labels, vectors.test, names, suite.reader_epochs, draw, device
    )
    content = {
        "cell": dict(zip(("embedding", "reader", "n", "draw"), cell, strict=True)),
        "vectors": {"name": vectors.name, "dim": vectors.train.shape[1]},
        "target": target.card,
        "labels": list(names),
        "truth": target.test.labels.tolist(),
        "ceiling": None if target.ceiling is None else target.ceiling.tolist(),
        "value": value.tolist(),
    }
    place = cell_file(out, cell)
    place.parent.mkdir(exist_ok=True)
    write_text(place, json.dumps(json_safe(content)) + "\n")


def read_vectors(
    reader: str,
    vectors: np.ndarray,
    labels: np.ndarray,
    judged: np.ndarray,
    names: tuple[str, ...],
    epochs: int = 100,
    seed: int = 0,
    device: str | None = None,
) -> np.ndarray:
    """What an estimator says of vectors, having learned from labelled ones.

    Parameters
    ----------
    reader : str
        ``ridge``, ``mlp`` or ``lightgbm``.
    vectors : float array, shape (n_star, dim)
        Of labelled stars; the first fifth chooses epochs, penalties and numbers of trees.
    labels : float array, shape (n_star, n_label)
    judged : float array, shape (n_test, dim)
    names : tuple of str
        Of the labels.
    epochs, seed : int
        Of ``mlp``.
    device : str, optional

    Returns
    -------
    value : float64 array, shape (n_test, n_label)
    """
    flux = mirrored(vectors)
    wave = np.arange(1.0, flux.shape[1] + 1.0)
    stars = Sample(wave=wave, flux=flux, label_names=names, labels=labels)
    held = math.ceil(len(vectors) / CHOOSE)
    order = np.arange(len(vectors))
    view = training_view(stars.take(order >= held), stars.take(order < held))
    with tempfile.TemporaryDirectory() as folder:
        recipe = READERS[reader](len(view.train), epochs, seed)
        fit(reader, view, names, recipe, Path(folder) / reader, device=device)
        return load_checkpoint(Path(folder) / reader, device).predict(mirrored(judged))[0]


def mirrored(vectors: np.ndarray) -> np.ndarray:
    """1 + v and 1 - v side by side, float32 (n_spec, 2 dim): the median is 1, and nothing is lost.

    Estimators divide a spectrum by its median.
    """
    return np.concatenate([1.0 + vectors, 1.0 - vectors], axis=1).astype(np.float32)
