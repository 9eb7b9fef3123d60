"""Bring a trained network to other spectra: one strategy, one set of stars, an adapter folder."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.files.atomic import write_text
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.files.outside import read_json
from starsmith.learners.adapter import ADAPTER, is_adapter, of_labels, write_adapter
from starsmith.learners.checkpoint import make_card
from starsmith.learners.device import pick_device
from starsmith.learners.networks.residual import WithHead
from starsmith.learners.preprocess import (
    LabelScale,
    Normaliser,
    Statistics,
    select_labels,
)
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.train import load_if_small
from starsmith.learners.training.network import keyed_torch
from starsmith.learners.transfer.base import Base, load_base, open_base
from starsmith.learners.transfer.strategies import Strategy, Transferred, adapt
from starsmith.learners.transfer.target_views import (
    Strata,
    choose_stars,
    mapped,
    take,
)
from starsmith.learners.transfer.tuning import Tuned, tune_best

__all__ = ["PUBLISHED", "RATES", "Plan", "Transfer", "finetune"]

RATES = (1e-2, 1e-3, 1e-4, 1e-5)
"""Learning rates that every strategy chooses from."""

PUBLISHED = {"scratch": 1e-3, "linear_probe": 1e-3}
"""Rates of the LAMOST to DESI transfer paper; 1e-5 for every other strategy."""

TRIALS, REQUEST, METRICS = "trials", "request.json", "metrics.jsonl"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be learned from how many stars, and how.

    Attributes
    ----------
    strategy : Strategy
    labels : tuple of str
        Of the model that comes out; those of the base where empty.
    n : int, optional
        Stars to learn from; all of the train split by default.
    strata : Strata, optional
        Whose shares the choice of stars keeps.
    seed : int
        Of the stars that are chosen, what begins at random, and the order.
    wave_map, normaliser, label_scale : str
        ``exact``, ``interpolate`` or ``pixel``; ``base`` or ``own``.
    rates : tuple of float
        Learning rates to choose from on the validation stars.
    epochs, batch_size, patience : int
    weight_decay : float
    noise : str
        ``fresh`` draws noise anew for simulated stars, ``fixed`` keeps it.
    """

    strategy: Strategy
    labels: tuple[str, ...] = ()
    n: int | None = None
    strata: Strata | None = None
    seed: int = 0
    wave_map: str = "exact"
    normaliser: str = "base"
    label_scale: str = "base"
    rates: tuple[float, ...] = RATES
    epochs: int = 200
    batch_size: int = 32
    patience: int = 40
    weight_decay: float = 1e-4
    noise: str = "fresh"

    def __post_init__(self):
        for name in ("normaliser", "label_scale"):
            if getattr(self, name) not in ("base", "own"):
                flag = name.replace("_", "-")
                raise ConfigError(f"--{flag} {getattr(self, name)}: expected base or own")

    def published(self) -> "Plan":
        """The same with the rate, epochs and schedule of the LAMOST to DESI transfer paper."""
        rate = PUBLISHED.get(self.strategy.name, 1e-5)
        return replace(self, rates=(rate,), epochs=200, batch_size=32, patience=0)

    def recipe(self, loss: str) -> NetworkRecipe:
        """Recipe of one training; its rate is set for each."""
        return NetworkRecipe(
            loss=loss,
            learning_rate=self.rates[0],
            learning_rate_min=min(1e-5, *self.rates),
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            epochs=self.epochs,
            warmup=0.0,
            grad_clip=1.0,
            patience=self.patience,
            noise=self.noise,
            seed=self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What came out of a fine-tuning.

    Attributes
    ----------
    path : Path or None
        The adapter's folder.
    card : dict
    network : torch.nn.Module or None
        None where it was finished before and is only read.
    statistics : Statistics or None
    """

    path: Path | None
    card: dict
    network: nn.Module | None = None
    statistics: Statistics | None = None


def finetune(
    base: Base | Path | str,
    view: TrainingView,
    plan: Plan,
    out: Path | str | None = None,
    device: str | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> Transfer:
    """Fine-tune a network on the train split of a view, chosen on its val split.

    Parameters
    ----------
    base : Base or path
    view : TrainingView
    plan : Plan
    out : path, optional
        Folder of the adapter; one that holds the same request is continued or returned. Without
        it nothing is written.
    device : str, optional
    overwrite : bool
        Whether another adapter there is removed first.
    progress : callable
        Told what is done next.

    Raises
    ------
    ConfigError, DataError
        If base, data and plan do not fit.
    """
    base = base if isinstance(base, Base) else open_base(base)
    labels = check_labels(base, view, plan)
    target = mapped(view, base.wave, plan.wave_map, plan.noise == "fresh")
    if plan.wave_map == "pixel":
        target = replace(target, train=replace(target.train, wave=view.train.wave))
    n = len(target.train) if plan.n is None else plan.n
    if plan.strategy.name == "zero_shot":
        n = 0
    rows = choose_stars(target.train, n, plan.seed, plan.strata)
    if plan.strategy.name == "scratch" and not n:
        raise ConfigError("--strategy scratch --n 0: a network cannot be made of no star")
    if out is None:
        return _tuned(base, target, plan, labels, rows, device)
    out = Path(out)
    with writer_lock(out):
        found = _open_folder(out, base, view, plan, overwrite)
        if found is not None:
            return Transfer(path=out, card=found)
        load_if_small(view)
        progress(f"{plan.strategy.name}, {n} stars, seed {plan.seed}")
        result = _tuned(base, target, plan, labels, rows, device, out)
        shutil.rmtree(out / TRIALS, ignore_errors=True)
        return result


def check_labels(base: Base, view: TrainingView, plan: Plan) -> tuple[str, ...]:
    """Labels to learn; refuses those that data or base lack."""
    labels = plan.labels or tuple(base.card["labels"])
    if absent := [name for name in labels if name not in view.train.label_names]:
        asked = "was asked for" if plan.labels else "the base predicts"
        raise ConfigError(
            f"the data have no label {', '.join(absent)}, which {asked}; they have "
            f"{', '.join(view.train.label_names) or 'none'}: choose with --target"
        )
    for split in (view.train, view.val):
        for name in labels:
            if not len(split) or np.isnan(split.label(name)).all():
                raise DataError(f"label {name!r} is not known of any star of split {split.name!r}")
    plain = plan.strategy.new_head or plan.strategy.name == "scratch"
    if not plain and (unknown := sorted(set(labels) - set(base.card["labels"]))):
        raise ConfigError(
            f"--target {', '.join(unknown)}: the base predicts {', '.join(base.card['labels'])}; "
            "learn others with --new-head or --strategy scratch"
        )
    return labels


def _open_folder(
    out: Path, base: Base, view: TrainingView, plan: Plan, overwrite: bool
) -> dict | None:
    """Card of the finished adapter in a folder, or None once the folder is ready for one."""
    wanted = {
        "base": base.card["weights_sha256"],
        "dataset": view.digest,
        "plan": asdict(plan),
    }
    wanted = json.loads(json.dumps(wanted))
    if overwrite and (out / REQUEST).is_file():
        shutil.rmtree(out / TRIALS, ignore_errors=True)
        for name in (ADAPTER, REQUEST, METRICS, "adapter.safetensors", "statistics.safetensors"):
            (out / name).unlink(missing_ok=True)
    if (out / REQUEST).is_file():
        if read_json(out / REQUEST, advice="--overwrite it") != wanted:
            raise ConfigError(
                f"{out}: holds another fine-tuning; choose another --out, or --overwrite it"
            )
        return read_json(out / ADAPTER) if is_adapter(out) else None
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: exists and is no fine-tuning; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / REQUEST, json.dumps(wanted, indent=2) + "\n")
    return None


def starting_statistics(
    base: Base, view: TrainingView, plan: Plan, labels: tuple[str, ...]
) -> Statistics:
    """Input statistics and label scale: the base's, or measured on the stars to learn from."""
    fresh = plan.strategy.name == "scratch"
    own_labels = fresh or plan.strategy.new_head or plan.label_scale == "own"
    if fresh or plan.normaliser == "own":
        normaliser = Normaliser.fit(view.train)
    else:
        held = base.tensors
        normaliser = Normaliser.from_tensors(held)
    if own_labels:
        scale = LabelScale.fit(select_labels(view.train, labels), labels)
    else:
        held = of_labels(base.card, base.tensors, labels)[1]
        scale = LabelScale(held["target.mean"], held["target.std"])
    return Statistics(view.train.wave, normaliser, scale)


def starting_network(base: Base, plan: Plan, labels: tuple[str, ...], where: str) -> Transferred:
    """The network to begin with, prepared for its strategy; the same every time."""
    network = base.network(labels, plan.seed)
    if plan.strategy.name != "scratch":
        load_base(network, base, labels, plan.strategy.new_head)
    n_output = len(labels) * (1 + base.uncertain)
    n_wave = base.card["wave"]["n_wave"]
    with keyed_torch(torch.device("cpu"), plan.seed, 7):
        prepared = adapt(network, plan.strategy, n_wave, n_output)
    prepared.network.to(where)
    return prepared


def _tuned(
    base: Base,
    target: TrainingView,
    plan: Plan,
    labels: tuple[str, ...],
    rows: np.ndarray,
    device: str | None,
    out: Path | None = None,
) -> Transfer:
    """Train, and write the adapter if there is a folder for it."""
    view = replace(target, train=take(target.train, rows)) if len(rows) else target
    where = str(pick_device(device))
    statistics = starting_statistics(base, view, plan, labels)
    taught = view if len(rows) else replace(view, train=take(target.train, rows))
    recipe = plan.recipe(base.card["recipe"].get("loss", "mse"))
    tuned, trials = tune_best(
        lambda: starting_network(base, plan, labels, where),
        taught,
        labels,
        statistics,
        recipe,
        plan.rates,
        None if out is None else out / TRIALS,
    )
    statistics = statistics.typical_of(view)
    card = _card(base, view, plan, labels, tuned) | {"trials": trials, "n_train": len(rows)}
    if out is not None:
        card["base"]["relative"] = os.path.relpath(base.path.resolve(), out.resolve())
        text = "".join(json.dumps(row) + "\n" for row in tuned.rows)
        write_text(out / METRICS, text)
        trained = dict(tuned.prepared.trained())
        card = write_adapter(out, card, trained, statistics.tensors())
    network = tuned.prepared.network.eval()
    return Transfer(path=out, card=card, network=network, statistics=statistics)


def _card(
    base: Base, view: TrainingView, plan: Plan, labels: tuple[str, ...], tuned: Tuned
) -> dict:
    """Card of an adapter, with what the model's own has otherwise than the base's."""
    recipe = replace(
        plan.recipe(base.card["recipe"].get("loss", "mse")),
        learning_rate=tuned.rate or plan.rates[0],
        options=base.card["options"],
    )
    model = make_card(base.card["model"], labels, recipe, view)
    prepared, strategy = tuned.prepared, plan.strategy
    model["metrics"] = {"best_epoch": tuned.epoch, **tuned.scores}
    model["finished"] = {"reason": f"{strategy.name}; epoch {tuned.epoch} kept", "seconds": 0.0}
    model["n_parameters"] = prepared.n_total
    if isinstance(prepared.network, WithHead):
        model["residual"] = strategy.hidden
    kept = ("labels", "units", "recipe", "dataset", "wave", "limits", "versions", "metrics")
    kept += ("finished", "n_parameters", "residual")
    return {
        "strategy": asdict(strategy),
        "scale": strategy.alpha / strategy.rank,
        "new_head": strategy.new_head or strategy.name == "scratch",
        "labels": list(labels),
        "base": {
            "path": str(base.path.resolve()) if base.path else "",
            "weights_sha256": base.card["weights_sha256"],
            "model": base.card["model"],
        },
        "parameters": prepared.fractions(),
        "learning_rate": tuned.rate,
        "seed": plan.seed,
        "stratify": asdict(plan.strata) if plan.strata else None,
        "wave_map": plan.wave_map,
        "model_card": {name: model[name] for name in kept if name in model},
    }
