"""Parallel kernels in forked processes: one after another, where OpenMP would end the process.

GNU OpenMP's threads do not outlive a fork, and numba ends a child that asks for them: as workers
of a torch ``DataLoader`` do once the parent has run a kernel. Here such a child runs the loop of
a kernel in its own thread, with the same bits. Other threading layers are left alone.
"""

import ctypes
import os
from functools import cache

from llvmlite import binding
from numba.np.ufunc import parallel

__all__ = ["guard_forks"]

POINTER = ctypes.c_void_p
LOOP = ctypes.PYFUNCTYPE(None, *[POINTER] * 4)  # arguments, sizes, steps, data
PARALLEL_FOR = ctypes.PYFUNCTYPE(
    None, *[POINTER] * 5, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int
)


def guard_forks() -> None:
    """Have numba's threads start with a loop that knows whether they are there still."""
    start = getattr(parallel, "_launch_threads", None)  # numba's own: it may go

    def start_guarded():
        start()
        _install()

    if start is not None:
        parallel._launch_threads = start_guarded


@cache
def _install() -> object | None:
    """Put the guarded loop in the place of OpenMP's; returns it, so that it is kept."""
    if parallel.threading_layer() != "omp" or not hasattr(os, "register_at_fork"):
        return None
    in_threads = PARALLEL_FOR(binding.address_of_symbol("numba_parallel_for"))
    forked = False

    def after_fork():
        nonlocal forked
        forked = True

    def run(loop, arguments, sizes, steps, data, n_inner, n_array, n_thread):
        if forked:
            LOOP(loop)(arguments, sizes, steps, data)
        else:
            in_threads(loop, arguments, sizes, steps, data, n_inner, n_array, n_thread)

    os.register_at_fork(after_in_child=after_fork)
    guarded = PARALLEL_FOR(run)
    binding.add_symbol("numba_parallel_for", ctypes.cast(guarded, POINTER).value)
    return guarded
