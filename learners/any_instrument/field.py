"""A basis of stellar spectra as a field of wavelength and line width: the keys of native pixels.

The field is a table on nodes of ln λ, a fraction of the narrowest line apart. The key of a pixel is
the table seen through that pixel's own line profile, so that pixels of any instrument have one:

    key_k(λ, w) = Σ_j g(λ_j; λ, w) T_jk,      Σ_j g = 1,

with g a Gaussian whose variance is that of the profile less what the table is smeared by already.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, eye_array
from scipy.sparse.linalg import splu

from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.data_contract.errors import DataError

__all__ = ["Field", "place_nodes", "solve_field"]

PER_FWHM = 2.5  # nodes per narrowest FWHM
OWN = 0.75  # FWHM that the table is smeared by, of the narrowest seen there
LEAST_SIGMA = 0.6  # of the kernel, in nodes: below, a pixel would fall between them
N_SIGMA = 4.0
GAP = 50.0  # Å without a pixel: there are no nodes
RIDGE = 1e-3  # of the mean diagonal: what no pixel determines stays small


@dataclass(frozen=True, eq=False)
class Field:
    """Keys of pixels at any wavelength and line width.

    Attributes
    ----------
    nodes : float64 array, shape (n_node,)
        Vacuum [Å], increasing.
    own : float64 array, shape (n_node,)
        FWHM that the table's lines have already [Å].
    table : float64 array, shape (n_node, n_key)
        Column 0 is the mean spectrum, the others what stars differ by.
    """

    nodes: np.ndarray
    own: np.ndarray
    table: np.ndarray

    def keys(self, wave: np.ndarray, fwhm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keys of pixels, float64 (n_wave, n_key), and which pixels the field knows, bool.

        Parameters
        ----------
        wave, fwhm : float64 arrays, shape (n_wave,)
            Centres [vacuum Å] and width of lines there [Å].

        Raises
        ------
        DataError
            If hardly a pixel lies where any training instrument had some.
        """
        known = self.knows(wave)
        if known.sum() < self.table.shape[1]:
            raise DataError(
                f"spectrum of {wave.min():.0f}-{wave.max():.0f} Å: {known.sum()} of its pixels lie "
                f"where this model's instruments see, {self.nodes[0]:.0f}-{self.nodes[-1]:.0f} Å; "
                "train it on an instrument that sees there"
            )
        keys = np.zeros((wave.size, self.table.shape[1]))
        keys[known] = profile(self.nodes, self.own, wave[known], fwhm[known]) @ self.table
        return keys, known

    def knows(self, wave: np.ndarray) -> np.ndarray:
        """Whether each wavelength has nodes on both sides, bool (n_wave,)."""
        above = np.searchsorted(self.nodes, wave)
        inside = (above > 0) & (above < self.nodes.size)
        above = np.clip(above, 1, self.nodes.size - 1)
        return inside & (self.nodes[above] - self.nodes[above - 1] < GAP)


def place_nodes(
    pixels: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes for instruments' pixels, and the line width of the table there [Å].

    Parameters
    ----------
    pixels : sequence of (wave, fwhm)
        Of every training instrument, float64 (n_wave,) each [Å].
    """
    wave = np.sort(np.concatenate([own for own, _ in pixels]))
    narrowest = np.full(wave.size, np.inf)
    for own, fwhm in pixels:
        order = np.argsort(own)
        here = _covered(own[order], wave)
        found = np.interp(wave[here], own[order], fwhm[order])
        narrowest[here] = np.minimum(narrowest[here], found)
    nodes = [wave[0]]
    while nodes[-1] < wave[-1]:
        step = float(np.interp(nodes[-1], wave, narrowest)) / PER_FWHM
        coming = int(np.searchsorted(wave, nodes[-1], side="right"))
        jump = coming < wave.size and wave[coming] - nodes[-1] > GAP
        nodes.append(wave[coming] if jump else nodes[-1] + step)
    found = np.array(nodes)
    return found, OWN * np.interp(found, wave, narrowest)


def _covered(own: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """Whether an instrument of pixels ``own`` sees each wavelength, bool."""
    above = np.clip(np.searchsorted(own, wave), 1, own.size - 1)
    inside = (wave >= own[0]) & (wave <= own[-1])
    return inside & (own[above] - own[above - 1] < GAP)


def profile(nodes: np.ndarray, own: np.ndarray, wave: np.ndarray, fwhm: np.ndarray) -> csr_array:
    """Matrix from nodes to pixels behind their line profile, rows of sum 1, (n_wave, n_node)."""
    step = np.gradient(nodes)
    step = np.minimum(step, np.median(step) * 50.0)
    at = np.clip(np.searchsorted(nodes, wave), 0, nodes.size - 1)
    least = np.square(LEAST_SIGMA * step[at])
    square = FWHM_TO_SIGMA**2 * (np.square(fwhm) - np.square(own[at]))
    sigma = np.sqrt(np.maximum(square, least))
    first = np.searchsorted(nodes, wave - N_SIGMA * sigma)
    last = np.searchsorted(nodes, wave + N_SIGMA * sigma, side="right")
    count = last - first
    start = np.concatenate([[0], np.cumsum(count)])
    row = np.repeat(np.arange(wave.size), count)
    column = np.arange(start[-1]) - np.repeat(start[:-1] - first, count)
    weight = step[column] * np.exp(-0.5 * np.square((nodes[column] - wave[row]) / sigma[row]))
    weight /= np.bincount(row, weight, wave.size)[row]
    return csr_array((weight, column, start), shape=(wave.size, nodes.size))


def solve_field(
    pixels: Sequence[tuple[np.ndarray, np.ndarray]], spectra: Sequence[np.ndarray]
) -> Field:
    """The field whose keys of the training instruments are given spectra, by least squares.

    Parameters
    ----------
    pixels : sequence of (wave, fwhm)
        Of every instrument.
    spectra : sequence of float64 arrays, shape (n_wave, n_key)
        The same spectra as each instrument sees them.
    """
    nodes, own = place_nodes(pixels)
    gram, right = csr_array((nodes.size, nodes.size)), np.zeros((nodes.size, spectra[0].shape[1]))
    for (wave, fwhm), seen in zip(pixels, spectra, strict=True):
        matrix = profile(nodes, own, wave, fwhm)
        gram = gram + matrix.T @ matrix
        right += matrix.T @ seen
    ridge = RIDGE * gram.diagonal().mean() * eye_array(nodes.size)
    return Field(nodes, own, splu((gram + ridge).tocsc()).solve(right))
