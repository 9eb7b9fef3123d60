"""Keyed random numbers: one table of streams, and arrays drawn from it.

Philox4x32-10 with key (seed, stream) and counter (block, 0, spectrum index, split). A
number depends on what it is for and on nothing else: not on batch size, order or the
number of workers. The 32-bit words are the same on every machine.
"""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.kernels.philox import fill_normals, fill_words
from starsmith.data_contract.quantities import SPLITS

__all__ = ["STREAMS", "DrawKey", "check_seed", "normals", "stream_key", "uniforms"]

STREAMS = {
    "labels": 1,
    "conditions": 2,
    "noise": 3,
    "sky_residual": 4,
    "training": 5,
    "fisher": 6,
    "population": 7,
    "training_labels": 8,
    "training_conditions": 9,
    "training_noise": 10,
    "telluric": 11,
    "flux_calibration": 12,
    "read_noise": 13,
    "cosmic_rays": 14,
    "drift": 15,
    "free_label": 16,
    "marginal_noise": 17,
    "shuffle_shards": 18,
    "shuffle_rows": 19,
    "exposures": 20,
    "masking": 21,
}
"""Stream name -> high byte of the second key word; the low 24 bits count realisations."""

WORD_LIMIT = 2**32
SUB_LIMIT = 2**24


@dataclass(frozen=True, eq=False)
class DrawKey:
    """What every random number of some spectra is keyed by.

    Attributes
    ----------
    seed : int
        Of the data set, 0..2**32-1.
    split : str
        train, val or test.
    index : int array, shape (n_spec,)
        Spectrum index within the split, 0..2**32-1.
    """

    seed: int
    split: str
    index: np.ndarray


def check_seed(seed: int) -> int:
    """Return ``seed`` if it fits one key word, else raise ConfigError."""
    if not 0 <= int(seed) < WORD_LIMIT:
        raise ConfigError(
            f"--seed {seed} is outside 0..{WORD_LIMIT - 1}; choose a seed in that range"
        )
    return int(seed)


def stream_key(stream: str, sub: int = 0) -> int:
    """Second key word of realisation ``sub`` of a named stream.

    Raises
    ------
    ValueError
        If ``sub`` does not fit 24 bits.
    KeyError
        If the stream is not in ``STREAMS``.
    """
    if not 0 <= sub < SUB_LIMIT:
        raise ValueError(f"realisation {sub} of stream {stream!r} is outside 0..{SUB_LIMIT - 1}")
    return STREAMS[stream] << 24 | sub


def _counter(key: DrawKey, stream: str, sub: int) -> tuple:
    rows = np.ascontiguousarray(key.index, dtype=np.int64)
    if rows.size and not (rows.min() >= 0 and rows.max() < WORD_LIMIT):
        raise ConfigError(
            f"spectrum indices {rows.min()}..{rows.max()} are outside 0..{WORD_LIMIT - 1}"
        )
    return (
        rows.astype(np.uint64),
        np.uint64(SPLITS[key.split]),
        np.uint64(check_seed(key.seed)),
        np.uint64(stream_key(stream, sub)),
    )


def uniforms(key: DrawKey, stream: str, n: int, sub: int = 0) -> np.ndarray:
    """Uniform numbers in the open interval (0, 1), one row per spectrum.

    Parameters
    ----------
    key : DrawKey
    stream : str
        What the numbers are for: a name in ``STREAMS``.
    n : int
        Numbers per spectrum.
    sub : int
        Realisation, 0..2**24-1.

    Returns
    -------
    numbers : float64 array, shape (n_spec, n)
    """
    rows, split_word, key_0, key_1 = _counter(key, stream, sub)
    words = np.empty((rows.size, 4 * -(-n // 4)), dtype=np.uint32)
    fill_words(words, rows, split_word, key_0, key_1)
    return (words[:, :n].astype(np.float64) + 0.5) / WORD_LIMIT


def normals(
    key: DrawKey, stream: str, n: int, sub: int = 0, out: np.ndarray | None = None
) -> np.ndarray:
    """Standard normal numbers; arguments as in `uniforms`.

    Parameters
    ----------
    out : float32 array, shape (n_spec, n), optional
        Where they go.

    Returns
    -------
    numbers : float32 array, shape (n_spec, n)
    """
    rows, split_word, key_0, key_1 = _counter(key, stream, sub)
    numbers = np.empty((rows.size, n), dtype=np.float32) if out is None else out
    fill_normals(numbers, rows, split_word, key_0, key_1)
    return numbers
