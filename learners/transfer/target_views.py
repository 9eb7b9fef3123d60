"""Training data of a target as a base model takes them: some of the stars, on its pixels."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.dataset.split import SpectrumView
from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.quantities import LABELS
from starsmith.learners.device import MEMORY_BYTES

__all__ = ["WAVE_MAPS", "Strata", "choose_stars", "keep_epochs", "mapped", "take"]

WAVE_MAPS = ("exact", "interpolate", "pixel")
TOLERANCE = 0.01  # Å
BYTES_PIXEL = 12  # flux, error, mask
BYTES_FLUX, KEPT_BYTES = 4, 2**30
COVERED = 0.25  # of a model's pixels: what `predict` asks for, too
ALIASES = {"fe_h": "m_h"}
"""Other spellings of a label that surveys use."""


@dataclass(frozen=True)
class Strata:
    """Two groups of stars, whose shares a choice keeps and whose scores are told apart.

    Attributes
    ----------
    label : str
    edge : float
        The first group lies below.
    """

    label: str
    edge: float

    @classmethod
    def of_text(cls, text: str) -> "Strata":
        """Read ``fe_h:-1``; ConfigError for anything else."""
        name, colon, edge = text.partition(":")
        label = ALIASES.get(name.strip(), name.strip())
        try:
            value = float(edge)
        except ValueError:
            value = np.nan
        if not colon or label not in LABELS or not np.isfinite(value):
            raise ConfigError(
                f"--stratify {text}: write it as LABEL:EDGE, e.g. fe_h:-1; labels are "
                f"{', '.join(LABELS)}"
            )
        return cls(label, value)

    def below(self, split: TrainingSplit) -> np.ndarray:
        """Which stars lie below the edge, bool (n_spec,)."""
        if self.label not in split.label_names:
            raise DataError(
                f"--stratify {self.label}:{self.edge:g}: the data have no such label; they have "
                f"{', '.join(split.label_names)}"
            )
        return split.label(self.label) < self.edge


def choose_stars(split: TrainingSplit, n: int, seed: int, strata: Strata | None) -> np.ndarray:
    """Rows of ``n`` stars, in order; of each group as many as its share of all stars.

    Parameters
    ----------
    split : TrainingSplit
    n, seed : int
    strata : Strata or None

    Raises
    ------
    ConfigError
        If there are fewer stars.
    """
    if not 0 <= n <= len(split):
        raise ConfigError(f"--n {n}: the train split of the data has {len(split)} stars")
    order = np.random.default_rng([seed, 1]).permutation(len(split))
    if strata is None:
        return np.sort(order[:n])
    low = strata.below(split)
    n_low = round(n * low.mean()) if len(split) else 0
    n_low = min(max(n_low, n - int((~low).sum())), int(low.sum()))
    return np.sort(np.concatenate([order[low[order]][:n_low], order[~low[order]][: n - n_low]]))


def take(split: TrainingSplit, rows: np.ndarray) -> TrainingSplit:
    """Some rows of a split; where their noise stays, they are kept once they were read."""
    small = rows.size * split.wave.size * BYTES_PIXEL <= MEMORY_BYTES
    held: list[SpectrumView] = []

    def observe(some: np.ndarray | slice | None = None, epoch: int | None = None) -> SpectrumView:
        """Observed spectra; see `TrainingSplit`."""
        chosen = slice(None) if some is None else some
        if not small or (split.fresh_noise and epoch is not None):
            return split.observe(rows[chosen], epoch)
        if not held:
            held.append(split.observe(rows))
        return held[0][chosen]

    errors = split.label_errors
    return replace(
        split,
        labels=split.labels[rows],
        snr=split.snr[rows],
        index=split.index[rows],
        observe=observe,
        lend=None,
        label_errors=None if errors is None else errors[rows],
    )


def keep_epochs(split: TrainingSplit) -> TrainingSplit:
    """The same stars; flux of the first epochs is drawn once and kept, up to 1 GiB.

    For many trainings on the same stars whose epochs differ in noise alone: masks are those of the
    draw of record. Flux of an epoch comes without its error, which no training looks at.
    """
    if not split.fresh_noise:
        return split
    room = KEPT_BYTES // max(1, len(split) * split.wave.size * BYTES_FLUX)
    record = take(split, np.arange(len(split)))
    held: dict[int, np.ndarray] = {}

    def observe(rows: np.ndarray | slice | None = None, epoch: int | None = None) -> SpectrumView:
        """Observed spectra; see `TrainingSplit`."""
        if epoch is None:
            return record.observe(rows)
        if epoch not in held and len(held) >= room:
            return split.observe(rows, epoch)
        if epoch not in held:
            held[epoch] = split.observe(None, epoch).flux
        flux = held[epoch][slice(None) if rows is None else rows]
        return replace(record.observe(rows), flux=flux, error=None)

    return replace(split, observe=observe, lend=None)


def mapped(view: TrainingView, wave: np.ndarray, how: str, fresh: bool = True) -> TrainingView:
    """Training data on a model's pixels.

    Parameters
    ----------
    view : TrainingView
    wave : float64 array, shape (n_wave,)
        The model's [vacuum Å].
    how : str
        ``exact``: the pixels must be the same; ``interpolate``: by straight lines, pixels that are
        not covered are masked; ``pixel``: pixel k is pixel k, whatever its wavelength.
    fresh : bool
        Whether simulated spectra have their noise anew in every epoch; observed have what they
        have.

    Raises
    ------
    ConfigError, DataError
        If the map is unknown, or the data cannot be had by it.
    """
    if how not in WAVE_MAPS:
        raise ConfigError(f"--wave-map {how}: expected one of {', '.join(WAVE_MAPS)}")
    change = _change(view.train.wave, np.asarray(wave, np.float64), how)
    return replace(
        view, train=_on(view.train, wave, change, fresh), val=_on(view.val, wave, change)
    )


def _change(own: np.ndarray, wave: np.ndarray, how: str) -> Callable | None:
    """What turns spectra on ``own`` pixels to the model's; None where nothing need be done."""
    same = own.shape == wave.shape and np.allclose(own, wave, rtol=0.0, atol=TOLERANCE)
    told = (
        f"the base takes {wave.size} pixels of {wave[0]:.2f}..{wave[-1]:.2f} Å, the data have "
        f"{own.size} of {own[0]:.2f}..{own[-1]:.2f} Å"
    )
    if same:
        return None
    if how == "exact":
        raise DataError(f"{told}; choose --wave-map interpolate or pixel")
    if how == "pixel":
        if own.size != wave.size:
            raise DataError(f"{told}: --wave-map pixel needs as many; choose interpolate")
        return lambda seen: replace(seen, wave=wave)
    order = np.argsort(own)
    inside = (wave >= own.min()) & (wave <= own.max())
    if inside.mean() < COVERED:
        raise DataError(f"{told}: they share {inside.mean():.0%} of its pixels, too few")
    right = np.clip(np.searchsorted(own[order], wave), 1, own.size - 1)
    low, high = order[right - 1], order[right]
    share = np.clip((wave - own[low]) / (own[high] - own[low]), 0.0, 1.0).astype(np.float32)

    def change(seen: SpectrumView) -> SpectrumView:
        flux = seen.flux[:, low] * (1 - share) + seen.flux[:, high] * share
        mask = seen.mask[:, low] | seen.mask[:, high]
        mask[:, ~inside] |= np.uint32(mask_value("NO_DATA"))
        error = seen.error
        if error is not None:
            error = np.hypot(error[:, low] * (1 - share), error[:, high] * share)
        return SpectrumView(wave=wave, flux=flux, error=error, mask=mask)

    return change


def _on(
    split: TrainingSplit, wave: np.ndarray, change: Callable | None, fresh: bool = True
) -> TrainingSplit:
    fresh = fresh and split.fresh_noise

    def observe(rows: np.ndarray | slice | None = None, epoch: int | None = None) -> SpectrumView:
        """Observed spectra; see `TrainingSplit`."""
        seen = split.observe(rows, epoch) if fresh else split.observe(rows)
        return seen if change is None else change(seen)

    keep = split.fwhm is not None and change is None
    return replace(
        split,
        wave=np.asarray(wave, np.float64),
        observe=observe,
        fresh_noise=fresh,
        lend=None,
        fwhm=split.fwhm if keep else None,
    )
