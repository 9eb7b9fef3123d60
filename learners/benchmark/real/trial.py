"""One experiment: a base trained on a source, every strategy judged on real stars by nested folds.

Outer folds judge: every star is predicted by a model that has seen neither it nor, in training,
any spectrum of it. Inside each outer fold a fifth of the other stars chooses learning rate and
epoch, the same stars for every strategy.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from starsmith.learners.preprocess import Statistics
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.train import fit
from starsmith.learners.training.network import NetworkEstimator
from starsmith.learners.transfer.base import Base, open_base
from starsmith.learners.transfer.finetune import RATES, Plan, finetune
from starsmith.learners.transfer.samples import Sample, training_view
from starsmith.learners.transfer.strategies import Strategy, list_strategies

__all__ = ["NAMED", "Settings", "Trial", "run_trial", "train_base"]

NAMED = "residual"
"""The strategy that was named before the test was run."""

N_FOLD = 5
VAL_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How networks are trained.

    Attributes
    ----------
    strategies : tuple of str
    rates : tuple of float
        Learning rates that every strategy chooses from.
    epochs, patience : int
        Of a fine-tuning.
    base_epochs : int
        Of the base.
    widths : tuple of int
        Of the MLP's layers.
    loss : str
        One with an uncertainty: coverage is judged, too.
    seed : int
        Of folds, weights and order.
    device : str or None
    """

    strategies: tuple[str, ...] = tuple(list_strategies())
    rates: tuple[float, ...] = RATES
    epochs: int = 100
    patience: int = 25
    base_epochs: int = 40
    widths: tuple[int, ...] = (1024, 512, 64)
    loss: str = "beta_nll"
    seed: int = 0
    device: str | None = None

    def plan(self, strategy: str) -> Plan:
        """Plan of one fine-tuning."""
        return Plan(
            strategy=Strategy(name=strategy),
            rates=self.rates,
            epochs=self.epochs,
            patience=self.patience,
            seed=self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of an experiment.

    Attributes
    ----------
    name, what : str
    labels : tuple of str
    stars : tuple of str
        Names.
    truth : float64 array, shape (n_star, n_label)
    fold : int array, shape (n_star,)
        Outer fold of each star.
    value, sigma : dict of str to float64 array, shape (n_star, n_label)
        By strategy.
    source : dict
        Validation scores of the base, numbers of stars.
    flagged : bool array, shape (n_star,)
        Whether the base calls a star's flux unlike its training set.
    flagged_after : bool array, shape (n_star,)
        Whether a model fine-tuned on the other folds does.
    n_learn : int
        Stars a fine-tuning learns from, and chooses by, about.
    """

    name: str
    what: str
    labels: tuple[str, ...]
    stars: tuple[str, ...]
    truth: np.ndarray
    fold: np.ndarray
    value: dict[str, np.ndarray]
    sigma: dict[str, np.ndarray]
    source: dict = field(default_factory=dict)
    flagged: np.ndarray | None = None
    flagged_after: np.ndarray | None = None
    n_learn: int = 0


def divide(n: int, n_part: int, seed: int) -> np.ndarray:
    """Part of each of ``n`` stars, drawn at random, of nearly equal sizes."""
    part = np.empty(n, dtype=np.int64)
    part[np.random.default_rng([seed, 11]).permutation(n)] = np.arange(n) % n_part
    return part


def train_base(source: Sample, settings: Settings, out: Path, notice: str = "") -> Base:
    """Train the MLP that everything begins with, a tenth of the source's stars choosing the epoch.

    Parameters
    ----------
    source : Sample
    settings : Settings
    out : Path
        Checkpoint folder.
    notice : str
    """
    part = divide(len(source), 10, settings.seed)
    view = training_view(source.take(part > 0), source.take(part == 0), notice)
    recipe = NetworkRecipe(
        loss=settings.loss,
        learning_rate=1e-3,
        batch_size=64,
        epochs=settings.base_epochs,
        weight_decay=1e-4,
        warmup=0.05,
        noise="fixed" if source.noise is None else "fresh",
        grad_clip=1.0,
        seed=settings.seed,
        options={"widths": settings.widths, "dropout": 0.1},
    )
    fit("mlp", view, source.label_names, recipe, out, device=settings.device)
    return open_base(out)


def run_trial(
    name: str,
    what: str,
    source: Sample,
    stars: Sample,
    settings: Settings,
    tell: Callable[[str], None] = lambda text: None,
    notice: str = "",
) -> Trial:
    """Train the base, then judge every strategy on the stars.

    Parameters
    ----------
    name, what : str
        Of the experiment, short and in words.
    source, stars : Sample
        On the same pixels; no star is in both.
    settings : Settings
    tell : callable
        Told what is done next.
    notice : str
        Of a demonstration grid.
    """
    fold = divide(len(stars), N_FOLD, settings.seed)
    shape = (len(stars), len(stars.label_names))
    value = {s: np.full(shape, np.nan) for s in settings.strategies}
    sigma = {s: np.full(shape, np.nan) for s in settings.strategies}
    after = np.zeros(len(stars), dtype=bool)
    with tempfile.TemporaryDirectory() as folder:
        tell(f"{name}: the base, {len(source)} stars")
        base = train_base(source, settings, Path(folder) / "base", notice)
        for k in range(N_FOLD):
            tell(f"{name}: fold {k + 1} of {N_FOLD}")
            inner = np.flatnonzero(fold != k)
            part = divide(inner.size, round(1 / VAL_SHARE), settings.seed + k)
            view = training_view(stars.take(inner[part > 0]), stars.take(inner[part == 0]))
            judged = stars.take(fold == k)
            for strategy in settings.strategies:
                done = finetune(base, view, settings.plan(strategy), device=settings.device)
                estimator = NetworkEstimator(done.network, base.uncertain)
                found = predictions(estimator, done.statistics, judged)
                value[strategy][fold == k], sigma[strategy][fold == k] = found
                if strategy == settings.strategies[0]:  # alike for all: of the stars learned from
                    after[fold == k] = unlike(done.statistics, judged)
    return Trial(
        name=name,
        what=what,
        labels=stars.label_names,
        stars=stars.names,
        truth=stars.labels,
        fold=fold,
        value=value,
        sigma=sigma,
        source={
            "n_star": len(source),
            "val_r2": base.card["metrics"]["val_r2"],
            "notice": notice,
        },
        flagged=unlike(Statistics.from_tensors(base.tensors), stars),
        flagged_after=after,
        n_learn=round(len(stars) * (1 - 1 / N_FOLD)),
    )


def predictions(
    estimator: NetworkEstimator, statistics: Statistics, stars: Sample
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and their 1σ, NaN of a network without."""
    seen = stars.observe()
    with torch.no_grad():
        scaled, width = estimator(statistics.normaliser.apply(seen.flux, seen.mask))
    value = statistics.scale.to_labels(scaled)
    if width is None:
        return value, np.full(value.shape, np.nan)
    return value, statistics.scale.to_uncertainty(width)


def unlike(statistics: Statistics, stars: Sample) -> np.ndarray:
    """Whether each star's flux is unlike the training set; see `starsmith.learners.typical`."""
    normaliser = statistics.normaliser
    if statistics.typical is None:
        return np.zeros(len(stars), dtype=bool)
    return statistics.typical.is_unlike(stars.observe(), normaliser.mean, normaliser.std)


def within(sample: Sample, spans: Sequence[tuple[float, float]]) -> Sample:
    """Stars whose labels lie inside ranges, one for each label."""
    low, high = np.array(spans).T
    inside = ((sample.labels >= low) & (sample.labels <= high)).all(axis=1)
    return sample.take(inside)


def without(sample: Sample, names: Sequence[str]) -> Sample:
    """Stars of other names."""
    taken = set(names)
    return sample.take(np.array([name not in taken for name in sample.names], dtype=bool))
