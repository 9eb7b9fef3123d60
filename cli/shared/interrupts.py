"""Ctrl-C and SIGTERM: one stop that a command unwinds from, wherever it falls."""

import _thread
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["stoppable"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 10.0  # seconds to unwind in before another Ctrl-C ends everything at once
AGAIN = 0.05  # seconds after which a stop that was swallowed is repeated
AT_ONCE = b"stopped at once; run the same command again to resume\n"
INTERRUPTED = 130


class _Stop:
    """Raises KeyboardInterrupt once; what comes while that unwinds is taken for the same wish."""

    def __init__(self):
        self.since = None  # when the first signal came
        self.raised = False

    def __call__(self, number: int, _frame: object) -> None:
        if self.raised:
            if time.monotonic() - self.since > PATIENCE:
                os.write(2, AT_ONCE)
                os._exit(INTERRUPTED)
            return
        self.since = self.since or time.monotonic()
        self.raised = True
        _silence()
        raise KeyboardInterrupt

    def swallowed(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """Try again where the exception fell into a callback that cannot pass it on."""
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(unraisable)
        elif self.raised:
            self.raised = False
            threading.Timer(AGAIN, _interrupt_main).start()


def _interrupt_main() -> None:
    """Interrupt the main thread, also where it waits for the system."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _silence() -> None:
    """Keep libraries from telling of what they had to leave."""
    warnings.simplefilter("ignore")
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)


def _restored(handler: object) -> object:
    return signal.SIG_IGN if handler is signal.SIG_DFL else handler


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Handle the signals that ask a command to stop; yields whether one came.

    SIGTERM, a scheduler's notice to leave, is a Ctrl-C. The second of two in a row changes
    nothing, unless the first has not ended the command within ten seconds.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    stop = _Stop()
    before = {number: signal.signal(number, stop) for number in SIGNALS}
    hook, sys.unraisablehook = sys.unraisablehook, stop.swallowed
    try:
        yield lambda: stop.since is not None
    finally:
        stopped = stop.since is not None
        stop.raised, stop.since = True, stop.since or time.monotonic()  # nothing left to stop
        sys.unraisablehook = hook
        for number, handler in before.items():
            # a program that has been stopped is let end in peace
            signal.signal(number, _restored(handler) if stopped else handler)
