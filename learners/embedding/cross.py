"""One kind of spectra from the other, by an aligned pair, and how well each star is found again."""

from dataclasses import replace

import numpy as np

from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.data_contract.errors import DataError
from starsmith.learners.embedding.doors import Door
from starsmith.learners.embedding.neighbours import found_among
from starsmith.learners.preprocess import iterate_blocks
from starsmith.learners.pretrain.alignment import SIDES
from starsmith.learners.pretrain.encoder import Encoder
from starsmith.learners.scores.metrics import Interval

__all__ = ["RANKS", "cross_door", "cross_scores", "other_side"]

RANKS = (1, 5, 10)
N_RESAMPLE = 500
BLOCK = 512


def other_side(encoder: Encoder) -> Encoder:
    """The encoder of the other side of a pair; ConfigError where there is none."""
    other, side = encoder.other, SIDES[1 - SIDES.index(encoder.side)]
    network = getattr(encoder.pair, side).backbone
    return replace(encoder, side=side, statistics=other, network=network)


def cross_door(encoder: Encoder) -> Door:
    """Door from spectra of one side to spectra of the other, as `Encoder.cross` predicts them.

    Raises
    ------
    ConfigError
        If the pair predicts none.
    """
    unknown = encoder.side == "second" and encoder.pair is not None and encoder.pair.scaled_targets
    level = (lambda found: 1.0) if unknown else (lambda found: np.median(found, 1, keepdims=True))

    def encode(flux: np.ndarray, error: np.ndarray | None, mask: np.ndarray) -> np.ndarray:
        """Flux over its median; of a side known in shape alone, its shape."""
        bad = np.where(mask == 0, 1.0 if error is None else error, 0.0)
        found = encoder.cross(flux, bad)
        return found / level(found)

    name = f"{encoder.card['model']} {encoder.card['weights_sha256'][:12]}, the other spectrum"
    return Door(encode, name, encoder.statistics.wave)


def same_stars(one: TrainingSplit, other: TrainingSplit) -> None:
    """Raise DataError unless row k of both splits is the same star."""
    same = len(one) == len(other) and len(one) > 1
    for name in sorted(set(one.label_names) & set(other.label_names)):
        same = same and np.array_equal(one.label(name), other.label(name), equal_nan=True)
    if not same:
        raise DataError(
            f"split {one.name!r}: the two data sets do not hold the same stars in the same order "
            f"({len(one)} and {len(other)} spectra); make both with the same seed, ranges and "
            "numbers, or from one table of stars"
        )


def cross_scores(encoder: Encoder, own: TrainingSplit, other: TrainingSplit) -> list[dict]:
    """How well spectra of one side tell those of the other, both ways.

    Parameters
    ----------
    encoder : Encoder
        Of the side that ``own`` is of.
    own, other : TrainingSplit
        The same stars in the same order.

    Returns
    -------
    rows : list of dict
        A row each way: the share of pixels' variance that is predicted (0 is what the mean
        spectrum of these stars does; None of a pair that predicts none), the share of stars whose
        partner is among the ``RANKS`` most similar vectors, with 95 % intervals of stars resampled,
        and what chance finds.

    Raises
    ------
    DataError
        If the stars are not the same, or the pixels not those of the pair.
    """
    same_stars(own, other)
    sides, splits = (encoder, other_side(encoder)), (own, other)
    seen = [_seen(side, split) for side, split in zip(sides, splits, strict=True)]
    rows = []
    for k, side in enumerate(sides):
        row: dict = {"from": side.side, "to": sides[1 - k].side, "stars": len(own)}
        row |= _predicted(seen[k], seen[1 - k])
        for rank in RANKS:
            row |= _recall(seen[k]["vectors"], seen[1 - k]["vectors"], rank)
        rows.append(row)
    return rows


def _seen(side: Encoder, split: TrainingSplit) -> dict[str, np.ndarray]:
    """Spectra as predictions are compared with, and vectors, of a split under its own noise."""
    side.check_wave(split.wave, f"split {split.name!r}")
    parts: dict[str, list] = {"shown": [], "vectors": [], "cross": []}
    for rows in iterate_blocks(len(split), BLOCK):
        spectra = split.observe(rows)
        error = None if spectra.error is None else np.where(spectra.usable, spectra.error, 0.0)
        flux = np.where(spectra.usable, spectra.flux, np.nan)
        parts["shown"].append(side.shown(flux, error))
        parts["vectors"].append(side.encode(flux, error, "projected"))
        if side.pair.cross_decoder:
            parts["cross"].append(side.cross(flux, error))
    return {name: np.concatenate(part) for name, part in parts.items() if part}


def _predicted(own: dict, theirs: dict) -> dict:
    """Share of the variance of the other side's pixels that is predicted, with its interval."""
    if "cross" not in own:
        return {"R2": None, "R2_low": None, "R2_high": None}
    truth = theirs["shown"].astype(np.float64)
    left = np.square(own["cross"] - truth).sum(axis=1)
    whole = np.square(truth - truth.mean(axis=0)).sum(axis=1)
    picks = np.random.default_rng(0).integers(len(left), size=(N_RESAMPLE, len(left)))
    drawn = 1.0 - left[picks].sum(axis=1) / whole[picks].sum(axis=1)
    score = Interval.of(float(1.0 - left.sum() / whole.sum()), drawn)
    return {"R2": score.value, "R2_low": score.low, "R2_high": score.high}


def _recall(first: np.ndarray, second: np.ndarray, rank: int) -> dict:
    found = found_among(first, second, rank)
    share = Interval.of(float(found.mean()), _resampled_mean(found))
    name = f"recall@{rank}"
    low, high = {f"{name}_low": share.low}, {f"{name}_high": share.high}
    return {name: share.value} | low | high | {f"chance@{rank}": min(rank / len(first), 1.0)}


def _resampled_mean(found: np.ndarray) -> np.ndarray:
    picks = np.random.default_rng(0).integers(len(found), size=(N_RESAMPLE, len(found)))
    return found[picks].mean(axis=1)
