"""The first so many spectra of a training view."""

import hashlib
from dataclasses import replace

import numpy as np

from starsmith.data_contract.dataset.split import SpectrumView
from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ConfigError

__all__ = ["first_spectra"]


def first_spectra(view: TrainingView, n_train: int) -> TrainingView:
    """Return a view of the first ``n_train`` training spectra; validation stays as it is.

    Draws are independent, so the first rows are as good a sample as any, and smaller sets
    lie within larger ones.
    """
    train = view.train
    if not 0 < n_train <= len(train):
        raise ConfigError(f"{n_train} training spectra asked for, the data set has {len(train)}")
    if n_train == len(train):
        return view

    def observe(rows: np.ndarray | slice | None = None, epoch: int | None = None) -> SpectrumView:
        return train.observe(np.arange(n_train)[slice(None) if rows is None else rows], epoch)

    errors = train.label_errors
    few = replace(
        train,
        labels=train.labels[:n_train],
        snr=train.snr[:n_train],
        index=train.index[:n_train],
        observe=observe,
        label_errors=None if errors is None else errors[:n_train],
    )
    digest = hashlib.sha256(f"{view.digest}, first {n_train}".encode()).hexdigest()
    return replace(view, train=few, digest=digest)
