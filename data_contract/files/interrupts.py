"""Ctrl-C held back while something is written that must not be left half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uninterrupted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C, and a scheduler's SIGTERM where a program handles it, wait until the block ends.

    A mask of the thread would not do: signals go to whichever thread takes them. Outside the
    main thread, which alone is interrupted, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    held = [number for number, handler in before.items() if callable(handler)]
    try:
        for number in held:
            signal.signal(number, lambda number, _: waiting.append(number))
        yield
    finally:
        for number in held:
            signal.signal(number, before[number])
        if waiting:
            signal.raise_signal(waiting[0])
