"""What is done while a GPU goes on learning: batches made ahead of it, files written behind it."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["Aside", "ahead"]

AHEAD = 2  # batches ready while the device learns from one
PATIENCE = 0.1  # seconds between looks whether anybody still waits

Item = TypeVar("Item")


class Aside:
    """Does things in order, in a thread of its own where there is a GPU to keep busy.

    One is waited for before the next is begun, and at the end of the with-block; what failed is
    raised there.

    Parameters
    ----------
    device : torch.device
        On a CPU everything is done at once.
    """

    def __init__(self, device: torch.device):
        self._thread = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._latest: Future | None = None

    def __enter__(self) -> "Aside":
        return self

    def __call__(self, action: Callable[[], None]) -> None:
        """Do something, after what came before."""
        if self._thread is None:
            action()
            return
        self._wait()
        self._latest = self._thread.submit(action)

    def _wait(self) -> None:
        latest, self._latest = self._latest, None
        if latest is not None:
            latest.result()

    def __exit__(self, kind: type | None, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown()
            if kind is None:
                self._wait()


def ahead(
    items: Iterator[Item], tensors_of: Callable[[Item], list[torch.Tensor]], device: torch.device
) -> Iterator[Item]:
    """Items of an iterator that a thread makes ahead, on a stream of its own of a GPU.

    Copies to the device and the drawing of stars run under the present step. On a CPU, whose
    cores are busy with the step, items come as they are asked for.

    Parameters
    ----------
    items : iterator
    tensors_of : callable
        Tensors of an item, which are used on another stream than they were made on.
    device : torch.device
    """
    if device.type != "cuda":
        yield from items
        return
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))

    def made() -> Iterator[tuple[Item, torch.cuda.Event]]:
        with torch.cuda.device(device), torch.cuda.stream(stream):
            for item in items:
                yield item, stream.record_event()

    for item, ready in in_thread(made()):
        present = torch.cuda.current_stream(device)
        present.wait_event(ready)  # the stream waits, not this process
        for tensor in tensors_of(item):
            tensor.record_stream(present)
        yield item


def in_thread(items: Iterator[Item], depth: int = AHEAD) -> Iterator[Item]:
    """Items of an iterator that a thread of its own goes through, a few ahead.

    What fails there is raised here. The thread ends when nobody waits any more, or the program
    ends: it is no daemon, which would be cut off inside a library, and take the process with it.
    """
    ready: queue.Queue = queue.Queue(depth)
    over = threading.Event()

    def wanted() -> bool:
        return not over.is_set() and threading.main_thread().is_alive()

    def put(entry: tuple[Item | None, BaseException | None]) -> None:
        while wanted():
            try:
                return ready.put(entry, timeout=PATIENCE)
            except queue.Full:
                continue

    def work() -> None:
        problem: BaseException | None = StopIteration()
        try:
            for item in items:
                put((item, None))
                if not wanted():
                    return
        except BaseException as found:  # told to the one who waits
            problem = found
        put((None, problem))

    thread = threading.Thread(target=work, name="batches")
    thread.start()
    try:
        while True:
            item, problem = ready.get()
            if isinstance(problem, StopIteration):
                return
            if problem is not None:
                raise problem
            yield item
    finally:
        over.set()
        thread.join()
