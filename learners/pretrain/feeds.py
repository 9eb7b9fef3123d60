"""Batches that teach without labels: with numbers that hide, with partners, of several sources."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from starsmith.data_contract.errors import DataError
from starsmith.learners.online.keyed import keyed_uniforms
from starsmith.learners.training.batch import send
from starsmith.learners.training.feeds import Batch, Feed

__all__ = ["HidingFeed", "MixedFeed", "PairFeed", "Pairs", "Several", "hiding_numbers"]


def hiding_numbers(
    seed: int, split: str, rows: np.ndarray, n: int, epoch: int, device: torch.device
) -> torch.Tensor:
    """Numbers that hide parts of spectra, float32 (n_spec, n): keyed by spectrum and epoch.

    Any number of processes hides the same.
    """
    index = send(np.asarray(rows, dtype=np.int64), device)
    return keyed_uniforms(seed, "masking", split, index, n, epoch).float() if n else index[:, None]


@dataclass(frozen=True)
class HidingFeed:
    """Batches whose ``truth`` are the numbers that hide parts of their spectra.

    Attributes
    ----------
    feed : Feed
    seed, n_uniform : int
    """

    feed: Feed
    seed: int
    n_uniform: int

    @property
    def n_batch(self) -> int:
        """Batches of one epoch."""
        return self.feed.n_batch

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of one epoch."""
        for batch in self.feed.batches(epoch):
            device = batch.flux.device
            numbers = hiding_numbers(self.seed, "train", batch.rows, self.n_uniform, epoch, device)
            yield replace(batch, truth=numbers, error=None)


@dataclass(frozen=True)
class PairFeed:
    """Batches of one feed whose ``truth`` are the spectra of the same stars in another.

    Attributes
    ----------
    first, second : Feed
    """

    first: Feed
    second: Feed

    @property
    def n_batch(self) -> int:
        """Batches of one epoch."""
        return self.first.n_batch

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of one epoch; DataError if the feeds fall out of step."""
        both = zip(self.first.batches(epoch), self.second.batches(epoch), strict=True)
        for one, other in both:
            if not np.array_equal(one.rows, other.rows):
                raise DataError(f"{one.name} and {other.name} are not the same stars")
            yield replace(one, truth=other.flux, error=None)


@dataclass(frozen=True)
class MixedFeed:
    """Batches of several feeds in random order, each of one feed.

    Attributes
    ----------
    feeds : tuple of Feed
    seed : int
    """

    feeds: tuple[Feed, ...]
    seed: int

    @property
    def n_batch(self) -> int:
        """Batches of one epoch."""
        return sum(feed.n_batch for feed in self.feeds)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of one epoch."""
        turns = np.repeat(np.arange(len(self.feeds)), [feed.n_batch for feed in self.feeds])
        going = [feed.batches(epoch) for feed in self.feeds]
        for turn in np.random.default_rng([self.seed, epoch, 1]).permutation(turns):
            yield next(going[turn])


@dataclass(frozen=True)
class Several:
    """Blocks of several sources of validation spectra, one after the other.

    Attributes
    ----------
    parts : tuple of iterables of tensors
    """

    parts: tuple

    def __iter__(self) -> Iterator[torch.Tensor]:
        for part in self.parts:
            yield from part


@dataclass(frozen=True)
class Pairs:
    """Blocks of validation spectra of two sources side by side.

    Attributes
    ----------
    first, second : iterables of tensors
    """

    first: Iterable[torch.Tensor]
    second: Iterable[torch.Tensor]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield from zip(self.first, self.second, strict=True)
