"""Several processes that train one network, as ``torchrun`` starts them."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from starsmith.data_contract.errors import ConfigError, DivergedError, StarsmithError
from starsmith.learners.training.batch_order import Share

if TYPE_CHECKING:
    import torch

__all__ = [
    "Elsewhere",
    "agree",
    "agree_on",
    "agreed",
    "is_leader",
    "process_group",
    "share_of_process",
    "wait_for_all",
]

Result = TypeVar("Result")


class Elsewhere(StarsmithError):
    """What failed is reported by another process of the run; this one has nothing to add."""

    def __init__(self, exit_code: int):
        super().__init__("")
        self.exit_code = exit_code


@contextmanager
def process_group(device: str | None = None) -> Iterator[Share]:
    """Join the processes of ``torchrun`` for the time of a with-block; alone without it.

    Raises
    ------
    ConfigError
        If one GPU is named for all processes, or there are more processes than GPUs.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:  # so torch.distributed tells; loads no torch
        yield Share()
        return
    import torch
    import torch.distributed as dist

    on_gpu = torch.cuda.is_available() if device is None else device.startswith("cuda")
    if on_gpu:
        local = check_gpus(device)
        torch.cuda.set_device(local)  # before joining: NCCL takes the present one
        own = torch.device("cuda", local)
        dist.init_process_group("cpu:gloo,cuda:nccl", device_id=own)
    else:
        dist.init_process_group("gloo")
    try:
        yield share_of_process()
    finally:
        dist.destroy_process_group()


def check_gpus(device: str | None) -> int:
    """Number of this process's GPU; ConfigError if there is not one for each process."""
    import torch

    if device not in (None, "cuda"):
        raise ConfigError(
            f"--device {device}: under torchrun every process would take that GPU; give "
            "--device cuda, and choose GPUs by CUDA_VISIBLE_DEVICES"
        )
    wanted, found = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if wanted > found:
        raise ConfigError(
            f"torchrun started {wanted} processes on this machine, where torch can use {found} "
            f"GPU(s); give --nproc-per-node {max(found, 1)}" + ("" if found else " --device cpu")
        )
    return int(os.environ.get("LOCAL_RANK", "0"))


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


def agree_on(problem: Exception | None) -> None:
    """Raise in every process of a run what failed in any; all of them have to come here.

    The leader raises the error itself, the others an `Elsewhere`, so that it is told once.

    Parameters
    ----------
    problem : Exception or None
        What failed here.
    """
    if not _joined():
        if problem is not None:
            raise problem
        return
    import torch
    import torch.distributed as dist

    # a number of the host, over gloo: no device is waited for
    failed = torch.tensor([float(problem is not None)], device=_device_of_words())
    dist.all_reduce(failed)
    if not failed.item():
        return
    told: list[Exception | None] = [None] * dist.get_world_size()
    dist.all_gather_object(told, _sendable(problem))
    found = [(rank, error) for rank, error in enumerate(told) if error is not None]
    # data that are not finite explain a divergence that others see
    rank, first = min(found, key=lambda pair: isinstance(pair[1], DivergedError))
    if dist.get_rank():
        raise Elsewhere(getattr(first, "exit_code", 1))
    if rank and first.args:
        first.args = (f"process {rank}: {first.args[0]}", *first.args[1:])
    raise first from None


def agreed(action: Callable[[], Result]) -> Result:
    """Do something in this process, and fail in all of a run where it fails in one.

    Errors that are no `StarsmithError` are raised where they happen.
    """
    problem = result = None
    try:
        result = action()
    except StarsmithError as found:
        problem = found
    agree_on(problem)
    return result


def _sendable(problem: Exception | None) -> Exception | None:
    """Return an error without what ties it to this process."""
    return None if problem is None else problem.with_traceback(None)


def _device_of_words() -> str:
    import torch.distributed as dist

    return "cpu" if "gloo" in str(dist.get_backend_config()) else "cuda"


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
