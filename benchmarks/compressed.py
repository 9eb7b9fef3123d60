"""Checkpoints on fresh stars beside the exact posterior mean: two tables in Markdown.

``python -m benchmarks.compressed --stars 3000 models/compressed models/ridge ...`` scores what was
trained; ``--train 60 --train 180 --data data.zarr`` first trains compressed, specvit_tiny, lightgbm
and ridge (or each ``--model``) for that many seconds of processor time each, all threads together:
short runs tell how many rounds, epochs or trees fit. Half of them is the wall time of two idle
cores, and what else runs on the machine does not count. What was trained before is not trained
again. The stars are those of no data set; the exact posterior mean takes 6 ms of one core a star.
"""

import argparse
import json
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from starsmith.cli.shared.options import BankSource
from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.data_contract.text_tables import text_table
from starsmith.fisher.posterior.posterior_mean import posterior_mean
from starsmith.learners import Predictor, fit, load_checkpoint, load_recipe
from starsmith.learners.estimators.registry import ForwardView, with_forward
from starsmith.simulator.generation.recorded import open_recorded, recorded_bank
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior

SEED, BLOCK, N_BOOTSTRAP = 777, 1000, 300
SPENT = "cpu.json"
MODELS = ("ridge", "lightgbm", "specvit_tiny", "compressed")
PILOT = {
    "compressed": ("epochs", (1, 3)),
    "specvit_tiny": ("epochs", (1, 2)),
    "lightgbm": ("rounds", (10, 30)),
}
"""Model -> key of its recipe that time grows with, and what the two pilot runs give it."""


def cpu_seconds() -> float:
    """Processor time of this process and of those it has waited for, all threads."""
    return sum(os.times()[:4])


def pilot(model: str, view: ForwardView | TrainingView, out: Path) -> tuple[float, float]:
    """Processor seconds before the first round, epoch or tree, and of each."""
    key, counts = PILOT[model]
    spent = []
    for few in (counts[0], *counts):  # the first compiles
        start = cpu_seconds()
        fit(model, view, "logg", load_recipe(model, **{key: few}), out / f"{model}_pilot_{few}")
        spent.append(cpu_seconds() - start)
    each = (spent[2] - spent[1]) / (counts[1] - counts[0])
    each = max(each, spent[2] / counts[1] / 2)  # two short runs beside other work can cost alike
    return max(spent[1] - counts[0] * each, 0.0), each


def train(model: str, budgets: list[float], data: Path, out: Path) -> list[Path]:
    """Train log g within each budget of processor seconds; returns the checkpoints."""
    dataset = open_recorded(data)
    folders = [out / f"{model}_{seconds:g}s" for seconds in budgets]
    if all((folder / SPENT).exists() for folder in folders):
        return folders
    view = with_forward(model, dataset.training(), dataset, recorded_bank)
    first, each = pilot(model, view, out) if model in PILOT else (0.0, 0.0)
    for seconds, folder in zip(budgets, folders, strict=True):
        if (folder / SPENT).exists():
            continue
        changes = {PILOT[model][0]: max(1, int((seconds - first) / each))} if each else {}
        start = cpu_seconds()
        fit(model, view, "logg", load_recipe(model, **changes), folder)
        spent = {"cpu_seconds": round(cpu_seconds() - start, 1)} | changes
        (folder / SPENT).write_text(json.dumps(spent) + "\n")
    return folders


def blocks(bank: Bank, n: int) -> Iterator[dict[str, np.ndarray]]:
    """Fresh stars with their exact posterior means."""
    for start in range(0, n, BLOCK):
        index = np.arange(start, min(start + BLOCK, n))
        draws = draw_stars(bank, Prior.default(), SEED, "test", index)
        seen = observe(bank, draws)
        exact = posterior_mean(bank, Prior.default(), seen.flux, seen.error, draws.conditions)
        yield {"seen": seen, "labels": draws.labels, "snr": seen.snr, "exact": exact.mean}


def within(stars: dict) -> Iterator[tuple[str, np.ndarray]]:
    """Name and rows of every bin of S/N."""
    for low, high in pairwise(SNR_EDGES[:-1]):
        yield f"{low:g}-{high:g}", (stars["snr"] >= low) & (stars["snr"] < high)


def determined(apart: np.ndarray, truth: np.ndarray, stars: dict) -> dict[str, str]:
    """R², pooled and by S/N, of squared errors."""
    row = {"R2": f"{1 - apart.mean() / truth.var():.3f}"}
    return row | {n: f"{1 - apart[k].mean() / truth[k].var():.2f}" for n, k in within(stars)}


def score(path: Path, model: Predictor, value: np.ndarray, stars: dict, bank: Bank) -> tuple:
    """Rows of R² and of efficiency of every label of one model, pooled and by S/N."""
    rng, spent, tables = np.random.default_rng(0), {}, ([], [])
    if (found := path / SPENT).exists():
        spent = json.loads(found.read_text())
    for k, label in enumerate(model.labels):
        truth, exact = (stars[n][:, bank.label_names.index(label)] for n in ("labels", "exact"))
        own, best = (value[:, k] - truth) ** 2, (exact - truth) ** 2
        picks = rng.integers(0, len(own), (N_BOOTSTRAP, len(own)))
        low, high = np.percentile(best[picks].mean(axis=1) / own[picks].mean(axis=1), (5, 95))
        apart = own - best
        row = {"model": path.name, "label": label, "CPU s": spent.get("cpu_seconds", "")}
        tables[0].append(row | determined(own, truth, stars))
        efficiency = {
            "efficiency": f"{best.mean() / own.mean():.3f} ({low:.3f}-{high:.3f})",
            "z": f"{apart.mean() / (apart.std() / np.sqrt(len(apart))):+.1f}",
        }
        bins = {n: f"{best[some].mean() / own[some].mean():.2f}" for n, some in within(stars)}
        tables[1].append(row | efficiency | bins)
    return tables


def ceilings(labels: set[str], stars: dict, bank: Bank) -> list[dict]:
    """Rows of R² of the exact posterior mean."""
    rows = []
    for label in sorted(labels):
        truth, exact = (stars[n][:, bank.label_names.index(label)] for n in ("labels", "exact"))
        row = {"model": "exact posterior mean", "label": label, "CPU s": ""}
        rows.append(row | determined((exact - truth) ** 2, truth, stars))
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--stars", type=int, default=20_000)
    parser.add_argument("--train", type=float, action="append")
    parser.add_argument("--data", type=Path, default=Path("data.zarr"))
    parser.add_argument("--out", type=Path, default=Path("models"))
    parser.add_argument("--model", action="append", choices=MODELS, dest="trained")
    options = parser.parse_args()
    paths = list(options.models)
    if options.train:
        for name in options.trained or MODELS:
            paths += train(name, options.train, options.data, options.out)
    bank = BankSource(bank=None).open()
    models = {str(path): load_checkpoint(path) for path in paths}
    found: dict[str, list] = {name: [] for name in ("labels", "snr", "exact", *models)}
    for block in blocks(bank, options.stars):
        for name in ("labels", "snr", "exact"):
            found[name].append(block[name])
        for name, model in models.items():
            found[name].append(model.predict(block["seen"].flux, block["seen"].error)[0])
    stars = {name: np.concatenate(parts) for name, parts in found.items()}
    scored = [score(Path(n), model, stars[n], stars, bank) for n, model in models.items()]
    known = {label for model in models.values() for label in model.labels}
    r2 = [*(row for rows, _ in scored for row in rows), *ceilings(known, stars, bank)]
    print(f"R² on {options.stars} fresh stars of the demo bank\n\n{text_table(r2)}\n")
    print(f"Efficiency\n\n{text_table([row for _, rows in scored for row in rows])}")


if __name__ == "__main__":
    main()
