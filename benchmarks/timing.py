"""Honest timing: medians after a warm-up, with the machine and versions printed."""

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median

__all__ = ["machine", "seconds", "turns"]


def seconds(function: Callable, *args, repeat: int = 5) -> float:
    """Median wall time of a call [s]; the first call, which compiles, is not counted."""
    function(*args)
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - start)
    return median(times)


def turns(ours: Callable, theirs: Callable, repeat: int = 5) -> list[tuple[float, float]]:
    """CPU seconds, all threads together, of two calls in turn; one of each before is not told.

    Of a machine that others use, wall time tells nothing and CPU time compares.
    """
    times = []
    for k in range(repeat + 1):
        spent = []
        for call in (ours, theirs):
            start = time.process_time()
            call()
            spent.append(max(time.process_time() - start, 1e-9))
        times += [tuple(spent)] if k else []
    return times


def machine() -> str:
    """One line: processor, cores, interpreter and the packages that decide speed."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":")[1].strip() if names else processor
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "zarr"))
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"
