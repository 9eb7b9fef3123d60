"""Data sets in memory whose best possible score is known."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from starsmith.data_contract.dataset.split import SpectrumView
from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.data_contract.quantities import SPLITS

DIGEST = "d" * 64
NOTICE = "TOY SPECTRA (formulae, not stars)"


@dataclass
class ToySplit:
    """Stands in for a Split: noiseless flux, noise drawn on request."""

    name: str
    wave: np.ndarray
    label_names: tuple[str, ...]
    labels: np.ndarray
    flux_model: np.ndarray
    sigma: np.ndarray
    digest: str = DIGEST
    header: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(notice=NOTICE))

    def __len__(self):
        return len(self.labels)

    @property
    def draws(self):
        index = np.arange(len(self))
        return SimpleNamespace(seed=0, index=index, mag=20.0 + index % 3)

    @property
    def snr(self):
        return np.median(self.flux_model / self.sigma, axis=1)

    def label(self, name):
        return self.labels[:, self.label_names.index(name)]

    def observe(self, rows=None, epoch=None):
        rows = np.arange(len(self))[slice(None) if rows is None else rows]
        key = [SPLITS[self.name], 0 if epoch is None else epoch + 1]
        # One stream for the whole split, so that a row's noise depends on its key alone.
        noise = np.random.default_rng(key).standard_normal(self.flux_model.shape)[rows]
        sigma = np.broadcast_to(self.sigma, self.flux_model.shape)[rows]
        flux = (self.flux_model[rows] + sigma * noise).astype(np.float32)
        return SpectrumView(
            flux=flux, error=sigma.astype(np.float32), mask=np.zeros(flux.shape, np.uint32)
        )

    def restricted(self):
        return TrainingSplit(
            name=self.name,
            wave=self.wave,
            label_names=self.label_names,
            labels=self.labels,
            snr=self.snr,
            index=self.draws.index,
            fresh_noise=self.name == "train",
            observe=lambda rows=None, epoch=None: self.observe(rows, epoch),
            load=lambda: None,
        )


@dataclass
class ToyData:
    """Stands in for a Dataset."""

    splits: dict[str, ToySplit]

    def split(self, name):
        return self.splits[name]

    def training(self):
        return TrainingView(
            train=self.splits["train"].restricted(),
            val=self.splits["val"].restricted(),
            digest=DIGEST,
            notice=NOTICE,
        )


def make_data(flux_of, draw_labels, sigma, counts, label_names=("logg",), seed=0):
    """Build train, val and test from ``flux_of(labels)`` and ``draw_labels(rng, n)``."""
    splits = {}
    for number, (name, n_spec) in enumerate(zip(SPLITS, counts, strict=True)):
        labels = draw_labels(np.random.default_rng([seed, number]), n_spec)
        flux = flux_of(labels)
        wave = 8500.0 + 0.43 * np.arange(flux.shape[1])
        splits[name] = ToySplit(name, wave, label_names, labels, flux, np.asarray(sigma))
    return ToyData(splits)


def lines(labels, n_wave=128):
    """Flux 1 with three lines whose depth saturates with logg, so that no line is linear."""
    pixel = np.arange(n_wave)
    depth = 0.5 / (1.0 + np.exp(-1.5 * (labels[:, :1] - 3.0)))
    shape = sum(np.exp(-0.5 * ((pixel - n_wave * p) / 2.0) ** 2) for p in (0.2, 0.5, 0.8))
    return 1.0 - depth * shape


def uniform_logg(rng, n_spec):
    return rng.uniform(1.0, 5.0, (n_spec, 1))
