"""A data set's split as torch reads data: by index, or as a stream of the split's own batches."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.exchange.objects import spectra_of
from starsmith.data_contract.quantities import LABELS

__all__ = ["SpectrumDataset", "SpectrumStream", "to_torch"]

Item = dict[str, torch.Tensor]


def to_torch(thing: object, row: int | None = None) -> Item:
    """Spectra of any object that carries them, as tensors.

    Parameters
    ----------
    thing : Observed, SpectrumBatch or Split
    row : int, optional
        One spectrum; all of them by default.

    Returns
    -------
    tensors : dict of str to Tensor
        ``flux`` and ``error`` float32, ``usable`` bool, ``wave`` float64, and ``labels`` float32
        where they are known, in the order of the object's label names.
    """
    found = spectra_of(thing, row)
    seen = found.seen
    labels = [np.asarray(found.columns[name]) for name in LABELS if name in found.columns]
    arrays = {
        "flux": np.asarray(seen.flux, np.float32),
        "usable": seen.usable,
        "wave": np.asarray(seen.wave, np.float64),
        **({} if seen.error is None else {"error": np.asarray(seen.error, np.float32)}),
        **({"labels": np.stack(labels, axis=-1).astype(np.float32)} if labels else {}),
    }
    return {name: torch.tensor(values) for name, values in arrays.items()}


class SpectrumDataset(Dataset):
    """Spectra of a split by index, for ``torch.utils.data.DataLoader``.

    An item holds ``flux`` and ``error`` float32 (n_wave,) [1e-17 erg/s/cm²/Å], ``usable`` bool
    (n_wave,) and ``labels`` float32 (n_label,) in the order of ``split.header.label_names``; no
    ``error`` where a survey has none.
    A loader asks for a batch at once, which is observed in one go. Workers may be forked,
    spawned or started by a fork server, after the parent has read as well.

    Parameters
    ----------
    split : Split
        Of any store; ``load`` it first where indices come in random order.
    epoch : int, optional
        Noise is drawn afresh for this epoch; the draw of record by default.

    Examples
    --------
    >>> from torch.utils.data import DataLoader
    >>> split = starsmith.open_dataset("data.zarr").split("train")
    >>> loader = DataLoader(SpectrumDataset(split), batch_size=8, num_workers=0)
    >>> next(iter(loader))["flux"].shape[0]
    8
    """

    def __init__(self, split: Split, epoch: int | None = None):
        self.split = split
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of spectra."""
        return len(self.split)

    def __getitem__(self, index: int) -> Item:
        """Read one spectrum."""
        return self.__getitems__([range(len(self))[index]])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Read a batch of spectra, as a loader asks for it."""
        batch = _observed(self.split, np.asarray(indices), self.epoch)
        return [{name: values[k] for name, values in batch.items()} for k in range(len(indices))]


class SpectrumStream(IterableDataset):
    """Batches of a split in the order of `Split.batches`: random, a few shards at a time.

    Each worker of a loader takes every n-th batch, so together they read each spectrum once.
    Give it to ``DataLoader(stream, batch_size=None)``: items are whole batches, as those of
    `SpectrumDataset` with the spectrum as first axis.

    Parameters
    ----------
    split : Split
    size : int
        Spectra per batch; the last one may hold fewer.
    seed : int
        Of the order.
    fresh_noise : bool
        Draw noise afresh for every epoch, see `set_epoch`.
    """

    def __init__(self, split: Split, size: int = 256, seed: int = 0, fresh_noise: bool = False):
        self.split = split
        self.size = size
        self.seed = seed
        self.fresh_noise = fresh_noise
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose order and noise of an epoch, before the loader is iterated over."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Item]:
        """Yield this worker's batches."""
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        noise = self.epoch if self.fresh_noise else None
        batches = self.split.batches(self.size, self.epoch, self.seed)
        for k, rows in enumerate(batches):
            if k % step == first:
                yield _observed(self.split, rows, noise)


def _observed(split: Split, rows: np.ndarray, epoch: int | None) -> Item:
    """Observe spectra, with their labels; ``epoch`` as of `SpectrumDataset`."""
    drawn = {} if epoch is None else {"stream": "training", "sub": epoch}
    seen = split.observe(rows, **drawn)
    error = {} if seen.error is None else {"error": torch.from_numpy(seen.error)}
    return {
        "flux": torch.from_numpy(seen.flux),
        **error,
        "usable": torch.from_numpy(seen.mask == 0),
        "labels": torch.from_numpy(split.labels[rows].astype(np.float32)),
    }
