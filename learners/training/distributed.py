"""Several processes that train one network, as ``torchrun`` starts them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from starsmith.learners.training.batch_order import Share

__all__ = ["agree", "is_leader", "process_group", "share_of_process", "wait_for_all"]


@contextmanager
def process_group(device: str | None = None) -> Iterator[Share]:
    """Join the processes of ``torchrun`` for the time of a with-block; alone without it."""
    if not dist.is_torchelastic_launched():
        yield Share()
        return
    on_gpu = torch.cuda.is_available() if device is None else device.startswith("cuda")
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        if on_gpu:
            torch.cuda.set_device(dist.get_node_local_rank())
        yield share_of_process()
    finally:
        dist.destroy_process_group()


def share_of_process() -> Share:
    """Which of how many processes this is."""
    if not dist.is_initialized():
        return Share()
    return Share(dist.get_rank(), dist.get_world_size())


def is_leader() -> bool:
    """Whether this process writes files and reports."""
    return share_of_process().rank == 0


def wait_for_all() -> None:
    """Return when every process has come here."""
    if dist.is_initialized():
        dist.barrier()


def agree(value: float, device: torch.device) -> float:
    """Return the leader's number, in every process."""
    if not dist.is_initialized():
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=device)
    dist.broadcast(shared, 0)
    return shared.item()
