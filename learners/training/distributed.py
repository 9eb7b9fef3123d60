"""Several processes that train one network, as ``torchrun`` starts them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starsmith.learners.training.batch_order import Share

if TYPE_CHECKING:
    import torch

__all__ = ["agree", "is_leader", "process_group", "share_of_process", "wait_for_all"]


@contextmanager
def process_group(device: str | None = None) -> Iterator[Share]:
    """Join the processes of ``torchrun`` for the time of a with-block; alone without it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:  # so torch.distributed tells; loads no torch
        yield Share()
        return
    import torch
    import torch.distributed as dist

    on_gpu = torch.cuda.is_available() if device is None else device.startswith("cuda")
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        if on_gpu:
            torch.cuda.set_device(dist.get_node_local_rank())
        yield share_of_process()
    finally:
        dist.destroy_process_group()


def _joined() -> bool:
    """Whether this process has joined others: then torch is loaded."""
    dist = sys.modules.get("torch.distributed")
    return dist is not None and dist.is_initialized()


def share_of_process() -> Share:
    """Which of how many processes this is."""
    if not _joined():
        return Share()
    import torch.distributed as dist

    return Share(dist.get_rank(), dist.get_world_size())


def is_leader() -> bool:
    """Whether this process writes files and reports."""
    return share_of_process().rank == 0


def wait_for_all() -> None:
    """Return when every process has come here."""
    if _joined():
        import torch.distributed as dist

        dist.barrier()


def agree(value: float, device: "torch.device") -> float:
    """Return the leader's number, in every process."""
    if not _joined():
        return value
    import torch
    import torch.distributed as dist

    # float64: all processes decide on the same bits
    shared = torch.tensor(value, dtype=torch.float64, device=device)
    dist.broadcast(shared, 0)
    return shared.item()
