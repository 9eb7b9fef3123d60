"""Where batches come from: a file, the device's memory, or a bank that is drawn from forever.

A feed hands out standardised observed flux and z-scored labels on the device of the network.
Two feeds over the same split give the same batches: to the last bit on the CPU.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol

import numpy as np
import torch

from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.random import WORD_LIMIT
from starsmith.learners.online.cpu_bank import open_source
from starsmith.learners.online.keyed import keyed_normals
from starsmith.learners.online.online_view import OnlineView
from starsmith.learners.online.torch_bank import TRAINING, BankOnDevice
from starsmith.learners.preprocess import (
    AS_OURS,
    BLOCK_ROWS,
    Normaliser,
    Statistics,
    iterate_blocks,
)
from starsmith.learners.published import Published
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.training.aside import ahead
from starsmith.learners.training.batch import (
    Batch,
    DeviceNormaliser,
    Targets,
    device_median,
    median_of_rows,
    send,
)
from starsmith.learners.training.batch_order import Order, Share
from starsmith.learners.training.compiled import compiles
from starsmith.learners.training.memory import OutOfMemory, is_memory_error, memory_for

__all__ = [
    "Batch",
    "Feed",
    "OnlineFeed",
    "ResidentFeed",
    "StreamFeed",
    "Targets",
    "device_median",
    "median_of_rows",
    "open_feed",
]

ONLINE_BLOCK = 2048
"""Stars drawn together; their noiseless flux is summed in the order of the grid, to share rows."""

CPU_CHUNK = 512
"""Spectra observed together on a CPU: working arrays of 8 MiB at 4096 pixels."""

LEAST_CHUNK = 64
"""Stars that are observed together where memory is short."""

MEMORY_SHARE = 0.5
"""Most of a device's free memory that spectra may take; networks need the rest."""


class Feed(Protocol):
    """A source of batches."""

    n_batch: int

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of epoch 1, 2, ..., the same whenever they are asked for."""


@dataclass(frozen=True, eq=False)
class StreamFeed:
    """Observed spectra read block by block."""

    split: TrainingSplit
    targets: Targets
    normaliser: Normaliser
    order: Order
    share: Share
    device: torch.device
    fresh: bool
    noise_level: float = 1.0

    @property
    def n_batch(self) -> int:
        """Batches of one epoch."""
        return self.order.n_batch

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of one epoch."""
        return ahead(self._made(epoch), attrgetter("tensors"), self.device)

    def _made(self, epoch: int) -> Iterator[Batch]:
        on_device = DeviceNormaliser(self.normaliser, self.device)
        for block, parts in self.order.epoch(epoch):
            seen = self.split.observe(block, epoch=epoch if self.fresh else None)
            if self.noise_level != 1.0:
                noiseless = self.split.lend(block).noiseless
                seen.flux[:] = noiseless + self.noise_level * (seen.flux - noiseless)
            if self.device.type == "cpu" or seen.mask.any():
                scaled = send(self.normaliser.apply(seen.flux, seen.mask), self.device)
            else:
                scaled = on_device(send(seen.flux, self.device))
            for rows in parts:
                mine = self.share.of(rows)
                flux = scaled.index_select(0, send(mine, self.device))
                truth = self.targets.of(block.start + mine, self.device)
                yield Batch(flux, *truth, rows=block.start + mine)


class ResidentFeed:
    """Noiseless flux and its σ in the device's memory; noise is drawn there at every step."""

    def __init__(
        self,
        split: TrainingSplit,
        targets: Targets,
        normaliser: Normaliser,
        order: Order,
        share: Share,
        device: torch.device,
        noise_level: float = 1.0,
    ):
        self.targets, self.order, self.share, self.device = targets, order, share, device
        self.n_batch, self.noise_level = order.n_batch, noise_level
        self.normaliser = DeviceNormaliser(normaliser, device)
        shape = (len(split), split.wave.size)
        self._noiseless, self._sigma = (torch.empty(shape, device=device) for _ in range(2))
        for rows in iterate_blocks(len(split)):
            lent = split.lend(rows)
            self._noiseless[rows] = send(lent.noiseless, device)
            self._sigma[rows] = send(lent.sigma, device)
        self._key = lent.seed, "training", lent.split
        self.index = send(np.asarray(split.index, dtype=np.int64), device)
        self._truth, self._error = targets.of(np.arange(len(split)), device)

    def observe(self, rows: torch.Tensor, epoch: int) -> torch.Tensor:
        """Observed flux of some rows under the noise of an epoch, float32 (n_rows, n_wave)."""
        n_wave = self._sigma.shape[1]
        flux = keyed_normals(*self._key, self.index[rows], n_wave, epoch)
        return flux.mul_(self._sigma[rows]).add_(self._noiseless[rows])

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of one epoch."""
        return ahead(self._made(epoch), attrgetter("tensors"), self.device)

    def _made(self, epoch: int) -> Iterator[Batch]:
        for block, parts in self.order.epoch(epoch):
            for part in parts:
                mine = self.share.of(block.start + part)
                rows = send(mine, self.device)
                flux, truth = self.observe(rows, epoch), self._truth.index_select(0, rows)
                if self.noise_level != 1.0:
                    flux = torch.lerp(self._noiseless[rows], flux, self.noise_level)
                error = None if self._error is None else self._error.index_select(0, rows)
                yield Batch(self.normaliser(flux), truth, error, rows=mine)


class OnlineFeed:
    """Stars drawn by key and observed once: no spectrum is seen twice.

    Epoch e holds the keys (e - 1) n .. e n - 1 of the training streams; of a pool of stars, as
    many of it in turn, under the noise of realisation e.
    """

    def __init__(
        self,
        source: BankOnDevice,
        labels: tuple[str, ...],
        statistics: Statistics,
        order: Order,
        share: Share,
        n_epoch: int,
        compiled: bool = False,
        switches: Published = AS_OURS,
    ):
        if order.n_spec * n_epoch >= WORD_LIMIT:
            raise ConfigError(
                f"{n_epoch} epochs of epoch_size {order.n_spec} draw more than the {WORD_LIMIT} "
                "stars of one seed; lower either"
            )
        self.source, self.order, self.share = source, order, share
        self.n_batch = order.n_batch
        self.normaliser = DeviceNormaliser(statistics.normaliser, source.device)
        columns = [source.label_names.index(name) for name in labels]
        self.columns = torch.tensor(columns, dtype=torch.int64, device=source.device)
        self.chunk = CPU_CHUNK if source.device.type == "cpu" else ONLINE_BLOCK
        self.switches = switches
        # fused, words and normals stay in registers: few launches, a tenth of the bytes
        self._drawn = torch.compile(self.draw_block, dynamic=False) if compiled else self.draw_block
        # a graph takes blocks of one size: the smaller ones are filled up
        self.n_drawn = order.most_rows // share.n_process if compiled else 0
        self.mean, self.std = (
            torch.from_numpy(values).to(source.device)
            for values in (statistics.scale.mean, statistics.scale.std)
        )

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of one epoch."""
        return ahead(self._made(epoch), attrgetter("tensors"), self.source.device)

    def _made(self, epoch: int) -> Iterator[Batch]:
        first = (epoch - 1) * self.order.n_spec
        for block, parts in self.order.epoch(epoch):
            mine = [self.share.of(rows) for rows in parts]
            index = first + block.start + np.concatenate(mine)
            if pool := self.switches.template_pool:
                index %= pool
            filled = np.resize(index, max(index.size, self.n_drawn))
            flux, labels = self.observe(send(filled, self.source.device), epoch if pool else 0)
            truth = ((labels.index_select(1, self.columns) - self.mean) / self.std).float()
            start = 0
            for own in mine:
                some = slice(start, start + own.size)
                yield Batch(flux[some], truth[some], None, rows=index[some], kind="stars")
                start += own.size
        self.source.check()

    def observe(self, index: torch.Tensor, sub: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """Observe the stars of some keys.

        Parameters
        ----------
        index : int64 tensor, shape (n_spec,)
        sub : int
            Realisation of the noise.

        Returns
        -------
        flux : float32 tensor, shape (n_spec, n_wave)
            Standardised.
        labels : float64 tensor, shape (n_spec, n_label)

        Raises
        ------
        OutOfMemory
            If not even a few stars can be observed at once.
        """
        while True:
            try:
                return self._drawn(index, sub)
            except (RuntimeError, MemoryError) as problem:
                if not is_memory_error(problem):
                    raise
            if self.chunk <= LEAST_CHUNK:
                raise OutOfMemory(
                    f"observing {self.chunk} stars at once needs more memory than "
                    f"{self.source.device} has beside bank and network; lower --batch-size, or "
                    "compress the bank (specsim bank --compress)"
                )
            self.chunk //= 2

    def draw_block(self, index: torch.Tensor, sub: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """`observe` as far as memory allows: no question to the device, one shape for one size."""
        source = self.source
        stars = source.draw(index, "train", TRAINING)
        flux = source.noiseless(stars)
        for start in range(0, len(index), self.chunk):
            some = slice(start, start + self.chunk)
            model = flux[some]
            seen, _ = source.observe(stars.take(some), "train", TRAINING, sub, noiseless=model)
            if (level := self.switches.noise_level) != 1.0:
                seen = torch.lerp(model, seen, level)
            flux[some] = self.normaliser(seen)
        return flux, stars.labels


def fits_memory(view: TrainingView, device: torch.device, limit_bytes: int) -> bool:
    """Whether noiseless flux and σ of the training split may be kept on a device."""
    if device.type == "cuda":
        limit_bytes = int(MEMORY_SHARE * torch.cuda.mem_get_info(device)[0])
    return 2 * 4 * len(view.train) * view.train.wave.size <= limit_bytes


def resident(
    split: TrainingSplit,
    targets: Targets,
    normaliser: Normaliser,
    order: Order,
    share: Share,
    device: torch.device,
    noise_level: float,
) -> ResidentFeed | None:
    """Feed from a device's memory, or None where that ends after all: others use it too."""
    try:
        return ResidentFeed(split, targets, normaliser, order, share, device, noise_level)
    except (RuntimeError, MemoryError) as problem:
        if not is_memory_error(problem):
            raise
        return None


def adds_up(feed: ResidentFeed, split: TrainingSplit) -> bool:
    """Whether noiseless flux + σ x normals is what the split shows: not so for other noise."""
    rows = np.arange(min(4, len(split)))
    shown = split.observe(rows, epoch=1)
    own = feed.observe(torch.from_numpy(rows).to(feed.device), 1).cpu().numpy()
    scale = np.abs(shown.flux).max()
    return not shown.mask.any() and np.allclose(own, shown.flux, rtol=1e-5, atol=1e-5 * scale)


def open_feed(
    view: TrainingView | OnlineView,
    labels: tuple[str, ...],
    statistics: Statistics,
    recipe: NetworkRecipe,
    share: Share,
    device: torch.device,
    memory_bytes: int,
) -> Feed:
    """Choose the fastest feed that shows what the view shows.

    Parameters
    ----------
    view : TrainingView or OnlineView
    labels : tuple of str
    statistics : Statistics
    recipe : NetworkRecipe
    share : Share
    device : torch.device
    memory_bytes : int
        Of a CPU, that spectra may take.
    """
    if isinstance(view, OnlineView):
        order = Order(recipe.epoch_size, recipe.batch_size, ONLINE_BLOCK, recipe.seed)
        size = view.bank.coef.nbytes / 2**30
        remedy = "compress it (specsim bank --compress), or give --device cpu"
        with memory_for(f"the bank of {size:.1f} GiB", device, remedy):
            source = open_source(view.bank, view.ranges, view.seed, device)
        # one graph for every epoch: a pool has another realisation of the noise in each
        compiled = compiles(recipe, device) and not recipe.published.template_pool
        return OnlineFeed(
            source, labels, statistics, order, share, recipe.epochs, compiled, recipe.published
        )
    train = view.train
    switches = recipe.published
    order = Order(len(train), recipe.batch_size, BLOCK_ROWS, recipe.seed, switches.shards)
    targets = Targets(train, labels, statistics)
    fresh = recipe.noise == "fresh" and train.fresh_noise
    if fresh and train.lend is not None and fits_memory(view, device, memory_bytes):
        feed = resident(
            train, targets, statistics.normaliser, order, share, device, switches.noise_level
        )
        if feed is not None and adds_up(feed, train):
            return feed
    return StreamFeed(
        train,
        targets,
        statistics.normaliser,
        order,
        share,
        device,
        recipe.noise == "fresh",
        switches.noise_level,
    )
