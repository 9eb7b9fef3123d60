"""From training stars of several instruments to one field: spectra fitted to labels, aligned.

No star is seen by two instruments. What links them is their labels: spectra of each instrument are
polynomials of the labels (Ness+ 2015), evaluated for the same stars everywhere.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np

from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.data_contract.errors import DataError
from starsmith.learners.any_instrument.field import Field, solve_field
from starsmith.learners.preprocess import iterate_blocks

__all__ = ["build_basis", "line_widths_of"]

N_FIT = 6000  # stars of an instrument that the polynomials are fitted to
N_TEMPLATE = 2000
MOST_TERMS = 90
RIDGE = 1e-6  # of the mean diagonal
LEAST_OVERLAP = 20  # pixels that two instruments share: below, their scales are not compared


def line_widths_of(split: TrainingSplit) -> np.ndarray:
    """FWHM of lines at every pixel [Å]; DataError where a split does not know it."""
    if split.fwhm is None:
        raise DataError(
            f"split {split.name!r}: the width of its lines is unknown, and any_instrument sees "
            "every pixel through it; give data whose file states the resolution"
        )
    return np.asarray(split.fwhm, dtype=np.float64)


def build_basis(
    splits: Sequence[TrainingSplit], labels: tuple[str, ...], n_key: int, seed: int
) -> Field:
    """Field of the mean spectrum and ``n_key`` others, whose amounts have unit variance.

    Parameters
    ----------
    splits : sequence of TrainingSplit
        Stars of every instrument.
    labels : tuple of str
        That spectra are functions of.
    n_key : int
    seed : int
        Of the stars that instruments are compared for.
    """
    place = np.concatenate([_labels(split, labels) for split in splits])
    low, high = place.min(axis=0), place.max(axis=0)
    fits = [_fit(split, labels, low, high) for split in splits]
    draw = np.random.default_rng([seed, 1])
    stars = polynomial(place[draw.integers(len(place), size=N_TEMPLATE)], low, high)
    seen = [stars @ fit for fit, _ in fits]
    waves = [split.wave for split in splits]
    seen = _one_scale(waves, seen)
    weights = [1.0 / np.sqrt(variance) for _, variance in fits]
    means = [spectra.mean(axis=0) for spectra in seen]
    away = np.concatenate(
        [(one - mean) * w for one, mean, w in zip(seen, means, weights, strict=True)], axis=1
    )
    left = np.linalg.svd(away, full_matrices=False)[0]
    amounts = left[:, :n_key] * np.sqrt(len(left))  # of unit variance over the stars
    share = amounts.T / len(left)
    keys = [
        np.column_stack([mean, (share @ (one - mean)).T])
        for one, mean in zip(seen, means, strict=True)
    ]
    pixels = [(split.wave, line_widths_of(split)) for split in splits]
    return solve_field(pixels, keys)


def _labels(split: TrainingSplit, labels: tuple[str, ...]) -> np.ndarray:
    return np.stack([split.label(name) for name in labels], axis=1)


def polynomial(place: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Products of Legendre polynomials of labels, of as high a degree as `MOST_TERMS` allows.

    float64 (n_spec, n_term)
    """
    n_label = place.shape[1]
    degree, terms = 1, _terms(n_label, 1)
    while len(more := _terms(n_label, degree + 1)) <= MOST_TERMS and degree < 8:
        degree, terms = degree + 1, more
    span = np.where(high > low, high - low, 1.0)
    values = np.polynomial.legendre.legvander(2.0 * (place - low) / span - 1.0, degree)
    return np.stack(
        [np.prod([values[:, k, power] for k, power in enumerate(term)], axis=0) for term in terms],
        axis=1,
    )


def _terms(n_label: int, degree: int) -> list[tuple[int, ...]]:
    """Powers of every label, of total degree up to ``degree``."""
    chosen = combinations_with_replacement(range(n_label + 1), degree)
    return [tuple(term.count(k) for k in range(n_label)) for term in chosen]


def _fit(
    split: TrainingSplit, labels: tuple[str, ...], low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of spectra of mean 1 in labels, (n_term, n_wave), and the noise's variance."""
    stars = polynomial(_labels(split, labels), low, high)
    n_term, n_wave = stars.shape[1], split.wave.size
    gram, right = np.zeros((n_term, n_term)), np.zeros((n_term, n_wave))
    variance, total = np.zeros(n_wave), 0
    for rows in iterate_blocks(min(len(split), N_FIT)):
        flux, inverse = scaled(split, rows)
        bright = inverse.mean(axis=1, keepdims=True)
        bright = bright / (1.0 + bright * 1e-4)  # no star counts as better than 1 %
        here = stars[rows] * bright
        gram += here.T @ stars[rows]
        right += here.T @ flux
        variance += (1.0 / np.where(inverse > 0, inverse, np.inf)).sum(axis=0)
        total += len(flux)
    gram += RIDGE * np.trace(gram) / n_term * np.eye(n_term)
    variance = np.maximum(variance / total, 1e-12)
    return np.linalg.solve(gram, right), variance


def scaled(split: TrainingSplit, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Spectra of mean 1 and their inverse variance, 0 of a bad pixel, whose flux is 1."""
    seen = split.observe(rows)
    assert seen.error is not None  # views of data sets have one
    good = seen.mask == 0
    flux = np.where(good, seen.flux, 0.0).astype(np.float64)
    level = flux.sum(axis=1, keepdims=True) / np.maximum(good.sum(axis=1, keepdims=True), 1)
    level = np.where(level > 0, level, 1.0)
    error = np.where(good, seen.error, 1.0)
    inverse = np.where(good, np.square(level / error), 0.0)
    return np.where(good, flux / level, 1.0), inverse


def _one_scale(waves: list[np.ndarray], seen: list[np.ndarray]) -> list[np.ndarray]:
    """Spectra of the same stars brought to one scale wherever instruments overlap.

    Each instrument's are of mean 1 over its own pixels. They join in the order of what they share.
    """
    done, left = [0], list(range(1, len(seen)))
    seen = list(seen)
    while left:
        shared = {(k, j): _overlap(waves[k], waves[j]) for k in left for j in done}
        (k, j), found = max(shared.items(), key=lambda item: item[1].sum())
        if found.sum() >= LEAST_OVERLAP:
            here = waves[k][found]
            order = np.argsort(waves[j])
            other = np.stack([np.interp(here, waves[j][order], star[order]) for star in seen[j]])
            ratio = other.mean(axis=1) / seen[k][:, found].mean(axis=1)
            seen[k] = seen[k] * ratio[:, None]
        done.append(k)
        left.remove(k)
    return seen


def _overlap(wave: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (wave >= other.min()) & (wave <= other.max())
