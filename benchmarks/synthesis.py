"""What stars of the demonstration grids cost in processor time, one thread.

Usage: ``python -m benchmarks.synthesis [demo demo-optical demo-h]``
"""

import math
import sys
import time
from statistics import mean

import numba

from benchmarks.timing import machine
from starsmith.simulator.grids.demo import demo_axes
from starsmith.simulator.grids.demo_ranges import DEMO_RANGES
from starsmith.simulator.synthesis import PHYSICS_VERSION, Sampling, synthesize

__all__ = ["main"]

TEFF, M_H = (3565.0, 4350.0, 5500.0), (-1.25, 0.2)


def main() -> None:
    """Print what a process costs before its first star, a composition, and stars after that."""
    numba.set_num_threads(1)
    print(f"physics {PHYSICS_VERSION}, {machine()}")
    for name in sys.argv[1:] or DEMO_RANGES:
        sampling, axes = DEMO_RANGES[name], demo_axes()
        started = _seconds(5000.0, 2.5, -0.5, sampling)
        stars, compositions = [], []
        for m_h in M_H:
            first, again = (_seconds(5000.0, 2.5, m_h, sampling) for _ in range(2))
            compositions.append(first - again)
            stars += [_seconds(t, float(g), m_h, sampling) for t in TEFF for g in axes["logg"]]
        n_node = math.prod(nodes.size for nodes in axes.values())
        whole = n_node * mean(stars) + axes["m_h"].size * mean(compositions)
        print(f"\n{name}: first star {started:.1f} s, a new [M/H] {mean(compositions):.2f} s")
        print(f"{mean(stars):.4f} s of processor time a star, mean of {len(stars)}")
        print(f"{whole / 60.0:.1f} min for a grid of {n_node} nodes")


def _seconds(teff: float, logg: float, m_h: float, sampling: Sampling) -> float:
    start = time.process_time()
    synthesize(teff, logg, m_h, sampling=sampling)
    return time.process_time() - start


if __name__ == "__main__":
    main()
