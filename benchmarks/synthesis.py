"""What the demo grid's stars cost in processor time, one thread: python -m benchmarks.synthesis."""

import time
from statistics import mean

import numba

from benchmarks.timing import machine
from starsmith.simulator.grids.demo import demo_axes
from starsmith.simulator.synthesis import PHYSICS_VERSION, synthesize

__all__ = ["main"]

TEFF, M_H = (3565.0, 4380.0, 5500.0), (-1.25, 0.2)


def main() -> None:
    """Print what a process costs before its first star, a composition, and stars after that."""
    numba.set_num_threads(1)
    start = time.process_time()
    synthesize(5000.0, 2.5, -0.5)
    started = time.process_time() - start
    stars, compositions = [], []
    for m_h in M_H:
        compositions.append(_seconds(5000.0, 2.5, m_h) - _seconds(5000.0, 2.5, m_h))
        stars += [_seconds(t, float(g), m_h) for t in TEFF for g in demo_axes()["logg"]]
    print(f"physics {PHYSICS_VERSION}, {machine()}")
    print(f"first star of a process {started:.1f} s, for a new [M/H] {mean(compositions):.2f} s")
    print(f"{mean(stars):.4f} s of processor time a star, mean of {len(stars)}")


def _seconds(teff: float, logg: float, m_h: float) -> float:
    start = time.process_time()
    synthesize(teff, logg, m_h)
    return time.process_time() - start


if __name__ == "__main__":
    main()
