"""What a network sees: flux over its own median, standardised per pixel; labels as z-scores."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.errors import DataError

__all__ = [
    "LabelScale",
    "Normaliser",
    "Statistics",
    "iterate_blocks",
    "measure_statistics",
    "median_normalise",
    "select_labels",
]

BLOCK_ROWS = 4096
"""Spectra read at a time: 64 MiB of flux at 4096 pixels."""


def iterate_blocks(n_spec: int, block_rows: int = BLOCK_ROWS) -> Iterator[slice]:
    """Slices that cover ``n_spec`` rows in order."""
    for start in range(0, n_spec, block_rows):
        yield slice(start, min(start + block_rows, n_spec))


def median_normalise(flux: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Divide every spectrum by the median of its own unmasked pixels.

    Parameters
    ----------
    flux : float32 array, shape (n_spec, n_wave)
        Observed flux, any linear unit.
    mask : uint32 array, shape (n_spec, n_wave)
        0 = good.

    Returns
    -------
    scaled : float32 array, shape (n_spec, n_wave)

    Raises
    ------
    DataError
        If a median is not positive: such a spectrum has no brightness to divide by.
    """
    level = np.median(flux, axis=1)
    for row in np.flatnonzero(mask.any(axis=1)):
        good = flux[row][mask[row] == 0]
        level[row] = np.median(good) if good.size else np.nan
    if (bad := np.flatnonzero(~(level > 0))).size:
        raise DataError(
            f"{bad.size} of {len(flux)} spectra have a median flux that is not positive (first: "
            f"row {bad[0]}, {level[bad[0]]:.3g}); leave them out, or check the sky subtraction"
        )
    return (flux / level[:, None]).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Normaliser:
    """Per-pixel standardisation with training statistics; nothing is clipped.

    Attributes
    ----------
    mean, std : float64, shape (n_wave,)
        Of median-normalised training flux, over unmasked pixels.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, split) -> "Normaliser":
        """Measure the statistics on the draw of record of a training split.

        A pixel that never varies, or was never good, keeps its value less its mean.
        """
        n_wave = split.wave.size
        count, total, squares = (np.zeros(n_wave) for _ in range(3))
        for rows in iterate_blocks(len(split)):
            view = split.observe(rows)
            good = view.mask == 0
            flux = median_normalise(view.flux, view.mask).astype(np.float64)
            flux[~good] = 0.0
            count += good.sum(axis=0)
            total += flux.sum(axis=0)
            # Median-normalised flux lies near 1, so squares lose no digits that matter.
            squares += np.einsum("ij,ij->j", flux, flux)
        seen = np.maximum(count, 1)
        mean = total / seen
        variance = np.maximum(squares / seen - mean**2, 0.0)
        std = np.sqrt(variance)
        return cls(mean=mean, std=np.where(std > 0, std, 1.0))

    def apply(self, flux: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Turn observed flux into network input; masked pixels become the mean, zero.

        Parameters
        ----------
        flux : float32 array, shape (n_spec, n_wave)
        mask : uint32 array, shape (n_spec, n_wave)

        Returns
        -------
        scaled : float32 array, shape (n_spec, n_wave)
        """
        scaled = median_normalise(flux, mask)
        scaled -= self.mean.astype(np.float32)
        scaled /= self.std.astype(np.float32)
        if mask.any():
            scaled[mask != 0] = 0.0
        return scaled


@dataclass(frozen=True)
class LabelScale:
    """Labels to z-scores and back, with the statistics of the training split.

    Attributes
    ----------
    mean, std : float64, shape (n_label,)
        In the labels' own units.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, labels: np.ndarray, names: tuple[str, ...]) -> "LabelScale":
        """Measure ``labels`` (n_spec, n_label); raises DataError naming a useless one."""
        for name, column in zip(names, labels.T, strict=True):
            if not np.isfinite(column).all():
                raise DataError(f"label {name!r} of the training split has missing values")
            if column.size and np.ptp(column) == 0:
                raise DataError(
                    f"label {name!r} is {column[0]:g} for every training spectrum; "
                    f"there is nothing to learn, choose another target"
                )
        return cls(mean=labels.mean(axis=0), std=labels.std(axis=0))

    def to_scaled(self, labels: np.ndarray) -> np.ndarray:
        """Return z-scores, float32 (n_spec, n_label)."""
        return ((labels - self.mean) / self.std).astype(np.float32)

    def to_labels(self, scaled: np.ndarray) -> np.ndarray:
        """Return labels in their own units, float64 (n_spec, n_label)."""
        return scaled.astype(np.float64) * self.std + self.mean

    def to_uncertainty(self, scaled: np.ndarray) -> np.ndarray:
        """1σ in label units of a 1σ z-score, float64 (n_spec, n_label)."""
        return scaled.astype(np.float64) * self.std


@dataclass(frozen=True)
class Statistics:
    """What an estimator must know of its training data to be used.

    Attributes
    ----------
    wave : float64, shape (n_wave,)
        Vacuum [Å].
    normaliser : Normaliser
    scale : LabelScale
    """

    wave: np.ndarray
    normaliser: Normaliser
    scale: LabelScale

    def tensors(self) -> dict[str, np.ndarray]:
        """Every array by the name it has in a checkpoint."""
        return {
            "wave": np.asarray(self.wave, dtype=np.float64),
            "normaliser.mean": self.normaliser.mean,
            "normaliser.std": self.normaliser.std,
            "target.mean": self.scale.mean,
            "target.std": self.scale.std,
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> "Statistics":
        """Inverse of `tensors`; other names are ignored."""
        return cls(
            tensors["wave"],
            Normaliser(tensors["normaliser.mean"], tensors["normaliser.std"]),
            LabelScale(tensors["target.mean"], tensors["target.std"]),
        )


def select_labels(split, labels: tuple[str, ...]) -> np.ndarray:
    """Columns ``labels`` of a split, float64 (n_spec, n_label)."""
    return np.stack([np.asarray(split.label(name), dtype=np.float64) for name in labels], axis=1)


def measure_statistics(view, labels: tuple[str, ...]) -> Statistics:
    """Measure everything on the training split of a `TrainingView`."""
    scale = LabelScale.fit(select_labels(view.train, labels), labels)
    return Statistics(view.train.wave, Normaliser.fit(view.train), scale)
