"""What noise terms cost: the observe step with each of them, as ratios to the plain one.

Baseline: `observe` with the calculator's own noise, the default. Times are those of one core,
processor time rather than the clock's, so that a busy machine does not blur them; models take
turns, and ratios are medians over the rounds.

    python -m benchmarks.observe [-n 1024] [--rounds 9]
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import numba
import numpy as np

from benchmarks.timing import machine
from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.noise.view import NoiseModel
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior

WARM_UP = 2  # compilation, and memory the process has not touched before
TERMS = {
    "sky floor correlated": {"sky_floor": "correlated"},
    "sky floor none": {"sky_floor": "none"},
    "telluric residual": {"telluric_residual": 0.05},
    "flux calibration": {"flux_calibration": 0.03},
    "correlated floor, telluric, calibration": {
        "sky_floor": "correlated",
        "telluric_residual": 0.05,
        "flux_calibration": 0.03,
    },
    "cosmic rays": {"cosmic_rays": 0.035},
    "Poisson counts": {"counts": "poisson"},
    "drift over 12 exposures": {"seeing_drift": 0.1, "zenith_drift": 3.0},
}
ROOM_TO_DRIFT = {"seeing": (0.6, 1.4), "zenith_angle": (0.0, 40.0)}


def tasks(bank: Bank, n: int) -> dict[str, Callable[[], object]]:
    """What is timed, by name; the baseline first."""
    prior = Prior.default().with_ranges(**ROOM_TO_DRIFT)
    draws = draw_stars(bank, prior, 1, "train", np.arange(n))
    timed = {"calculator (default)": lambda: observe(bank, draws)}
    if bank.noise.moon_rate is not None:
        moonlit = draws.take(slice(None))
        moonlit.conditions[:, CONDITIONS.index("moon_phase")] = 0.4
        timed["calculator, moonlit"] = lambda: observe(bank, moonlit)
    for name, terms in TERMS.items():
        model = NoiseModel(**terms)
        timed[name] = lambda model=model: observe(bank, draws, noise=model)
    return timed


def measure(timed: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every round, after two that are not counted."""
    taken: dict[str, list[float]] = {name: [] for name in timed}
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        for number in range(rounds + WARM_UP):
            for name, task in timed.items():
                start = time.process_time()
                task()
                if number >= WARM_UP:
                    taken[name].append(time.process_time() - start)
    finally:
        numba.set_num_threads(threads)
    return taken


def report(bank: Bank, n: int, rounds: int) -> str:
    """Table in markdown."""
    taken = measure(tasks(bank, n), rounds)
    base = next(iter(taken.values()))
    lines = [
        f"{machine()}; bank {bank.coef.shape[0]} nodes x {bank.wave.size} pixels; {n} spectra, "
        f"{rounds} rounds, one core",
        "",
        "| observe with | µs per spectrum | ratio to the default |",
        "|---|---:|---:|",
    ]
    for name, seconds in taken.items():
        ratio = median(s / b for s, b in zip(seconds, base, strict=True))
        lines.append(f"| {name} | {1e6 * median(seconds) / n:.1f} | {ratio:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the report for the demo bank."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--bank", help="bank file; the demo grid at PFS MR pixels by default")
    options = parser.parse_args()
    bank = load_bank(options.bank) if options.bank else cached_bank("demo", "pfs_mr")
    print(report(bank, options.n, options.rounds))


if __name__ == "__main__":
    main()
