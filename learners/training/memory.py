"""What to say where a device's memory ends."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from starsmith.data_contract.errors import ConfigError

__all__ = ["OutOfMemory", "is_memory_error", "memory_for"]

WORDS = (
    "can't allocate memory",  # torch on a CPU
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "NCCL Error 1: unhandled cuda error",  # what NCCL calls it
)


class OutOfMemory(ConfigError, RuntimeError):
    """What was asked for does not fit; caught as torch's own error of this kind is, too."""


def is_memory_error(problem: BaseException) -> bool:
    """Whether an error says that memory ended, however the library that met it words that."""
    if isinstance(problem, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(problem, RuntimeError) and any(word in str(problem) for word in WORDS)


@contextmanager
def memory_for(what: str, device: torch.device, remedy: str) -> Iterator[None]:
    """Turn an end of memory in a with-block into one line.

    Parameters
    ----------
    what : str
        What needs the memory, for the message.
    device : torch.device
    remedy : str

    Raises
    ------
    OutOfMemory
    """
    try:
        yield
    except (RuntimeError, MemoryError) as problem:
        if isinstance(problem, OutOfMemory) or not is_memory_error(problem):
            raise
        raise OutOfMemory(f"{what} needs more memory than {device} has; {remedy}") from None
