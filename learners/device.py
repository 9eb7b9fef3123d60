"""Where networks run, and how many spectra are kept in memory."""

from typing import TYPE_CHECKING

from starsmith.data_contract.errors import ConfigError

if TYPE_CHECKING:
    import torch

__all__ = ["MEMORY_BYTES", "pick_device"]

MEMORY_BYTES = 4 * 2**30
"""Spectra a CPU keeps ready for training, at most."""


def pick_device(device: str | None = None) -> "torch.device":
    """Return the named torch device, else the GPU if there is one, else the CPU.

    Raises
    ------
    ConfigError
        If it is neither a CPU nor a GPU that torch can use.
    """
    import torch

    n_gpu = torch.cuda.device_count()
    if device is None:
        device = "cuda" if n_gpu else "cpu"
    usable = ["cpu", *(["cuda"] if n_gpu else []), *(f"cuda:{k}" for k in range(n_gpu))]
    if device not in usable:
        raise ConfigError(f"--device {device}: torch can use {', '.join(usable)} here")
    return torch.device(device)
