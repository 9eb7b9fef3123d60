"""What a network sees: flux over its own median, standardised per pixel; labels as z-scores."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.data_contract.errors import DataError
from starsmith.learners.published import Published
from starsmith.learners.row_median import row_median
from starsmith.learners.typical import Typical

__all__ = [
    "MEND_DATA",
    "LabelScale",
    "Normaliser",
    "Statistics",
    "iterate_blocks",
    "list_rows",
    "measure_statistics",
    "median_normalise",
    "refuse_bad_spectra",
    "select_labels",
]

logger = logging.getLogger(__name__)

MEND_DATA = (
    "Repair the data (`specdata verify` finds damage, `specdata repair` mends it) or mask these "
    "pixels; the same command then goes on from the last finished epoch"
)
NAMED_ROWS = 5
AS_OURS = Published()
UNSCALED = 2.0  # divides flux over its median: published spectra lie about 0.5

BLOCK_ROWS = 4096
"""Spectra read at a time: 64 MiB of flux at 4096 pixels."""


def iterate_blocks(n_spec: int, block_rows: int = BLOCK_ROWS) -> Iterator[slice]:
    """Slices that cover ``n_spec`` rows in order."""
    for start in range(0, n_spec, block_rows):
        yield slice(start, min(start + block_rows, n_spec))


def median_normalise(flux: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    good : bool array, shape (n_spec, n_wave)
        False where masked, and in all of a spectrum whose median is not positive: noise has
        drowned it, and it has no brightness to divide by.
    """
    level = row_median(flux)
    for row in np.flatnonzero(mask.any(axis=1)):
        unmasked = flux[row][mask[row] == 0]
        level[row] = np.median(unmasked) if unmasked.size else 0.0
    drowned = ~(level > 0)
    good = mask == 0
    good[drowned] = False
    scaled = flux / np.where(drowned, 1.0, level)[:, None]
    return scaled.astype(np.float32, copy=False), good


@dataclass(frozen=True)
class Normaliser:
    """Per-pixel standardisation with training statistics.

    Attributes
    ----------
    mean, std : float64, shape (n_wave,)
        Of median-normalised training flux, over unmasked pixels.
    floor : float
        Median-normalised flux below it is raised to it; -inf clips nothing.
    """

    mean: np.ndarray
    std: np.ndarray
    floor: float = -np.inf

    @classmethod
    def fit(cls, split: TrainingSplit) -> "Normaliser":
        """Measure the statistics on the draw of record of a training split.

        A pixel that never varies, or was never good, keeps its value less its mean.

        Raises
        ------
        DataError
            Naming the rows whose flux is not finite where the mask is 0.
        """
        n_wave = split.wave.size
        count, total, squares = (np.zeros(n_wave) for _ in range(3))
        n_drowned = 0
        for rows in iterate_blocks(len(split)):
            view = split.observe(rows)
            scaled, good = median_normalise(view.flux, view.mask)
            flux = np.where(good, scaled, 0.0).astype(np.float64)
            n_drowned += int((~good.any(axis=1)).sum())
            count += good.sum(axis=0)
            total += flux.sum(axis=0)
            # Median-normalised flux lies near 1, so squares lose no digits that matter.
            squares += np.einsum("ij,ij->j", flux, flux)
            if not np.isfinite(squares).all():
                refuse_bad_spectra(flux, split.name, np.arange(rows.start, rows.stop))
        if n_drowned:
            logger.warning(
                "%d of %d training spectra have no positive median flux: they are shown as masked",
                n_drowned,
                len(split),
            )
        seen = np.maximum(count, 1)
        mean = total / seen
        variance = np.maximum(squares / seen - mean**2, 0.0)
        std = np.sqrt(variance)
        return cls(mean=mean, std=np.where(std > 0, std, 1.0))

    def apply(self, flux: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Turn observed flux into network input.

        Masked pixels become the mean, zero; so does all of a spectrum without a positive
        median, of which nothing but its absence is then known.

        Parameters
        ----------
        flux : float32 array, shape (n_spec, n_wave)
        mask : uint32 array, shape (n_spec, n_wave)

        Returns
        -------
        scaled : float32 array, shape (n_spec, n_wave)
        """
        scaled, good = median_normalise(flux, mask)
        if self.floor > -np.inf:
            np.maximum(scaled, np.float32(self.floor), out=scaled)
        scaled -= self.mean.astype(np.float32)
        scaled /= self.std.astype(np.float32)
        scaled[~good] = 0.0
        return scaled

    def as_published(self, switches: Published) -> "Normaliser":
        """Return the same, but unscaled or clipped at zero where a recipe asks for it."""
        floor = 0.0 if switches.clip else self.floor
        if not switches.unscaled:
            return replace(self, floor=floor)
        n_wave = self.mean.size
        return Normaliser(np.zeros(n_wave), np.full(n_wave, UNSCALED), floor)

    def tensors(self) -> dict[str, np.ndarray]:
        """Every array by the name it has in a checkpoint."""
        floor = {"normaliser.floor": np.array([self.floor])} if self.floor > -np.inf else {}
        return {"normaliser.mean": self.mean, "normaliser.std": self.std} | floor

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> "Normaliser":
        """Inverse of `tensors`; other names are ignored."""
        floor = float(tensors["normaliser.floor"][0]) if "normaliser.floor" in tensors else -np.inf
        return cls(tensors["normaliser.mean"], tensors["normaliser.std"], floor)


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
        """Measure ``labels`` (n_spec, n_label), NaN where missing; DataError for a useless one."""
        for name, values in zip(names, labels.T, strict=True):
            column = values[~np.isnan(values)]
            if not column.size or np.isinf(column).any():
                what = "holds infinite values" if column.size else "is missing everywhere"
                raise DataError(
                    f"label {name!r} of the training split {what}; choose another target"
                )
            if np.ptp(column) == 0:
                raise DataError(
                    f"label {name!r} is {column[0]:g} for every training spectrum; "
                    f"there is nothing to learn, choose another target"
                )
        return cls(mean=np.nanmean(labels, axis=0), std=np.nanstd(labels, axis=0))

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
    typical : Typical or None
        What its spectra look like, where that is known.
    fwhm : float64, shape (n_wave,), optional
        Of their lines, pixel included [Å], where that is known.
    """

    wave: np.ndarray
    normaliser: Normaliser
    scale: LabelScale
    typical: Typical | None = None
    fwhm: np.ndarray | None = None

    def tensors(self) -> dict[str, np.ndarray]:
        """Every array by the name it has in a checkpoint."""
        return {
            "wave": np.asarray(self.wave, dtype=np.float64),
            **self.normaliser.tensors(),
            "target.mean": self.scale.mean,
            "target.std": self.scale.std,
            **(self.typical.tensors() if self.typical else {}),
            **({} if self.fwhm is None else {"fwhm": self.fwhm}),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> "Statistics":
        """Inverse of `tensors`; other names are ignored."""
        return cls(
            tensors["wave"],
            Normaliser.from_tensors(tensors),
            LabelScale(tensors["target.mean"], tensors["target.std"]),
            Typical.from_tensors(tensors),
            tensors.get("fwhm"),
        )

    def typical_of(self, view: TrainingView) -> "Statistics":
        """Return the same with what the spectra of a view look like, and how wide lines are."""
        typical = Typical.measure(view, self.normaliser.mean, self.normaliser.std)
        return replace(self, typical=typical, fwhm=view.train.fwhm)


def refuse_bad_spectra(flux: np.ndarray, split: str, rows: np.ndarray) -> None:
    """Refuse spectra that hold a number that is not finite.

    Parameters
    ----------
    flux : float array, shape (n_spec, n_wave)
        Masked pixels already filled.
    split : str
    rows : int64 array, shape (n_spec,)
        Within the split.

    Raises
    ------
    DataError
        Naming the rows.
    """
    if np.isfinite(flux).all():
        return
    odd = ~np.isfinite(flux)
    bad = rows[odd.any(axis=1)]
    raise DataError(
        f"{split} rows {list_rows(bad)}: flux not finite in {int(odd.sum())} pixels whose mask "
        f"is 0; expected finite flux there. {MEND_DATA}"
    )


def list_rows(rows: np.ndarray) -> str:
    """First rows by number, and how many more there are."""
    more = f" and {rows.size - NAMED_ROWS} more" if rows.size > NAMED_ROWS else ""
    return ", ".join(map(str, rows[:NAMED_ROWS].tolist())) + more


def select_labels(split: TrainingSplit | Split, labels: tuple[str, ...]) -> np.ndarray:
    """Columns ``labels`` of a split, float64 (n_spec, n_label)."""
    columns = [np.asarray(split.label(name), dtype=np.float64) for name in labels]
    return np.stack(columns, axis=1) if columns else np.empty((len(split), 0))


def measure_statistics(
    view: TrainingView, labels: tuple[str, ...], switches: Published = AS_OURS
) -> Statistics:
    """Measure everything on the training split of a `TrainingView`, or as a recipe has it."""
    scale = LabelScale.fit(select_labels(view.train, labels), labels)
    normaliser = Normaliser.fit(view.train).as_published(switches)
    return Statistics(view.train.wave, normaliser, scale).typical_of(view)
