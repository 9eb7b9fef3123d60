"""What a comparison of embeddings consists of."""

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.benchmark.lab import LabSuite
from starsmith.learners.benchmark.suite_tables import list_tables, load_table
from starsmith.learners.estimators.readers import READERS

__all__ = [
    "Cell",
    "EmbeddingSuite",
    "NetworksSuite",
    "cell_file",
    "is_outside",
    "list_embeddings",
    "load_embeddings",
    "size_of",
]

TRAINED = ("masked.mean", "masked.token", "autoencoder", "aligned.projected", "aligned.split")
SUITES = "starsmith.learners.benchmark.embeddings.suites"
Cell = tuple[str, str, int, int]
"""Embedding, reader, labelled stars, draw of those stars."""


@dataclass(frozen=True, kw_only=True)
class NetworksSuite:
    """What networks of a suite learn from, without labels.

    Attributes
    ----------
    name : str
    survey, second : str
        Surveys of the laboratory: of the spectra, and of those that an aligned pair has of the
        same stars.
    n_source, n_test : int
        Stars without labels, and stars to be judged on.
    masked, autoencoder, variant : str
        Networks, the last of an aligned pair.
    patch : int
        Pixels of a token of ``masked``; 0 for the network's own.
    epochs : int
        Of each network.
    dim : int
        Of vectors of an aligned pair.
    box : str
        ``lab`` (175 nodes) or ``small`` (64).
    """

    name: str = "default"
    survey: str = "lamost_lrs"
    second: str = "gaia_xp"
    n_source: int = 20_000
    n_test: int = 1000
    masked: str = "masked_tiny"
    autoencoder: str = "autoencoder_tiny"
    variant: str = "split"
    patch: int = 0
    epochs: int = 30
    dim: int = 96
    box: str = "lab"


@dataclass(frozen=True, kw_only=True)
class EmbeddingSuite(NetworksSuite):
    """What is compared; further keys as of `NetworksSuite`.

    Attributes
    ----------
    embeddings : tuple of str
        Networks pretrained here (``masked.mean``, ``masked.token``, ``autoencoder``,
        ``aligned.projected``, ``aligned.split``), ``pca-64`` and ``basis-64`` of any size,
        ``pixels``, folders of runs, functions as ``package.module:function``.
    readers : tuple of str
        Estimators that learn labels from vectors.
    n : tuple of int
        Labelled stars, a fifth of which choose epochs, penalties and numbers of trees.
    draws : int
        Choices of those stars.
    reader_epochs : int
        Of the reader ``mlp``, at most.
    """

    embeddings: tuple[str, ...] = (*TRAINED, "pca-64", "basis-64", "pixels")
    readers: tuple[str, ...] = tuple(READERS)
    n: tuple[int, ...] = (100, 500, 2000)
    draws: int = 2
    reader_epochs: int = 100

    def __post_init__(self):
        for name in self.embeddings:
            if not (name in TRAINED or name == "pixels" or size_of(name) or is_outside(name)):
                raise ConfigError(
                    f"embedding {name!r}: expected one of {', '.join(TRAINED)}, pca-64, basis-64, "
                    "pixels, the folder of a run, or package.module:function"
                )
        if unknown := sorted(set(self.readers) - set(READERS)):
            raise ConfigError(f"readers {unknown}: expected some of {', '.join(READERS)}")
        if not (self.embeddings and self.readers and self.n and self.draws > 0):
            raise ConfigError(f"suite {self.name}: embeddings, readers, n, draws must not be empty")
        if min(self.n) < 10:
            raise ConfigError(f"suite {self.name}: n = {min(self.n)}; expected 10 stars or more")

    @property
    def cells(self) -> list[Cell]:
        """Every cell."""
        return list(product(self.embeddings, self.readers, self.n, range(self.draws)))

    @property
    def n_labelled(self) -> int:
        """Labelled stars that draws choose from."""
        return max(self.n) * (1 if self.draws == 1 else 2)

    @property
    def lab(self) -> LabSuite:
        """The stars, as the laboratory makes them."""
        return LabSuite(
            name=self.name,
            source=self.survey,
            target=self.survey,
            n=(self.n_labelled,),
            g=(0.0,),
            n_source=self.n_source,
            n_val=1,
            n_test=self.n_test,
            box=self.box,
        )


def size_of(name: str) -> int:
    """Numbers of ``pca-64`` or ``basis-64``; 0 of another name."""
    found = re.fullmatch(r"(?:pca|basis)-(\d+)", name)
    return int(found[1]) if found else 0


def is_outside(name: str) -> bool:
    """Whether an embedding is a user's: a folder, or a function."""
    return ":" in name or Path(name).is_dir()


def list_embeddings() -> list[str]:
    """Names of the packaged suites."""
    return list_tables(SUITES)


def load_embeddings(name: str) -> EmbeddingSuite:
    """Packaged suite of a name, or one of a TOML file; ConfigError for unknown keys or values."""
    return load_table(EmbeddingSuite, SUITES, name)


def cell_file(out: Path, cell: Cell) -> Path:
    """Where a cell is kept."""
    embedding, reader, n, draw = cell
    plain = re.sub(r"[^\w.-]+", "-", embedding).strip("-")
    return out / "cells" / f"{plain}-{reader}-n{n}-{draw}.json"
