"""Batches, and how spectra and labels become what a network sees where it runs."""

from dataclasses import dataclass

import numpy as np
import torch

from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.learners.preprocess import Normaliser, Statistics, select_labels
from starsmith.learners.row_median import row_median

__all__ = ["Batch", "DeviceNormaliser", "Targets", "device_median", "median_of_rows", "send"]


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
    def tensors(self) -> list[torch.Tensor]:
        """What lies on the device."""
        return [t for t in (self.flux, self.truth, self.error) if t is not None]

    @property
    def name(self) -> str:
        """Which spectra these are, for messages."""
        return f"{self.kind} {self.rows.min()}..{self.rows.max()}"


def send(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """Array on a device; a GPU is not waited for, it copies from pinned memory when it can."""
    values = torch.from_numpy(values)
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


class DeviceNormaliser:
    """`Normaliser` for unmasked spectra on a device: the same operations in the same order."""

    def __init__(self, normaliser: Normaliser, device: torch.device):
        self.mean, self.std = (
            torch.from_numpy(values.astype(np.float32)).to(device)
            for values in (normaliser.mean, normaliser.std)
        )
        self.floor = normaliser.floor

    def __call__(self, flux: torch.Tensor) -> torch.Tensor:
        """Turn observed flux into network input, in place."""
        level = median_of_rows(flux)
        drowned = ~(level > 0)
        flux /= torch.where(drowned, 1.0, level)[:, None]
        if self.floor > -np.inf:
            flux.clamp_(min=self.floor)
        flux -= self.mean
        flux /= self.std
        # A GPU would have to wait for the answer; there, filling nothing costs less than asking.
        if flux.device.type != "cpu" or drowned.any():
            flux.masked_fill_(drowned[:, None], 0.0)
        return flux


def median_of_rows(values: torch.Tensor) -> torch.Tensor:
    """Median of each row, float32 (n_spec,), where ``values`` (n_spec, n_wave) lie."""
    if values.device.type == "cpu":
        return torch.from_numpy(row_median(values.numpy()))
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
        return tuple(None if a is None else send(a[rows], device) for a in arrays)
