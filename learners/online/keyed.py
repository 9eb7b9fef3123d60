"""Keyed random numbers on a torch device: the bits of `starsmith.data_contract.random`.

On the CPU these are its compiled kernels; elsewhere Philox4x32-10 in 64-bit torch integers,
whose products wrap as unsigned ones do, and whose high words are masked.
"""

import math

import numpy as np
import torch

from starsmith.data_contract.quantities import SPLITS
from starsmith.data_contract.random import (
    WORD_LIMIT,
    DrawKey,
    check_seed,
    normals,
    stream_key,
    uniforms,
)

__all__ = ["keyed_attempts", "keyed_normals", "keyed_uniforms", "philox_words", "words_to_normals"]

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)  # Salmon et al. (2011, SC11), Philox4x32
WEYL = (0x9E3779B9, 0xBB67AE85)  # golden ratio and √3 - 1, 32 bits
LOW = 0xFFFFFFFF  # int64 tensors stand for 32-bit words
ROUNDS = 10


def counted(n: int, device: torch.device) -> torch.Tensor:
    """0 .. n - 1 as int64 values (n,), also to a compiler.

    It would take a plain range for 32-bit indices, and their product with a multiplier, which
    needs 64 bits, for an index too. Masked, they are values.
    """
    return torch.arange(n, device=device) & LOW


def philox_words(
    key: tuple[int, int | torch.Tensor], index: torch.Tensor, split: int, n_block: int
) -> tuple[torch.Tensor, ...]:
    """Random 32-bit words: counter (block, 0, index, split), Salmon et al. 2011.

    Parameters
    ----------
    key : (seed, stream)
        Both below 2**32; several streams as an int64 tensor, shape (n_stream, 1, 1).
    index : int64 tensor, shape (n_spec,)
    split : int
        Last counter word.
    n_block : int
        Blocks of four words per spectrum.

    Returns
    -------
    words : four int64 tensors, shape (n_spec, n_block)
        Values 0..2**32-1; of several streams (n_stream, n_spec, n_block).
    """
    k0, k1 = key
    # block: (1, n_block) against (n_spec, 1)
    c0 = counted(n_block, index.device)[None, :]
    c1 = torch.zeros_like(c0)
    c2 = index[:, None]
    c3 = torch.full_like(c2, split)
    for _ in range(ROUNDS):
        first, second = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0 = ((second >> 32) & LOW) ^ c1 ^ k0
        c1 = second & LOW
        c2 = ((first >> 32) & LOW) ^ c3 ^ k1
        c3 = first & LOW
        k0, k1 = (k0 + WEYL[0]) & LOW, (k1 + WEYL[1]) & LOW
    return c0, c1, c2, c3


def words_to_normals(words: tuple[torch.Tensor, ...], n: int) -> torch.Tensor:
    """Standard normals of Philox words by Box & Muller 1958, float32 (n_spec, n)."""
    parts = []
    for radius_word, turn_word in (words[:2], words[2:]):
        # Box & Muller (1958); never the logarithm of 0
        radius = torch.sqrt(-2.0 * torch.log((radius_word.double() + 0.5) / WORD_LIMIT))
        angle = 2.0 * math.pi * (turn_word.double() / WORD_LIMIT - 0.5)  # -π..π, as on the CPU
        # rounded before they are written side by side: half the bytes
        parts += [(radius * wave(angle)).float() for wave in (torch.cos, torch.sin)]
    return torch.stack(parts, dim=2).flatten(1)[:, :n]


def _on_cpu(index: torch.Tensor) -> np.ndarray | None:
    return index.numpy() if index.device.type == "cpu" else None


def keyed_uniforms(
    seed: int, stream: str, split: str, index: torch.Tensor, n: int, sub: int = 0
) -> torch.Tensor:
    """Uniform numbers in (0, 1), float64 (n_spec, n), where ``index`` int64 (n_spec,) lies.

    The numbers of `starsmith.data_contract.random.uniforms`, keyed by seed, split and index.
    """
    rows = _on_cpu(index)
    if rows is not None:
        return torch.from_numpy(uniforms(DrawKey(seed, split, rows), stream, n, sub))
    key = check_seed(seed), stream_key(stream, sub)
    words = philox_words(key, index, SPLITS[split], -(-n // 4))
    return (torch.stack(words, dim=2).flatten(1)[:, :n].double() + 0.5) / WORD_LIMIT


def keyed_attempts(
    seed: int, stream: str, split: str, index: torch.Tensor, n: int, n_attempt: int
) -> torch.Tensor:
    """`keyed_uniforms` of the first attempts of a stream, float64 (n_attempt, n_spec, n)."""
    if index.device.type == "cpu":
        return torch.stack(
            [keyed_uniforms(seed, stream, split, index, n, sub) for sub in range(n_attempt)]
        )
    streams = [stream_key(stream, sub) for sub in range(n_attempt)]
    # whole numbers that follow each other: made on the device, not copied to it
    step = streams[1] - streams[0] if n_attempt > 1 else 0
    keys = streams[0] + step * counted(n_attempt, index.device)[:, None, None]
    words = philox_words((check_seed(seed), keys), index, SPLITS[split], -(-n // 4))
    return (torch.stack(words, dim=3).flatten(2)[..., :n].double() + 0.5) / WORD_LIMIT


def keyed_normals(
    seed: int, stream: str, split: str, index: torch.Tensor, n: int, sub: int = 0
) -> torch.Tensor:
    """Standard normal numbers, float32 (n_spec, n), where ``index`` int64 (n_spec,) lies.

    The numbers of `starsmith.data_contract.random.normals` to 1e-6, on the CPU to the last bit.
    """
    rows = _on_cpu(index)
    if rows is not None:
        return torch.from_numpy(normals(DrawKey(seed, split, rows), stream, n, sub))
    key = check_seed(seed), stream_key(stream, sub)
    return words_to_normals(philox_words(key, index, SPLITS[split], -(-n // 4)), n)
