"""Start training from a checkpoint: its weights, and the input statistics they were made for."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.learners.checkpoint import read_checkpoint
from starsmith.learners.preprocess import Statistics

__all__ = ["start_from"]

PREFIX = "model."


def start_from(
    folder: Path | str, network: nn.Module, labels: tuple[str, ...], wave: np.ndarray
) -> Statistics:
    """Fill a network with the weights of a checkpoint; return the statistics that go with them.

    Parameters
    ----------
    folder : path
        A checkpoint of the same network for the same labels.
    network : nn.Module
        Overwritten.
    labels : tuple of str
    wave : float64 array, shape (n_wave,)
        Of the data it is to be trained on, vacuum [Å].

    Raises
    ------
    ConfigError
        If the checkpoint is of another network or for other labels.
    DataError
        If it is none, or its wavelengths are others.
    """
    card, tensors = read_checkpoint(Path(folder))
    if tuple(card["labels"]) != labels:
        raise ConfigError(
            f"recipe key initial = {str(folder)!r}: a model of {', '.join(card['labels'])}, not "
            f"of {', '.join(labels)}; choose a checkpoint for the same labels"
        )
    statistics = Statistics.from_tensors(tensors)
    own = statistics.wave
    if own.shape != wave.shape or not np.allclose(own, wave, rtol=0.0, atol=0.01):
        raise DataError(
            f"recipe key initial = {str(folder)!r}: made for {own.size} pixels from {own[0]:.2f} "
            f"Å, the data have {wave.size} from {wave[0]:.2f} Å"
        )
    weights = {
        name.removeprefix(PREFIX): torch.from_numpy(value)
        for name, value in tensors.items()
        if name.startswith(PREFIX)
    }
    try:
        network.load_state_dict(weights)
    except RuntimeError as problem:
        reason = " ".join(str(problem).split())[:160]
        raise ConfigError(
            f"recipe key initial = {str(folder)!r}: weights of {card['model']!r} do not fit this "
            f"network ({reason}); use the same model and options"
        ) from None
    return statistics
