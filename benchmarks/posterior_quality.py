"""Whole posteriors beside the exact ones: log score, efficiency, TARP, a classifier, masks.

``specsim generate --splits train=10,val=10,test=5000 --seed 11 --out fresh.zarr`` makes the stars,
``python -m benchmarks.posterior_quality MODEL fresh.zarr`` judges a model of every label on them.
The exact posterior is the model's own draws, weighed by the likelihood of the coefficients; of
masked spectra by that of the good pixels.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.data_contract.text_tables import text_table
from starsmith.learners import Predictor, load_checkpoint
from starsmith.learners.evaluation.joint_tests import classifier_two_sample, tarp
from starsmith.learners.evaluation.posterior_scores import score_posterior
from starsmith.learners.prediction.posterior_draws import draw_posterior
from starsmith.learners.preprocess import iterate_blocks, select_labels
from starsmith.simulator.generation.recorded import open_recorded

BLOCK, N_DRAW, N_TARP, N_TELL = 256, 500, 200, 40
N_BOOTSTRAP = 300
BESIDE = 1.5  # σ from the mean, of TARP's reference points
MASKS = ("none", "random 5 %", "random 20 %", "block of 5 %", "block of 20 %")


def draws_of(model: Predictor, split: Split, n: int) -> dict[str, np.ndarray]:
    """Log scores and draws of the first spectra of a split, the head's own and exact ones."""
    truth, parts = select_labels(split, model.labels)[:n], []
    for rows in iterate_blocks(n, BLOCK):
        seen = split.observe(rows)
        drawn = draw_posterior(model, seen, N_DRAW)
        answer = model.estimator.posterior(seen.flux, seen.error, seen.mask)
        log = model.estimator.log_likelihood(seen.flux, seen.error, seen.mask, truth[rows, None])
        own = answer.log_density(truth[rows, None])
        parts.append(
            {
                "gap": (log[:, 0] - drawn.log_evidence) - own[:, 0],
                "own": drawn.value[:, :N_TARP],
                "best": drawn.moments()[0],
                "exact": drawn.resampled(N_TELL),
                "mean": np.column_stack(answer.moments()),
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} | {
        "truth": truth,
        "snr": split.snr[:n],
    }


def efficiency(found: dict[str, np.ndarray], labels: tuple[str, ...]) -> list[dict]:
    """Squared error of the exact posterior mean over that of the model's, pooled and by S/N."""
    rows, rng = [], np.random.default_rng(0)
    picks = rng.integers(0, len(found["truth"]), (N_BOOTSTRAP, len(found["truth"])))
    for k, label in enumerate(labels):
        truth = found["truth"][:, k]
        own, best = ((found[name][:, k] - truth) ** 2 for name in ("mean", "best"))
        low = np.percentile(best[picks].mean(axis=1) / own[picks].mean(axis=1), 5)
        row = {
            "label": label,
            "R2": f"{1 - own.mean() / truth.var():.3f}",
            "possible": f"{1 - best.mean() / truth.var():.3f}",
            "efficiency": f"{best.mean() / own.mean():.3f} (above {low:.3f})",
        }
        for low_edge, high_edge in pairwise(SNR_EDGES[:-1]):
            some = (found["snr"] >= low_edge) & (found["snr"] < high_edge)
            if some.any():
                row[f"{low_edge:g}-{high_edge:g}"] = f"{best[some].mean() / own[some].mean():.2f}"
        rows.append(row)
    return rows


def holm(p_values: list[float]) -> list[float]:
    """Chances corrected for their number (Holm 1979)."""
    order, worst, corrected = np.argsort(p_values), 0.0, [0.0] * len(p_values)
    for rank, k in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[k]))
        corrected[k] = worst
    return corrected


def by_snr(found: dict[str, np.ndarray]) -> list[dict]:
    """Log score and TARP, pooled and by S/N."""
    n_label = found["truth"].shape[1]
    mean, width = found["mean"][:, :n_label], found["mean"][:, n_label:]
    reference = mean + BESIDE * width
    bins = [("all", np.ones(len(mean), dtype=bool))]
    for low, high in pairwise(SNR_EDGES[:-1]):
        some = (found["snr"] >= low) & (found["snr"] < high)
        if some.sum() >= 50:
            bins.append((f"{low:g}-{high:g}", some))
    chances = []
    for _, some in bins:
        draws, truth, beside = (
            x[some] / width[some].mean(axis=0) for x in (found["own"], found["truth"], reference)
        )
        chances.append(tarp(draws, truth, beside).p_value)
    corrected = [chances[0], *holm(chances[1:])]
    return [
        {
            "S/N": name,
            "n": int(some.sum()),
            "below the exact log score [nat]": f"{found['gap'][some].mean():.3f} ± "
            f"{found['gap'][some].std() / np.sqrt(some.sum()):.3f}",
            "TARP p": f"{chance:.3f}",
        }
        for (name, some), chance in zip(bins, corrected, strict=True)
    ]


def mask_of(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Pixels that are masked, uint32."""
    share = 0.2 if "20" in kind else 0.05
    if kind.startswith("random"):
        return (rng.random(shape) < share).astype(np.uint32)
    length = int(share * shape[1]) if kind.startswith("block") else 0
    start = rng.integers(0, shape[1] - length + 1, (shape[0], 1))
    at = np.arange(shape[1])
    return ((at >= start) & (at < start + length)).astype(np.uint32)


def masked(model: Predictor, split: Split, n: int) -> list[dict]:
    """Efficiency against the exact posterior mean, and coverage, of masked spectra."""
    truth, seen, rows = select_labels(split, model.labels)[:n], split.observe(slice(0, n)), []
    for kind in MASKS:
        mask = mask_of(kind, seen.flux.shape, np.random.default_rng(1))
        spectra = Observed(seen.wave, seen.flux, seen.error, mask)
        drawn = draw_posterior(model, spectra, N_DRAW)
        value, width = model.predict(seen.flux, seen.error, mask)
        own, best = (value - truth) ** 2, (drawn.moments()[0] - truth) ** 2
        row = {"mask": kind}
        for k, label in enumerate(model.labels):
            row[f"{label} efficiency"] = f"{best[:, k].mean() / own[:, k].mean():.3f}"
            row[f"{label} in 1σ"] = f"{np.mean(np.sqrt(own[:, k]) < width[:, k]):.3f}"
        row["effective draws"] = f"{np.median(drawn.efficiency):.0%}"
        rows.append(row)
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--stars", type=int, default=5000)
    parser.add_argument("--tell", type=int, default=600, help="Stars of the classifier.")
    parser.add_argument("--masked", type=int, default=1000)
    options = parser.parse_args()
    model, split = load_checkpoint(options.model), open_recorded(options.data).split("test")
    print(text_table(score_posterior(model, split).rows()), "\n", flush=True)
    found = draws_of(model, split, options.stars)
    print(text_table(efficiency(found, model.labels)), "\n")
    print(text_table(by_snr(found)), "\n")
    few = slice(0, options.tell)
    context = np.column_stack([found["mean"][few], np.log(found["snr"][few])])
    told = classifier_two_sample(found["own"][few, :N_TELL], found["exact"][few], context)
    print(f"Trees tell draws from exact ones: {told.accuracy:.3f} ± {told.error:.3f}\n")
    if options.masked:
        print(text_table(masked(model, split, options.masked)))


if __name__ == "__main__":
    main()
