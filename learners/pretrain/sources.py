"""What pretraining learns from: views of data sets and of banks, their statistics, their feeds."""

import hashlib
from dataclasses import replace

import numpy as np
import torch

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import DataError
from starsmith.learners.device import MEMORY_BYTES
from starsmith.learners.online.online_view import OnlineView
from starsmith.learners.preprocess import LabelScale, Normaliser, Statistics, measure_statistics
from starsmith.learners.pretrain.feeds import MixedFeed
from starsmith.learners.recipe import PretrainRecipe
from starsmith.learners.training.batch_order import Share
from starsmith.learners.training.feeds import Feed, open_feed

__all__ = ["View", "check_pairs", "check_views", "joined", "measure", "open_source_feed"]

View = TrainingView | OnlineView


def check_views(views: tuple[View, ...]) -> None:
    """Raise DataError where a split is empty, or the views are on different pixels."""
    wave = views[0].train.wave
    for view in views:
        for split in (view.train, view.val):
            if not len(split):
                raise DataError(f"split {split.name!r} of the data set holds no spectra")
        other = view.train.wave
        if not np.array_equal(other, wave):
            raise DataError(
                f"spectra of {other.size} pixels, {other[0]:.1f}-{other[-1]:.1f} Å, among those of "
                f"{wave.size}, {wave[0]:.1f}-{wave[-1]:.1f} Å; bring them to the same pixels "
                "(`specdata ingest --standardise`)"
            )


def check_pairs(first: View, second: View) -> None:
    """Raise DataError unless row k of both views is the same star, in both splits."""
    online = {isinstance(view, OnlineView) for view in (first, second)}
    if len(online) > 1:
        raise DataError("one side is a bank, the other a data set; give two of a kind")
    for name in ("train", "val"):
        one, other = getattr(first, name), getattr(second, name)
        both = sorted(set(one.label_names) & set(other.label_names))
        same = len(one) == len(other) and np.array_equal(one.index, other.index)
        if not same or not all(_agree(one.label(b), other.label(b)) for b in both):
            raise DataError(
                f"split {name!r}: the two data sets do not hold the same stars in the same order "
                f"({len(one)} and {len(other)} spectra); make both with the same seed, ranges and "
                "numbers, or from one table of stars"
            )


def _agree(one: np.ndarray, other: np.ndarray) -> bool:
    known = np.isfinite(one) & np.isfinite(other)
    return bool(np.array_equal(one[known], other[known]))


def joined(views: tuple[View, ...], *more: str) -> View:
    """The first view under a digest of all of them, and of further texts."""
    parts = [*(view.digest for view in views), *more]
    if len(parts) == 1:
        return views[0]
    return replace(views[0], digest=hashlib.sha256("\n".join(parts).encode()).hexdigest())


def measure(views: tuple[View, ...], scaling: str) -> Statistics:
    """Statistics of the input of all views, each with the same weight; of ``spectrum`` less one."""
    wave = views[0].train.wave
    nothing = LabelScale(np.empty(0), np.empty(0))
    if scaling == "spectrum":
        # less one: a masked pixel, which becomes zero, then stands at the median
        plain = Normaliser(np.ones(wave.size), np.ones(wave.size))
        return Statistics(wave, plain, nothing, fwhm=views[0].train.fwhm)
    if len(views) == 1:
        return measure_statistics(views[0], ())
    found = [Normaliser.fit(view.train) for view in views]
    mean = np.mean([one.mean for one in found], axis=0)
    variance = np.mean([one.std**2 + (one.mean - mean) ** 2 for one in found], axis=0)
    return Statistics(wave, Normaliser(mean, np.sqrt(variance)), nothing).typical_of(views[0])


def open_source_feed(
    views: tuple[View, ...],
    statistics: Statistics,
    recipe: PretrainRecipe,
    share: Share,
    device: torch.device,
) -> Feed:
    """Standardised spectra of one view, or of several in turn."""
    feeds = tuple(
        open_feed(view, (), statistics, recipe, share, device, MEMORY_BYTES) for view in views
    )
    return feeds[0] if len(feeds) == 1 else MixedFeed(feeds, recipe.seed)
