"""Cells of the laboratory: one training each, kept in a file with truths, ceilings, predictions."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.data_contract.errors import DivergedError
from starsmith.data_contract.files.atomic import json_safe, write_text
from starsmith.data_contract.star_groups import METAL_POOR
from starsmith.learners.training.network import NetworkEstimator
from starsmith.learners.transfer.base import Base
from starsmith.learners.transfer.finetune import Plan, Transfer, finetune
from starsmith.learners.transfer.groups import predict_view
from starsmith.learners.transfer.landscape import filter_directions, loss_landscape
from starsmith.learners.transfer.samples import Sample, training_split, training_view
from starsmith.learners.transfer.strategies import Strategy
from starsmith.learners.transfer.target_views import keep_epochs, mapped

__all__ = ["Cell", "LabTarget", "gradients", "probes_of", "run_cell", "strategy_of"]

MOST_PROBED = 79  # metal-poor stars, as many as in the LAMOST to DESI paper
FEWEST_PROBED = 10
Cell = tuple[float, int, str, int]
"""g, n, strategy, seed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LabTarget:
    """Stars of a target, and what the exact posterior makes of those it is judged on.

    Attributes
    ----------
    view : TrainingView
        Stars to learn from and to choose by.
    test : TrainingSplit
        Stars it is judged on; its labels are the true ones.
    snr : float64 array, shape (n_test,)
    pipeline : float64 array, shape (n_test, n_label)
        Labels of the test stars as the survey's pipeline gives them.
    ceiling, free : float64 arrays, shape (n_test, n_label), or None
        Posterior means; with the continuum free. None of real stars.
    card : dict
        All that decides the stars.
    """

    view: TrainingView
    test: TrainingSplit
    snr: np.ndarray
    pipeline: np.ndarray
    ceiling: np.ndarray | None
    free: np.ndarray | None
    card: dict

    @classmethod
    def of_samples(
        cls,
        samples: tuple[Sample, Sample, Sample],
        pipeline: np.ndarray,
        ceilings: tuple[np.ndarray, np.ndarray],
        snr: np.ndarray,
        card: dict,
    ) -> "LabTarget":
        """Of train, val and test stars in memory, and the two ceilings of the last."""
        train, val, test = samples
        return cls(
            view=training_view(train, val),
            test=training_split(test, "test"),
            snr=snr,
            pipeline=pipeline,
            ceiling=ceilings[0],
            free=ceilings[1],
            card=card,
        )

    def at_hand(self, wave: np.ndarray, wave_map: str) -> "LabTarget":
        """The same for many trainings: brought to the base's pixels [vacuum Å] once.

        Simulated stars, all of which are learned from, have the noise of an epoch drawn once.
        """
        view, test = self.view, self.test
        if wave_map != "pixel":  # which needs the wavelengths of the target
            test = mapped(replace(view, val=test), wave, wave_map).val
            view = mapped(view, wave, wave_map)
        if self.ceiling is not None:
            view = replace(view, train=keep_epochs(view.train))
        return replace(self, view=view, test=test)


def strategy_of(text: str) -> Strategy:
    """``residual``, or with a size: ``residual-96`` (hidden units), ``lora-32`` (rank)."""
    name, _, size = text.partition("-")
    if not size.isdigit() or name not in ("residual", "lora"):
        return Strategy(name=text)
    if name == "residual":
        return Strategy(name=name, hidden=int(size))
    return Strategy(name=name, rank=int(size), alpha=2.0 * int(size))


def run_cell(
    plan: Plan, base: Base, target: LabTarget, cell: Cell, place: Path, device: str | None
) -> None:
    """Train one cell and write its file.

    Parameters
    ----------
    plan : Plan
    base : Base
    target : LabTarget
    cell : tuple
        What the file says it is.
    place : Path
    device : str, optional
    """
    rates = _at_rates(plan, base, target, device)
    done = min(rates, key=lambda each: each.card["model_card"]["metrics"]["val_error"])
    judged = replace(target.view, val=target.test)
    stars = mapped(judged, base.wave, plan.wave_map).val
    labels = tuple(done.card["labels"])
    order = [stars.label_names.index(name) for name in labels]
    values = [
        predict_view(NetworkEstimator(each.network, base.uncertain), each.statistics, stars)
        for each in rates
    ]
    value = values[rates.index(done)]
    content = {
        "cell": dict(zip(("g", "n", "strategy", "seed"), cell, strict=True)),
        "target": target.card,
        "rate": done.card["learning_rate"],
        "trials": [line for each in rates for line in each.card["trials"]],
        "parameters": done.card["parameters"],
        "labels": list(labels),
        "snr": target.snr.tolist(),
        "truth": target.test.labels[:, order].tolist(),
        "pipeline": target.pipeline[:, order].tolist(),
        "value": value.tolist(),
        "digest": hashlib.sha256(np.ascontiguousarray(value)).hexdigest(),
    }
    if len(rates) > 1:
        content["by_rate"] = [
            {"rate": each.card["trials"][0]["rate"], "value": v.tolist()}
            for each, v in zip(rates, values, strict=True)
        ]
    for name, found in (("ceiling", target.ceiling), ("free", target.free)):
        content[name] = None if found is None else found[:, order].tolist()
    if cell[3] == 0 and "m_h" in labels:
        content["learned"] = target.view.train.labels[: max(plan.n or 0, 1), order].tolist()
        content["probes"] = probes_of(done, stars, labels.index("m_h"))
    place.parent.mkdir(exist_ok=True)
    write_text(place, json.dumps(json_safe(content)) + "\n")


def _at_rates(plan: Plan, base: Base, target: LabTarget, device: str | None) -> list[Transfer]:
    """The fine-tuning; of the first seed of scratch one at each learning rate, none that diverged.

    The best of them is what all rates in one fine-tuning come to.
    """
    if plan.strategy.name != "scratch" or plan.seed:
        return [finetune(base, target.view, plan, device=device)]
    found: list[Transfer] = []
    problem: DivergedError | None = None
    for rate in plan.rates:
        try:
            found.append(finetune(base, target.view, replace(plan, rates=(rate,)), device=device))
        except DivergedError as trouble:
            problem = trouble
    if problem is not None and not found:
        raise problem
    return found


def probes_of(done: Transfer, stars: TrainingSplit, column: int) -> Mapping[str, object]:
    """Loss landscape and saliency of [M/H] over metal-poor test stars; empty of too few.

    ``saliency`` is |d [M/H] / d flux over its median|, its median and 16th and 84th percentile.
    """
    k = stars.label_names.index("m_h")
    poor = np.flatnonzero(stars.labels[:, k] < METAL_POOR)[:MOST_PROBED]
    if len(poor) < FEWEST_PROBED:
        return {}
    seen, statistics = stars.observe(poor), done.statistics
    inputs = torch.from_numpy(statistics.normaliser.apply(seen.flux, seen.mask)).float()
    network = done.network.cpu().eval()
    truth = torch.from_numpy(stars.labels[poor, k])
    scale, offset = statistics.scale.std[column], statistics.scale.mean[column]

    def loss(model: torch.nn.Module) -> float:
        value = model(inputs)[:, column].double() * scale + offset
        return float((value - truth).square().mean())

    found: dict[str, object] = {"n": len(poor)}
    if any(weight.requires_grad for weight in network.parameters()):
        step, values = loss_landscape(network, loss, filter_directions(network, 0))
        found["landscape"] = {"step": step.tolist(), "loss": values.tolist()}
    slope = gradients(network, inputs, column) * scale / statistics.normaliser.std
    spectrum = seen.flux / np.median(seen.flux, axis=1, keepdims=True)
    found["saliency"] = {"wave": statistics.wave.tolist(), **percentiles(np.abs(slope))}
    return found | {"spectrum": percentiles(spectrum)}


def gradients(network: torch.nn.Module, inputs: torch.Tensor, column: int) -> np.ndarray:
    """D output / d input of every spectrum, float64 (n_spec, n_wave)."""
    inputs = inputs.clone().requires_grad_(True)
    with torch.backends.cudnn.flags(enabled=False):  # recurrent layers differentiate without it
        (slope,) = torch.autograd.grad(network(inputs)[:, column].sum(), inputs)
    return slope.double().numpy()


def percentiles(values: np.ndarray) -> dict[str, list[float]]:
    """Median, and 16th and 84th percentile over spectra."""
    low, median, high = np.percentile(values, [16.0, 50.0, 84.0], axis=0)
    return {"low": low.tolist(), "median": median.tolist(), "high": high.tolist()}
