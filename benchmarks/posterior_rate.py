"""Summaries of posteriors a second: mean, 1σ, five quantiles of every label, of stored spectra.

``python -m benchmarks.posterior_rate DATA MODEL ...`` reads test spectra of a data set and
summarises their posteriors, whole and with a part of their pixels masked. Processor time counts,
of all threads together; two cores are twice one.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.timing import machine
from starsmith.data_contract.text_tables import text_table
from starsmith.learners import Predictor, load_checkpoint
from starsmith.learners.prediction.posterior_draws import LEVELS
from starsmith.simulator.generation.recorded import open_recorded

BLOCK, REPEAT = 2048, 3
MASKS = {"none": (0.0, 1.0), "5 % at random": (0.05, 0.05), "20 % at random": (0.2, 0.05)}
"""Share of the pixels that is masked, and of the spectra that are summarised."""


def summarise(model: Predictor, split, rows: slice, share: float) -> np.ndarray:
    """Read some spectra and summarise them; returns the quantiles."""
    seen = split.observe(rows)
    mask = np.zeros(seen.flux.shape, dtype=np.uint32)
    if share:
        mask[np.random.default_rng(0).random(mask.shape) < share] = 1
    posterior = model.estimator.posterior(seen.flux, seen.error, mask)
    return posterior.summary(np.array(LEVELS))[2]


def spent(model: Predictor, split, n: int, share: float) -> float:
    """Least processor seconds of a spectrum, of a few runs."""
    times = []
    for _ in range(REPEAT):
        start = time.process_time()
        for first in range(0, n, BLOCK):
            summarise(model, split, slice(first, min(first + BLOCK, n)), share)
        times.append((time.process_time() - start) / n)
    return min(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", nargs="+", type=Path)
    options = parser.parse_args()
    split, rows = open_recorded(options.data).split("test"), []
    for path in options.models:
        model = load_checkpoint(path)
        summarise(model, split, slice(0, 64), 0.05)  # compiles
        for name, (share, part) in MASKS.items():
            each = spent(model, split, max(64, int(part * len(split))), share)
            rows.append(
                {
                    "model": path.name,
                    "stored": split.header.store,
                    "head": model.card["recipe"]["head"],
                    "masked": name,
                    "CPU µs a spectrum": f"{1e6 * each:.0f}",
                    "a second on two cores": f"{2.0 / each:,.0f}",
                }
            )
    print(f"{machine()}\n\n{text_table(rows)}")


if __name__ == "__main__":
    main()
