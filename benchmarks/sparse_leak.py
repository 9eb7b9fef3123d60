"""Power and false alarms of the leak test against a few memorised stars: tables in Markdown.

Truths are uniform in 0..5; each is observed with a Gaussian error of its own, 0.05-0.8, so that
the exact posterior is a truncated Gaussian. ``python -m benchmarks.sparse_leak``; 30 s. With
``--bank bank.zarr`` also stars of that bank under their noise, whose posteriors of log g are
those of `ceiling`: of any shape, and known by a finite number of templates; minutes.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.fisher.ceilings.ceiling import ceiling
from starsmith.fisher.ceilings.ceiling_table import StarCeiling
from starsmith.fisher.ceilings.leak_test import compare
from starsmith.fisher.ceilings.options import CeilingOptions
from starsmith.simulator.prior import Prior

RANGE = (0.0, 5.0)
SHARES = (0.03, 0.05, 0.10)
SIZES = (300, 1500, 5000)
N_TRIAL = 20
N_HONEST = 400
RESULTS = Path(__file__).with_name("results") / "sparse_leak.md"


class Stars:
    """Truths, posterior means and variances, S/N and templates behind them, each (n_spec,)."""

    rng: np.random.Generator
    truth: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    snr: np.ndarray
    ess: np.ndarray

    def alarm(self, predicted: np.ndarray) -> bool:
        """Whether the leak test takes predictions for too good."""
        edges = (0.0, np.inf)
        return compare(self.truth, predicted, self.mean, self.snr, self.var, self.ess, edges).leak

    def leaking(self, share: float, within: float) -> np.ndarray:
        """The posterior mean, but a share of stars known to ``within`` posterior sigma."""
        predicted = self.mean.copy()
        known = self.rng.choice(predicted.size, round(share * predicted.size), replace=False)
        away = within * np.sqrt(self.var[known]) * self.rng.uniform(-1.0, 1.0, known.size)
        predicted[known] = self.truth[known] + away
        return predicted

    def scattered(self) -> np.ndarray:
        """Normal numbers as wide as the posteriors."""
        return np.sqrt(self.var) * self.rng.standard_normal(self.mean.size)


class World(Stars):
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
        self.snr, self.ess = 1.0 / self.error, np.full(n, 1e6)

    def quantile(self, share: np.ndarray | float) -> np.ndarray:
        """Quantiles of the posteriors."""
        return self.seen + self.error * ndtri(self.below + share * self.kept)

    def honest(self, kind: int) -> np.ndarray:
        """What a model might make of the spectra alone, in one of eight ways."""
        return (
            self.mean,
            self.mean + 0.3 * self.scattered(),
            0.8 * self.mean + 0.5,
            self.quantile(self.rng.random(self.mean.size)),
            np.clip(self.seen, *RANGE),
            self.quantile(0.5),
            np.round(self.mean, 1),
            self.mean + 0.05,
        )[kind]


class Simulated(Stars):
    """Some of the stars of a ceiling table, with the posteriors found there."""

    def __init__(self, stars: StarCeiling, n: int, seed: int):
        self.rng = np.random.default_rng(seed)
        rows = self.rng.choice(stars.label.size, n, replace=False)
        self.truth, self.mean, self.var = (x[rows] for x in (stars.label, stars.mean, stars.var))
        self.snr, self.ess = stars.snr[rows], stars.ess[rows]

    def honest(self, kind: int) -> np.ndarray:
        """What a model might make of the spectra alone, in one of six ways."""
        return (
            self.mean,
            self.mean + 0.3 * self.scattered(),
            0.8 * self.mean + 0.5,
            self.mean + self.scattered(),
            np.round(self.mean, 1),
            self.mean + 0.05,
        )[kind]


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


def simulated_table(bank: Bank, n_star: int) -> Iterator[str]:
    """Lines of the same for stars of a bank; trials are halves of them, or 300 at a time."""
    found = ceiling(bank, Prior.default(), "logg", n_star=n_star, statistics=("posterior_mean",))
    stars, sizes = found.stars, (300, n_star // 2)
    worlds = (Simulated(stars, n_star // 2, seed) for seed in range(N_HONEST))
    alarms = sum(world.alarm(world.honest(k % 6)) for k, world in enumerate(worlds))
    yield ""
    yield f"## Stars of {bank.grid['name']} at magnitudes of the default prior, log g"
    yield ""
    yield (
        f"{n_star} stars over {CeilingOptions().n_template} templates; median effective number "
        f"{np.median(stars.ess):.0f}, 5th percentile {np.percentile(stars.ess, 5):.0f}. "
        f"False alarms: {alarms} of {N_HONEST}, honest in six ways, {n_star // 2} stars each."
    )
    yield ""
    yield "| known | to | " + " | ".join(f"{n} stars" for n in sizes) + " |"
    yield "| --- | --- | " + " | ".join("---:" for _ in sizes) + " |"
    for within, word in ((0.0, "exactly"), (0.1, "0.1 σ")):
        for share in SHARES:
            rates = []
            for n in sizes:
                trials = (Simulated(stars, n, 10_000 + seed) for seed in range(N_TRIAL))
                rates.append(sum(t.alarm(t.leaking(share, within)) for t in trials) / N_TRIAL)
            yield f"| {share:.0%} | {word} | {' | '.join(f'{rate:.2f}' for rate in rates)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bank", type=Path, help="of the stars of the second table")
    parser.add_argument("-n", type=int, default=3000, help="how many of them")
    chosen = parser.parse_args()
    lines = [*table(), *(simulated_table(load_bank(chosen.bank), chosen.n) if chosen.bank else ())]
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.write_text(text)
