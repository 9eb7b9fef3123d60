"""Stars that were observed more than once: whether their spectra differ by the stated errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from starsmith.data_contract.constants import MAD_TO_SIGMA
from starsmith.data_contract.dataset.reader import Dataset
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.observed import Observed

__all__ = ["Repeat", "find_repeats"]

DEGREE = 4  # of the polynomial of wavelength that calibrates one spectrum to the other
FEWEST = 10 * (DEGREE + 1)  # pixels of a pair
ROUNDS = 3  # errors of the difference hold the polynomial


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """Two spectra of a star.

    Attributes
    ----------
    star : str
    split : str
    n_pixel : int
        Usable in both.
    width : float
        Of (difference / its stated error) from pixel to pixel, by the median absolute deviation:
        1 where stated errors are right, 2 where they are half of what they should be.
    chi2 : float
        Mean square of the same per degree of freedom: outliers count.
    """

    star: str
    split: str
    n_pixel: int
    width: float
    chi2: float


def find_repeats(dataset: Dataset) -> list[Repeat]:
    """Compare each star's consecutive spectra; one is first calibrated to the other, smoothly.

    Parameters
    ----------
    dataset : Dataset
        Of observed spectra; stars are known by ``source_id``. Pairs with fewer than 50 usable
        pixels are left out.

    Raises
    ------
    DataError
        If spectra are simulated or have no errors.
    """
    if dataset.header.store != "observed":
        raise DataError(
            f"{dataset.path}: simulated spectra, each of a star of its own; give observed ones, as "
            "`specdata ingest` writes them"
        )
    if not dataset.header.has_error:
        raise DataError(f"{dataset.path}: its spectra have no errors to be compared with")
    return [found for split in dataset.splits.values() for found in _of_split(split)]


def _of_split(split: Split) -> Iterator[Repeat]:
    star = split.column("source_id")
    order = np.argsort(star, kind="stable")
    for first, second in pairwise(order.tolist()):
        if star[first] != star[second]:
            continue
        seen = split.observe(np.array([first, second]))
        pull = _pulls(seen, split.wave)
        if pull.size >= FEWEST:
            yield Repeat(
                star=split.names[first],
                split=split.name,
                n_pixel=pull.size,
                width=float(MAD_TO_SIGMA * np.median(np.abs(pull - np.median(pull)))),
                chi2=float(np.square(pull).sum() / (pull.size - DEGREE - 1)),
            )


def _pulls(seen: Observed, wave: np.ndarray) -> np.ndarray:
    """Differences of two spectra in units of their stated error, of pixels usable in both."""
    good = seen.usable.all(axis=0) & (seen.error > 0).all(axis=0)
    if good.sum() < FEWEST:
        return np.empty(0)
    (first, second), error = seen.flux[:, good].astype(np.float64), seen.error[:, good]
    place = 2.0 * (wave[good] - wave[0]) / (wave[-1] - wave[0]) - 1.0
    powers = np.polynomial.legendre.legvander(place, DEGREE)
    scale = np.ones(first.size)
    for _ in range(ROUNDS):
        sigma = np.hypot(error[0], scale * error[1])
        lever = powers * (second / sigma)[:, None]
        scale = powers @ np.linalg.lstsq(lever, first / sigma, rcond=None)[0]
    return (first - scale * second) / np.hypot(error[0], scale * error[1])
