"""Which parts of a spectrum a masked network must guess."""

import torch

from starsmith.data_contract.errors import ConfigError

__all__ = ["check_chunks", "chunk_starts", "hidden_pixels", "hidden_tokens"]


def check_chunks(n_token: int, n_chunk: int, width: int) -> None:
    """Raise ConfigError if chunks of ``width`` tokens have no room to move among ``n_token``."""
    if n_chunk < 1 or width < 1 or n_token // n_chunk <= width:
        raise ConfigError(
            f"{n_chunk} chunks of {width} tokens do not fit {n_token} tokens; lower "
            f"options.chunk below {n_token // max(n_chunk, 1)}, or options.n_chunk"
        )


def chunk_starts(uniform: torch.Tensor, n_token: int, width: int) -> torch.Tensor:
    """First token of each chunk, int64 (n_spec, n_chunk).

    Chunk i begins at token i n_token // n_chunk, plus an offset below n_token // n_chunk - width:
    chunks never meet.

    Parameters
    ----------
    uniform : float tensor, shape (n_spec, n_chunk)
        Random numbers in (0, 1).
    n_token, width : int
    """
    n_chunk = uniform.shape[1]
    first = torch.arange(n_chunk, device=uniform.device) * n_token // n_chunk
    offset = (uniform * (n_token // n_chunk - width)).long()
    return first + offset


def hidden_tokens(uniform: torch.Tensor, n_token: int, width: int) -> torch.Tensor:
    """Whether each token is hidden, bool (n_spec, n_token); parameters of `chunk_starts`."""
    starts = chunk_starts(uniform, n_token, width)[:, :, None]
    place = torch.arange(n_token, device=uniform.device)
    return ((place >= starts) & (place < starts + width)).any(dim=1)


def hidden_pixels(patches: torch.Tensor, n_wave: int, patch: int, stride: int) -> torch.Tensor:
    """Whether any hidden patch holds a pixel, bool (n_spec, n_wave).

    Parameters
    ----------
    patches : bool tensor, shape (n_spec, n_patch)
        Whether each patch is hidden.
    n_wave, patch, stride : int
        Pixels of a spectrum, of a patch, and from one patch to the next.
    """
    n_spec, n_patch = patches.shape
    hidden = torch.zeros(n_spec, n_wave, dtype=torch.bool, device=patches.device)
    for k in range(patch):
        hidden[:, k : k + stride * (n_patch - 1) + 1 : stride] |= patches
    return hidden
