"""Components of compressed banks: pieces of neighbouring pixels that share some of them."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Piece", "pieces"]


@dataclass(frozen=True)
class Piece:
    """Pixels whose spectra are sums of the same few components.

    Attributes
    ----------
    components, pixels : slice
        Where in the basis.
    spectra : float32, shape (n_component of the piece, n_pixel of the piece)
    """

    components: slice
    pixels: slice
    spectra: np.ndarray


def pieces(basis: np.ndarray) -> tuple[Piece, ...]:
    """Divide a basis where neighbouring components are zero at other pixels.

    Parameters
    ----------
    basis : float32 array, shape (n_component, n_wave)

    Returns
    -------
    pieces : tuple of Piece
        All components, in order; every pixel in one piece, or the basis as a single piece.
    """
    some = basis != 0
    begins = some.argmax(axis=1)
    cuts = np.flatnonzero(np.diff(begins)) + 1  # the first component of every piece but one
    tops = [0, *cuts.tolist(), len(basis)]
    lefts = [*begins[tops[:-1]].tolist(), basis.shape[1]]
    found = []
    for top, end, left, right in zip(tops[:-1], tops[1:], lefts[:-1], lefts[1:], strict=True):
        if left >= right or some[top:end, right:].any() or (not found and left):
            return (Piece(slice(0, len(basis)), slice(0, basis.shape[1]), basis),)
        spectra = np.ascontiguousarray(basis[top:end, left:right])
        found.append(Piece(slice(top, end), slice(left, right), spectra))
    return tuple(found)
