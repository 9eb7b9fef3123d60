"""Honest timing: medians after a warm-up, with the machine and versions printed."""

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median

__all__ = ["machine", "seconds"]


def seconds(function: Callable, *args, repeat: int = 5) -> float:
    """Median wall time of a call [s]; the first call, which compiles, is not counted."""
    function(*args)
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - start)
    return median(times)


def machine() -> str:
    """One line: processor, cores, interpreter and the packages that decide speed."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":")[1].strip() if names else processor
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "zarr"))
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"
