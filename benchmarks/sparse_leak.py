"""Power and false alarms of the leak test against a few memorised stars: a table in Markdown.

Truths are uniform in 0..5; each is observed with a Gaussian error of its own, 0.05-0.8, so that
the exact posterior is a truncated Gaussian. ``python -m benchmarks.sparse_leak``; 30 s.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from starsmith.fisher.ceilings.leak_test import compare

RANGE = (0.0, 5.0)
SHARES = (0.03, 0.05, 0.10)
SIZES = (300, 1500, 5000)
N_TRIAL = 20
N_HONEST = 400
RESULTS = Path(__file__).with_name("results") / "sparse_leak.md"


class World:
    """Stars whose posteriors are known in closed form."""

    def __init__(self, n: int, seed: int):
        self.rng = np.random.default_rng(seed)
        self.error = np.exp(self.rng.uniform(np.log(0.05), np.log(0.8), n))
        self.truth = self.rng.uniform(*RANGE, n)
        self.seen = self.truth + self.error * self.rng.standard_normal(n)
        low, high = ((edge - self.seen) / self.error for edge in RANGE)
        self.below, self.kept = ndtr(low), ndtr(high) - ndtr(low)
        at_low, at_high = (np.exp(-0.5 * t**2) / np.sqrt(2.0 * np.pi) for t in (low, high))
        shift = (at_low - at_high) / self.kept
        self.mean = self.seen + self.error * shift
        narrowed = 1.0 + (low * at_low - high * at_high) / self.kept - shift**2
        self.var = self.error**2 * narrowed

    def quantile(self, share: np.ndarray | float) -> np.ndarray:
        """Quantiles of the posteriors."""
        return self.seen + self.error * ndtri(self.below + share * self.kept)

    def alarm(self, predicted: np.ndarray) -> bool:
        """Whether the leak test takes predictions for too good."""
        unit = np.ones(self.truth.size)
        snr, exact = 1.0 / self.error, 1e6 * unit
        return compare(self.truth, predicted, self.mean, snr, self.var, exact, (0.0, np.inf)).leak

    def honest(self, kind: int) -> np.ndarray:
        """What a model might make of the spectra alone, in one of eight ways."""
        scatter = np.sqrt(self.var) * self.rng.standard_normal(self.mean.size)
        return (
            self.mean,
            self.mean + 0.3 * scatter,
            0.8 * self.mean + 0.5,
            self.quantile(self.rng.random(self.mean.size)),
            np.clip(self.seen, *RANGE),
            self.quantile(0.5),
            np.round(self.mean, 1),
            self.mean + 0.05,
        )[kind]

    def leaking(self, share: float, within: float) -> np.ndarray:
        """The posterior mean, but a share of stars known to ``within`` posterior sigma."""
        predicted = self.mean.copy()
        known = self.rng.choice(predicted.size, round(share * predicted.size), replace=False)
        away = within * np.sqrt(self.var[known]) * self.rng.uniform(-1.0, 1.0, known.size)
        predicted[known] = self.truth[known] + away
        return predicted


def false_alarms(n: int = 1500, n_honest: int = N_HONEST) -> int:
    """Alarms among honest predictions, of eight kinds in turn."""
    worlds = (World(n, seed) for seed in range(n_honest))
    return sum(world.alarm(world.honest(k % 8)) for k, world in enumerate(worlds))


def power(share: float, n: int, within: float, n_trial: int = N_TRIAL) -> float:
    """Share of trials in which a leak raises the alarm."""
    worlds = (World(n, 10_000 + seed) for seed in range(n_trial))
    return sum(world.alarm(world.leaking(share, within)) for world in worlds) / n_trial


def table() -> Iterator[str]:
    """Lines of the table."""
    yield "# Leak test against a few memorised stars"
    yield ""
    yield f"False alarms: {false_alarms()} of {N_HONEST} honest models of 1500 stars."
    yield f"Power, of {N_TRIAL} trials:"
    yield ""
    yield "| known | to | " + " | ".join(f"{n} stars" for n in SIZES) + " |"
    yield "| --- | --- | " + " | ".join("---:" for _ in SIZES) + " |"
    for within, word in ((0.0, "exactly"), (0.1, "0.1 σ")):
        for share in SHARES:
            found = " | ".join(f"{power(share, n, within):.2f}" for n in SIZES)
            yield f"| {share:.0%} | {word} | {found} |"


if __name__ == "__main__":
    text = "\n".join(table()) + "\n"
    print(text)
    RESULTS.write_text(text)
