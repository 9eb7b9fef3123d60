"""Spectra in memory as training data: real stars, or simulated ones with noise of their own."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.dataset.split import SpectrumView
from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView

__all__ = ["Sample", "training_split", "training_view", "white_noise"]

Noise = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Stars in memory.

    Attributes
    ----------
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].
    flux : float32 array, shape (n_spec, n_wave)
        Observed; noiseless where ``noise`` is given.
    label_names : tuple of str
    labels : float64 array, shape (n_spec, n_label)
    mask : uint32 array, shape (n_spec, n_wave), optional
        0 = good.
    error : float32 array, shape (n_spec, n_wave), optional
        1σ.
    names : tuple of str
        Of the stars.
    noise : callable, optional
        ``noise(flux, index, epoch) -> (flux, error)``, observed flux of stars of some index in an
        epoch; epoch -1 is the draw of record.
    """

    wave: np.ndarray
    flux: np.ndarray
    label_names: tuple[str, ...]
    labels: np.ndarray
    mask: np.ndarray | None = None
    error: np.ndarray | None = None
    names: tuple[str, ...] = ()
    noise: Noise | None = None

    def __len__(self) -> int:
        return len(self.flux)

    def take(self, rows: np.ndarray) -> "Sample":
        """Some of the stars."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        found = {"flux": self.flux[rows], "labels": self.labels[rows]}
        for name in ("mask", "error"):
            if (values := getattr(self, name)) is not None:
                found[name] = values[rows]
        if self.names:
            found["names"] = tuple(self.names[row] for row in rows)
        if self.noise is not None:  # of a star, wherever it stands
            noise = self.noise
            found["noise"] = lambda flux, index, epoch: noise(flux, rows[index], epoch)
        return replace(self, **found)

    @property
    def digest(self) -> str:
        """SHA-256 of flux and labels."""
        total = hashlib.sha256(np.ascontiguousarray(self.flux).tobytes())
        total.update(np.ascontiguousarray(self.labels).tobytes())
        return total.hexdigest()

    def observe(self, rows: np.ndarray | slice | None = None, epoch: int = -1) -> SpectrumView:
        """Observed spectra of some rows in an epoch."""
        index = np.arange(len(self))[slice(None) if rows is None else rows]
        flux, error = self.flux[index], None if self.error is None else self.error[index]
        if self.noise is not None:
            flux, error = self.noise(flux, index, epoch)
        mask = np.zeros(flux.shape, np.uint32) if self.mask is None else self.mask[index]
        return SpectrumView(wave=self.wave, flux=flux, error=error, mask=mask)


def training_split(sample: Sample, name: str, fresh: bool = False) -> TrainingSplit:
    """Stars as a split; with ``fresh`` their noise is another in every epoch."""

    def observe(rows: np.ndarray | slice | None = None, epoch: int | None = None) -> SpectrumView:
        """Observed spectra; see `TrainingSplit`."""
        return sample.observe(rows, epoch if fresh and epoch is not None else -1)

    return TrainingSplit(
        name=name,
        wave=sample.wave,
        label_names=sample.label_names,
        labels=sample.labels,
        snr=np.full(len(sample), 100.0) if sample.error is None else _snr(sample),
        index=np.arange(len(sample)),
        fresh_noise=fresh and sample.noise is not None,
        observe=observe,
        load=lambda cache=None: None,
    )


def _snr(sample: Sample) -> np.ndarray:
    return np.median(sample.flux / sample.error, axis=1)


def training_view(train: Sample, val: Sample, notice: str = "", fresh: bool = True) -> TrainingView:
    """Stars to learn from and to choose by."""
    both = hashlib.sha256(f"{train.digest}{val.digest}".encode()).hexdigest()
    return TrainingView(
        train=training_split(train, "train", fresh),
        val=training_split(val, "val"),
        digest=both,
        notice=notice,
    )


def white_noise(low: float, high: float, seed: int) -> Noise:
    """White noise of S/N between two values, alike in the logarithm; a star's is keyed by it.

    Parameters
    ----------
    low, high : float
        S/N per pixel.
    seed : int
    """

    def noise(flux: np.ndarray, index: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Observed flux and its error."""
        seen, error = np.empty(flux.shape, np.float32), np.empty(flux.shape, np.float32)
        for k, star in enumerate(index.tolist()):
            draw = np.random.default_rng([seed, epoch + 1, star])
            snr = np.exp(draw.uniform(np.log(low), np.log(high)))
            error[k] = np.median(flux[k]) / snr
            seen[k] = flux[k] + error[k] * draw.standard_normal(flux.shape[1], np.float32)
        return seen, error

    return noise
