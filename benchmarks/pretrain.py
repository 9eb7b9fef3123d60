"""How many labels a network saves that learned from spectra without them.

``python -m benchmarks.pretrain data.zarr`` pretrains the tiny masked network on the train split of
a data set, and compares at equal labels: its vectors (mean over tokens, and the token of
statistics), the first 64 principal components of the same spectra as the network gets them and as
it scales them, and the pixels themselves. All have the same two heads; beside them stands the exact
posterior mean. Made for 20,000, 2,000 and 2,000 stars. Time is counted in processor seconds of all
threads: half of them is the wall time of two idle cores.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.data_contract.text_tables import text_table
from starsmith.fisher.posterior.posterior_mean import posterior_mean
from starsmith.learners.pretrain.encoder import Encoder, open_encoder
from starsmith.learners.pretrain.recipes import load_pretraining
from starsmith.learners.pretrain.training import pretrain
from starsmith.simulator.generation.recorded import open_recorded, recorded_bank
from starsmith.simulator.prior import Prior

LABELS = ("teff", "logg", "m_h")
NUMBERS = (100, 500, 2000)
N_DRAW, N_COMPONENT, N_BOOTSTRAP = 2, 64, 500
PENALTIES = 10.0 ** np.arange(-3.0, 4.5, 0.5)  # of a labelled star
FOLDS = 4
PATIENCE, MOST_EPOCHS, BATCH = 10, 100, 64
OWN = "network, "  # begins the name of every input that the network makes
SPENT = "cpu.json"


def cpu_seconds() -> float:
    """Processor time of this process and of those it has waited for, all threads."""
    return sum(os.times()[:4])


@dataclass(frozen=True)
class Stars:
    """Inputs of some stars by kind, and their labels.

    Attributes
    ----------
    inputs : dict of str to float64 arrays, shape (n_star, n_input)
    labels : float64, shape (n_star, n_label)
    """

    inputs: dict[str, np.ndarray]
    labels: np.ndarray


@dataclass(frozen=True)
class Inputs:
    """Every way to see a spectrum.

    Attributes
    ----------
    encoder : Encoder
    plain, scaled : PCA
        Of spectra as the network gets them, and as its first step scales them.
    """

    encoder: Encoder
    plain: PCA
    scaled: PCA

    @classmethod
    def of(cls, encoder: Encoder, split: TrainingSplit) -> "Inputs":
        """Components of all spectra of a split, under their noise of record."""
        seen = split.observe()
        given = encoder.scaled(seen.flux, seen.error)
        fits = [
            PCA(N_COMPONENT, svd_solver="randomized", random_state=0).fit(spectra)
            for spectra in (given, unit(given)[0])
        ]
        return cls(encoder, fits[0], fits[1])

    def stars(self, split: TrainingSplit, rows: slice) -> Stars:
        """Inputs and labels of some stars under their noise of record."""
        seen = split.observe(rows)
        given = self.encoder.scaled(seen.flux, seen.error)
        shape, own = unit(given)
        inputs = {
            OWN + "mean": self.encoder.encode(seen.flux, seen.error, "mean"),
            OWN + "token": self.encoder.encode(seen.flux, seen.error, "token"),
            f"PCA-{N_COMPONENT}": self.plain.transform(given),
            f"PCA-{N_COMPONENT}, scaled": np.hstack([self.scaled.transform(shape), own]),
            "pixels": given,
        }
        labels = np.stack([split.label(name)[rows] for name in LABELS], axis=1)
        return Stars({k: v.astype(np.float64) for k, v in inputs.items()}, labels)


def unit(spectra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spectra at mean zero and variance one; their mean and log10 standard deviation."""
    mean, std = spectra.mean(1, keepdims=True), spectra.std(1, keepdims=True)
    return (spectra - mean) / std, np.hstack([mean, np.log10(std)])


def shares(spectra: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Share of the variance of scaled pixels that a cubic of labels explains, by labels given."""
    pixels = unit(spectra)[0]
    pixels = pixels - pixels.mean(0)
    total = float((pixels**2).sum())
    found = {}
    for names in (LABELS, tuple(name for name in LABELS if name != "logg")):
        columns = [labels[:, LABELS.index(name)] for name in names]
        terms = PolynomialFeatures(3).fit_transform(
            StandardScaler().fit_transform(np.stack(columns, axis=1))
        )
        basis, _ = np.linalg.qr(terms)
        # less what as many random columns would explain
        chance = basis.shape[1] / len(pixels)
        explained = float(((basis.T @ pixels) ** 2).sum()) / total
        found["+".join(names)] = (explained - chance) / (1 - chance)
    return found


def ridge(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Predictions of ridge regression whose penalty four folds choose, label by label."""

    def solutions(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
        centred, moved, target = x - x.mean(0), new - x.mean(0), y - y.mean(0)
        if x.shape[1] > len(x):  # fewer stars than inputs: their products
            values, left = np.linalg.eigh(centred @ centred.T)
            cross, projected = moved @ centred.T @ left, left.T @ target
        else:
            values, left = np.linalg.eigh(centred.T @ centred)
            cross, projected = moved @ left, left.T @ (centred.T @ target)
        some = np.maximum(values, 0.0) + PENALTIES[:, None] * len(x)
        return np.stack([y.mean(0) + cross @ (projected / row[:, None]) for row in some])

    folds = np.arange(len(x)) % FOLDS
    squared = np.zeros((len(PENALTIES), y.shape[1]))
    for fold in range(FOLDS):
        inside, outside = folds != fold, folds == fold
        found = solutions(x[inside], y[inside], x[outside])
        squared += ((found - y[outside]) ** 2).sum(axis=1)
    return solutions(x, y, new)[squared.argmin(0), :, np.arange(y.shape[1])].T


def mlp(x: np.ndarray, y: np.ndarray, new: np.ndarray, seed: int) -> np.ndarray:
    """Predictions of a network with two hidden layers, stopped by a fifth of the stars."""
    torch.manual_seed(seed)
    network = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], 128),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.2),
        torch.nn.Linear(128, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, y.shape[1]),
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    mean, std = y.mean(0), y.std(0)
    data = [torch.from_numpy(a).float() for a in (x, (y - mean) / std, new)]
    held = len(x) // 5
    best, answer, waited = np.inf, np.zeros((len(new), y.shape[1])), 0
    for _ in range(MOST_EPOCHS):
        network.train()
        for rows in (torch.randperm(len(x) - held) + held).split(BATCH):
            loss = ((network(data[0][rows]) - data[1][rows]) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            score = float(((network(data[0][:held]) - data[1][:held]) ** 2).mean())
            waited += 1
            if score < best:
                best, answer, waited = score, network(data[2]).numpy(), 0
        if waited >= PATIENCE:
            break
    return answer * std + mean


def squared_errors(train: Stars, test: Stars, number: int) -> Iterator[tuple[str, np.ndarray]]:
    """Squared errors of every kind of input and head, mean over draws of labelled stars."""
    heads: dict[str, Callable] = {"ridge": lambda x, y, new, seed: ridge(x, y, new), "MLP": mlp}
    for kind, everyone in train.inputs.items():
        mean, std = everyone.mean(0), everyone.std(0) + 1e-9
        new = (test.inputs[kind] - mean) / std
        for head, fitted in heads.items():
            total = np.zeros_like(test.labels)
            for draw in range(N_DRAW):
                rows = np.random.default_rng([number, draw]).permutation(len(everyone))[:number]
                x = (everyone[rows] - mean) / std
                total += (fitted(x, train.labels[rows], new, draw) - test.labels) ** 2
            yield f"{kind}, {head}", total / N_DRAW


def rows_of(found: dict[str, np.ndarray], truth: np.ndarray, number: int | str) -> list[dict]:
    """R² of every estimator with a 90 % interval over test stars, and what it gains on others."""
    picks = np.random.default_rng(0).integers(0, len(truth), (N_BOOTSTRAP, len(truth)))
    rows = []
    for name, squared in found.items():
        row: dict[str, object] = {"labels": number, "estimator": name}
        for k, label in enumerate(LABELS):
            spread = truth[picks, k].var(axis=1)
            drawn = 1 - squared[picks, k].mean(axis=1) / spread
            low, high = np.percentile(drawn, [5, 95])
            value = 1 - squared[:, k].mean() / truth[:, k].var()
            row[f"R2 {label}"] = f"{value:.3f} ({low:.3f} to {high:.3f})"
        rows.append(row)
    return rows


def gains(found: dict[str, np.ndarray], truth: np.ndarray, number: int) -> list[dict]:
    """R² of the network's vectors less those of other inputs, the best way each, star by star."""
    picks = np.random.default_rng(0).integers(0, len(truth), (N_BOOTSTRAP, len(truth)))
    rows = []
    for other in (f"PCA-{N_COMPONENT}", "pixels"):
        row: dict[str, object] = {"labels": number, "network less": other}
        for k, label in enumerate(LABELS):
            own, theirs = (
                min((s[:, k] for n, s in found.items() if n.startswith(kind)), key=np.mean)
                for kind in (OWN, other)
            )
            apart = (theirs - own)[picks].mean(axis=1) / truth[picks, k].var(axis=1)
            low, high = np.percentile(apart, [5, 95])
            value = (theirs - own).mean() / truth[:, k].var()
            row[f"R2 {label}"] = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
        rows.append(row)
    return rows


def pretrained(given: argparse.Namespace, view: TrainingView) -> tuple[Path, float, float]:
    """Run folder, validation loss and processor seconds of the network; trained once."""
    options = {k: json.loads(v) for k, _, v in (word.partition("=") for word in given.set)}
    start = cpu_seconds()
    recipe = load_pretraining("masked_tiny", epochs=given.epochs, options=options)
    result = pretrain("masked_tiny", view, recipe, given.out, device="cpu", progress=tell)
    spent = given.out.parent / f"{given.out.name}.{SPENT}"
    if not spent.exists():
        spent.write_text(json.dumps(cpu_seconds() - start))
    return result.path, result.metrics["val_loss"], json.loads(spent.read_text())


def main() -> None:
    """Pretrain, compare, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--bank", type=Path, help="by default the one the data were made with")
    parser.add_argument("--out", type=Path, default=Path("models/masked_tiny"))
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--set", action="append", default=[], help="option of the network, k=v")
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    dataset = open_recorded(given.data)
    view = dataset.training()
    folder, loss, spent = pretrained(given, view)
    inputs = Inputs.of(open_encoder(folder, device="cpu"), view.train)
    train = inputs.stars(view.train, slice(0, 2 * max(given.numbers)))
    test = inputs.stars(dataset.split("test"), slice(None))
    tables, differences = [], []
    for number in given.numbers:
        found = dict(squared_errors(train, test, number))
        rows, apart = rows_of(found, test.labels, number), gains(found, test.labels, number)
        print(f"{text_table(rows)}\n\n{text_table(apart)}\n", flush=True)
        tables, differences = tables + rows, differences + apart
    bank = load_bank(given.bank) if given.bank else recorded_bank(given.data)
    best = ceiling(bank, dataset.split("test"), test.labels)
    tables += rows_of({"exact posterior mean": best}, test.labels, "none")
    explained = shares(train.inputs["pixels"], train.labels)
    told = ", ".join(f"{name} {share:.4f}" for name, share in explained.items())
    print(
        f"Pretrained on {len(view.train)} spectra for {given.epochs} epochs, {spent:.0f} CPU s; "
        f"validation loss {loss:.4f}. Of the variance of scaled pixels a cubic of labels "
        f"explains: {told}\n\n{text_table(tables)}\n\n{text_table(differences)}"
    )
    if given.json:
        given.json.write_text(
            json.dumps({"cpu": spent, "rows": tables, "gains": differences}, indent=1)
        )


def ceiling(bank: Bank, test: Split, truth: np.ndarray) -> np.ndarray:
    """Squared errors of the exact posterior mean."""
    seen = test.observe()
    exact = posterior_mean(bank, Prior.default(), seen.flux, seen.error, test.draws.conditions)
    columns = [bank.label_names.index(name) for name in LABELS]
    return (exact.mean[:, columns] - truth) ** 2


def tell(row: dict) -> None:
    """One line an epoch."""
    if row.get("epoch"):
        print(row["epoch"], f"{row['train_loss']:.4f} {row['val_loss']:.4f}", flush=True)


if __name__ == "__main__":
    main()
