"""Where batches come from: a file, the device's memory, or a bank that is drawn from forever.

A feed hands out standardised observed flux and z-scored labels on the device of the network.
Two feeds over the same split give the same batches: to the last bit on the CPU.
"""

from collections.abc import Iterator
from dataclasses import dataclass
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
    BLOCK_ROWS,
    Normaliser,
    Statistics,
    iterate_blocks,
    row_median,
    select_labels,
)
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.training.batch_order import Order, Share

__all__ = ["Batch", "Feed", "OnlineFeed", "ResidentFeed", "StreamFeed", "open_feed"]

ONLINE_BLOCK = 2048
"""Stars drawn together and sorted by place in the grid, so that they share rows in the cache."""

CPU_CHUNK = 512
"""Spectra observed together on a CPU: working arrays of 8 MiB at 4096 pixels."""

MEMORY_SHARE = 0.5
"""Most of a device's free memory that spectra may take; networks need the rest."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step of training sees.

    Attributes
    ----------
    flux : float32 tensor, shape (n_spec, n_wave)
        Standardised.
    truth : float32 tensor, shape (n_spec, n_label)
        Z-scores; NaN where unknown.
    error : float32 tensor, shape (n_spec, n_label), or None
        1σ of ``truth``.
    rows : int64 array, shape (n_spec,)
        Which spectra these are.
    kind : str
        What the rows count: rows of the training split, or stars drawn from a bank.
    """

    flux: torch.Tensor
    truth: torch.Tensor
    error: torch.Tensor | None
    rows: np.ndarray
    kind: str = "training rows"

    @property
    def name(self) -> str:
        """Which spectra these are, for messages."""
        return f"{self.kind} {self.rows.min()}..{self.rows.max()}"


class Feed(Protocol):
    """A source of batches."""

    n_batch: int

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of epoch 1, 2, ..., the same whenever they are asked for."""


class DeviceNormaliser:
    """`Normaliser` for unmasked spectra on a device: the same operations in the same order."""

    def __init__(self, normaliser: Normaliser, device: torch.device):
        self.mean, self.std = (
            torch.from_numpy(values.astype(np.float32)).to(device)
            for values in (normaliser.mean, normaliser.std)
        )

    def __call__(self, flux: torch.Tensor) -> torch.Tensor:
        """Turn observed flux into network input, in place."""
        level = median_of_rows(flux)
        drowned = ~(level > 0)
        flux /= torch.where(drowned, 1.0, level)[:, None]
        flux -= self.mean
        flux /= self.std
        # A GPU would have to wait for the answer; there, filling nothing costs less than asking.
        if flux.device.type != "cpu" or drowned.any():
            flux.masked_fill_(drowned[:, None], 0.0)
        return flux


def median_of_rows(values: torch.Tensor) -> torch.Tensor:
    """Median of each row, float32 (n_spec,), where ``values`` (n_spec, n_wave) lie."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.asarray(row_median(values.numpy())))
    return device_median(values)


def device_median(values: torch.Tensor) -> torch.Tensor:
    """`median_of_rows` without sorting: the lower middle value, and the next above it."""
    n_wave = values.shape[1]
    lower = values.median(dim=1).values
    if n_wave % 2:
        return lower
    above = torch.where(values > lower[:, None], values, torch.inf).amin(dim=1)
    n_below = (values <= lower[:, None]).sum(dim=1)
    return 0.5 * (lower + torch.where(n_below > n_wave // 2, lower, above))


class Targets:
    """Z-scored labels of a split and their errors, float32 arrays."""

    def __init__(self, split: TrainingSplit, labels: tuple[str, ...], statistics: Statistics):
        self.truth = statistics.scale.to_scaled(select_labels(split, labels))
        self.error = None
        if split.label_errors is not None:
            columns = [split.label_names.index(name) for name in labels]
            errors = split.label_errors[:, columns] / statistics.scale.std
            self.error = errors.astype(np.float32)

    def of(self, rows: np.ndarray, device: torch.device) -> tuple:
        """Truth and error of some rows, on a device."""
        arrays = (self.truth, self.error)
        return tuple(None if a is None else torch.from_numpy(a[rows]).to(device) for a in arrays)


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

    @property
    def n_batch(self) -> int:
        """Batches of one epoch."""
        return self.order.n_batch

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of one epoch."""
        for block, parts in self.order.epoch(epoch):
            seen = self.split.observe(block, epoch=epoch if self.fresh else None)
            scaled = self.normaliser.apply(seen.flux, seen.mask)
            for rows in parts:
                mine = self.share.of(rows)
                flux = torch.from_numpy(scaled[mine]).to(self.device)
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
    ):
        self.targets, self.order, self.share, self.device = targets, order, share, device
        self.n_batch = order.n_batch
        self.normaliser = DeviceNormaliser(normaliser, device)
        shape = (len(split), split.wave.size)
        self._noiseless, self._sigma = (torch.empty(shape, device=device) for _ in range(2))
        for rows in iterate_blocks(len(split)):
            lent = split.lend(rows)
            self._noiseless[rows] = torch.from_numpy(lent.noiseless).to(device)
            self._sigma[rows] = torch.from_numpy(lent.sigma).to(device)
        self._key = lent.seed, "training", lent.split
        self.index = torch.from_numpy(np.asarray(split.index, dtype=np.int64)).to(device)

    def observe(self, rows: torch.Tensor, epoch: int) -> torch.Tensor:
        """Observed flux of some rows under the noise of an epoch, float32 (n_rows, n_wave)."""
        n_wave = self._sigma.shape[1]
        flux = keyed_normals(*self._key, self.index[rows], n_wave, epoch)
        return flux.mul_(self._sigma[rows]).add_(self._noiseless[rows])

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of one epoch."""
        for block, parts in self.order.epoch(epoch):
            for part in parts:
                rows = block.start + part
                mine = self.share.of(rows)
                flux = self.observe(torch.from_numpy(mine).to(self.device), epoch)
                truth = self.targets.of(mine, self.device)
                yield Batch(self.normaliser(flux), *truth, rows=mine)


class OnlineFeed:
    """Stars drawn by key and observed once: no spectrum is seen twice.

    Epoch e holds the keys (e - 1) n .. e n - 1 of the training streams.
    """

    def __init__(
        self,
        source: BankOnDevice,
        labels: tuple[str, ...],
        statistics: Statistics,
        order: Order,
        share: Share,
        n_epoch: int,
    ):
        if order.n_spec * n_epoch >= WORD_LIMIT:
            raise ConfigError(
                f"{n_epoch} epochs of epoch_size {order.n_spec} draw more than the {WORD_LIMIT} "
                "stars of one seed; lower either"
            )
        self.source, self.order, self.share = source, order, share
        self.n_batch = order.n_batch
        self.normaliser = DeviceNormaliser(statistics.normaliser, source.device)
        self.columns = [source.label_names.index(name) for name in labels]
        self._memory = torch.empty(0, source.wave.size, device=source.device)
        self.mean, self.std = (
            torch.from_numpy(values).to(source.device)
            for values in (statistics.scale.mean, statistics.scale.std)
        )

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Batches of one epoch."""
        first = (epoch - 1) * self.order.n_spec
        for block, parts in self.order.epoch(epoch):
            mine = [self.share.of(rows) for rows in parts]
            index = first + block.start + np.concatenate(mine)
            flux, labels, place = self.observe(torch.from_numpy(index).to(self.source.device))
            truth = ((labels[:, self.columns] - self.mean) / self.std).float()
            start = 0
            for own in mine:
                some = place[start : start + own.size]
                stars = index[start : start + own.size]
                seen, wanted = flux.index_select(0, some), truth.index_select(0, some)
                yield Batch(seen, wanted, None, rows=stars, kind="stars")
                start += own.size

    def observe(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Observe the stars of some keys, sorted by place in the grid.

        Returns
        -------
        flux : float32 tensor, shape (n_spec, n_wave)
            Standardised; the next call overwrites it.
        labels : float64 tensor, shape (n_spec, n_label)
        place : int64 tensor, shape (n_spec,)
            Row in ``flux`` and ``labels`` of each key.
        """
        source = self.source
        stars = source.draw(index, "train", TRAINING)
        order = torch.argsort(stars.rows[:, 0])
        stars, place = stars.take(order), torch.argsort(order)
        size = CPU_CHUNK if source.device.type == "cpu" else len(index)
        if len(self._memory) < len(index):
            self._memory = torch.empty(len(index), source.wave.size, device=source.device)
        flux = self._memory[: len(index)]
        for start in range(0, len(index), size):
            some = slice(start, start + size)
            seen, _ = source.observe(stars.take(some), "train", TRAINING)
            flux[some] = self.normaliser(seen)
        return flux, stars.labels, place


def fits_memory(view: TrainingView, device: torch.device, limit_bytes: int) -> bool:
    """Whether noiseless flux and σ of the training split may be kept on a device."""
    if device.type == "cuda":
        limit_bytes = int(MEMORY_SHARE * torch.cuda.mem_get_info(device)[0])
    return 2 * 4 * len(view.train) * view.train.wave.size <= limit_bytes


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
        source = open_source(view.bank, view.ranges, view.seed, device)
        return OnlineFeed(source, labels, statistics, order, share, recipe.epochs)
    train = view.train
    order = Order(len(train), recipe.batch_size, BLOCK_ROWS, recipe.seed)
    targets = Targets(train, labels, statistics)
    fresh = recipe.noise == "fresh" and train.fresh_noise
    if fresh and train.lend is not None and fits_memory(view, device, memory_bytes):
        feed = ResidentFeed(train, targets, statistics.normaliser, order, share, device)
        if adds_up(feed, train):
            return feed
    return StreamFeed(
        train, targets, statistics.normaliser, order, share, device, recipe.noise == "fresh"
    )
