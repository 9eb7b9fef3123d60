"""Where networks run, and how many spectra are kept in memory."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from starsmith.data_contract.errors import ConfigError

if TYPE_CHECKING:
    import torch

__all__ = ["MEMORY_BYTES", "free_bytes", "pick_device"]

logger = logging.getLogger(__name__)

MEMINFO = Path("/proc/meminfo")
LIMIT, USED = (Path("/sys/fs/cgroup") / f"memory.{name}" for name in ("max", "current"))

MEMORY_BYTES = 4 * 2**30
"""Spectra a CPU keeps ready for training, at most."""


def pick_device(device: str | None = None) -> "torch.device":
    """Return the named torch device, else the GPU if there is one it can use, else the CPU.

    Raises
    ------
    ConfigError
        If it is neither a CPU nor a GPU that torch can use, or a GPU older than torch is made for.
    """
    import torch

    n_gpu = torch.cuda.device_count()
    old = too_old() if n_gpu else ""
    if device is None:
        if old:
            logger.warning("%s; running on the CPU", old)
        device = "cuda" if n_gpu and not old else "cpu"
    usable = ["cpu", *(["cuda"] if n_gpu else []), *(f"cuda:{k}" for k in range(n_gpu))]
    if device not in usable:
        raise ConfigError(f"--device {device}: torch can use {', '.join(usable)} here")
    if device != "cpu" and (old := too_old(torch.device(device).index or 0)):
        raise ConfigError(f"--device {device}: {old}, or give --device cpu")
    return torch.device(device)


def too_old(number: int = 0) -> str:
    """Say why torch has no code for a GPU; empty where it has."""
    import torch

    built = [name for name in torch.cuda.get_arch_list() if name.startswith("sm_")]
    own = torch.cuda.get_device_capability(number)
    versions = sorted(divmod(int(name.removeprefix("sm_").rstrip("abcdef")), 10) for name in built)
    if not versions or own >= versions[0]:
        return ""
    return (
        f"GPU {torch.cuda.get_device_name(number)} is of compute capability {own[0]}.{own[1]}, "
        f"torch {torch.__version__} is built for {versions[0][0]}.{versions[0][1]} and later; "
        "install a torch for an older CUDA (pytorch.org/get-started/previous-versions)"
    )


def free_bytes(device: "torch.device") -> int:
    """Memory of a device that nobody uses; of a CPU at most what its container may take."""
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        free = 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return 2 * MEMORY_BYTES  # a system that does not tell
    with suppress(OSError, ValueError):  # no container, or one without a limit
        free = min(free, int(LIMIT.read_text()) - int(USED.read_text()))
    return max(free, 0)
