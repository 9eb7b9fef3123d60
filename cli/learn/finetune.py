"""``speclearn finetune``: bring a trained network to other spectra."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.cli.shared.option_types import LABEL_NAMES, Count
from starsmith.cli.shared.progress import say
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.data_contract.dataset.reader import Dataset
    from starsmith.learners.transfer.finetune import Plan, Transfer

__all__ = ["FinetuneOptions", "finetune"]

STRATEGIES = ("zero_shot", "residual", "lora", "full", "scratch", "linear_probe", "bitfit")
WAVE_MAPS = ("exact", "interpolate", "pixel")


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    """Options of ``speclearn finetune``."""

    run: Path = argument(type=EXISTING)
    data: Path = argument(type=EXISTING)
    strategy: str = option(type=click.Choice(STRATEGIES), default="residual")
    out: Path | None = option(
        type=PATH,
        help="Adapter folder; of several seeds one folder each inside.  [default: RUN-STRATEGY]",
    )
    target: tuple[str, ...] = option(
        type=click.Choice(LABEL_NAMES), multiple=True, help="[default: the labels of RUN]"
    )
    n: int | None = option(
        "--n", type=click.IntRange(min=0), help="Stars to learn from.  [default: all of train]"
    )
    stratify: str | None = option(
        metavar="LABEL:EDGE",
        help="Keep the shares of stars below and above, and score both, e.g. fe_h:-1.",
    )
    seed: int = option(type=click.IntRange(min=0), default=0)
    seeds: int = option(type=Count(), default=1, help="Repeat with this many seeds.")
    rank: int = option(type=Count(), default=8, help="Of lora.")
    alpha: float | None = option(
        type=click.FloatRange(0, min_open=True),
        help="Of lora; alpha / rank is its scale.  [default: twice the rank]",
    )
    targets: str = option(
        default="all-but-last",
        help="Layers of lora: all, all-but-last, attention, mlp, convolution, recurrent, patterns.",
    )
    hidden: int = option(type=Count(), default=384, help="Units of the residual head.")
    new_head: bool = option(is_flag=True, help="Begin the last layer anew, for other labels.")
    freeze: tuple[str, ...] = option(
        multiple=True, metavar="PATTERN", help="Names of weights that stay; may be repeated."
    )
    wave_map: str = option(
        type=click.Choice(WAVE_MAPS),
        default="exact",
        help="How pixels of DATA become those of RUN.",
    )
    normaliser: str = option(type=click.Choice(("base", "own")), default="base")
    label_scale: str = option(type=click.Choice(("base", "own")), default="base")
    lr: tuple[float, ...] = option(
        "--lr",
        multiple=True,
        type=click.FloatRange(0, 10, min_open=True),
        help="Learning rates to choose from on val.  [default: 1e-2 1e-3 1e-4 1e-5]",
    )
    as_published: bool = option(
        is_flag=True, help="The rate and epochs of the LAMOST to DESI transfer paper."
    )
    epochs: int = option(type=Count(), default=200)
    batch_size: int = option(type=Count(), default=32)
    patience: int = option(type=click.IntRange(min=0), default=40)
    noise: str = option(
        type=click.Choice(("fresh", "fixed")), default="fresh", help="Of simulated stars."
    )
    test: Path | None = option(
        type=EXISTING, help="Data set whose test split is scored.  [default: DATA]"
    )
    apart: tuple[Path, ...] = option(
        type=EXISTING,
        multiple=True,
        help="Data RUN was trained on: refused if it holds test stars; may be repeated.",
    )
    device: str | None = device_option()
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()

    def plan(self) -> "Plan":
        """What is to be learned."""
        from starsmith.learners.transfer.finetune import RATES, Plan
        from starsmith.learners.transfer.strategies import Strategy
        from starsmith.learners.transfer.target_views import Strata

        strategy = Strategy(
            name=self.strategy,
            rank=self.rank,
            alpha=2.0 * self.rank if self.alpha is None else self.alpha,
            targets=self.targets,
            hidden=self.hidden,
            new_head=self.new_head,
            freeze=self.freeze,
        )
        plan = Plan(
            strategy=strategy,
            labels=self.target,
            n=self.n,
            strata=Strata.of_text(self.stratify) if self.stratify else None,
            seed=self.seed,
            wave_map=self.wave_map,
            normaliser=self.normaliser,
            label_scale=self.label_scale,
            rates=self.lr or RATES,
            epochs=self.epochs,
            batch_size=self.batch_size,
            patience=self.patience,
            noise=self.noise,
        )
        return plan.published() if self.as_published else plan

    def folder(self, seed: int) -> Path:
        """Where the adapter of a seed goes."""
        home = self.out or self.run.with_name(f"{self.run.resolve().name}-{self.strategy}")
        return home if self.seeds == 1 else home / f"seed-{seed}"


@click.command(
    cls=Command,
    examples=(
        "speclearn finetune vit/ stars.zarr --strategy lora --out vit-lora/",
        "speclearn finetune mlp/ desi.zarr --n 2069 --stratify fe_h:-1 --seeds 5",
        "speclearn finetune mlp/ stars.zarr --strategy full --wave-map interpolate --lr 1e-4",
    ),
    resume="the same command goes on where it stopped",
)
@takes(FinetuneOptions)
def finetune(options: FinetuneOptions) -> None:
    """Bring the network of checkpoint RUN to the spectra of DATA, and score it on its test stars.

    The adapter that is left in --out holds what was trained and nothing else; `speclearn predict`
    and `evaluate` take it as they take a checkpoint, `speclearn merge` makes one of it.
    """
    from starsmith.learners.transfer.base import open_base
    from starsmith.learners.transfer.finetune import finetune as tune
    from starsmith.simulator.generation.recorded import open_recorded

    plan, base = options.plan(), open_base(options.run)
    dataset = open_recorded(options.data)
    test = open_recorded(options.test) if options.test else dataset
    _refuse_leaks(options, dataset, test)
    rows, results = [], []
    for seed in range(options.seed, options.seed + options.seeds):
        one = replace(plan, seed=seed)
        result = tune(
            base,
            dataset.training(),
            one,
            options.folder(seed),
            options.device,
            options.overwrite,
            say,
        )
        entry = _scored(result, dataset, test, one, options)
        results.append(entry)
        rows += _rows(entry)
    if options.as_json:
        echo_json("speclearn.finetune", {"strategy": options.strategy, "seeds": results})
    else:
        click.echo(text_table(rows))
        click.echo(_told(results[0]))


def _refuse_leaks(options: FinetuneOptions, dataset: "Dataset", test: "Dataset") -> None:
    """Exit code 3 where test stars were learned from: now, or by the base."""
    from starsmith.data_contract.checks.leakage import find_shared, require_apart
    from starsmith.learners.transfer.groups import refuse_shared
    from starsmith.simulator.generation.recorded import open_recorded

    if "test" not in test.splits:
        return
    sets = {str(options.data): dataset}
    sets |= {str(path): open_recorded(path) for path in options.apart}
    learned = [
        (name, each.splits[split])
        for name, each in sets.items()
        for split in ("train", "val")
        if split in each.splits
    ]
    place = options.test or options.data
    refuse_shared(learned, test.splits["test"], str(place))
    for other in {*map(Path, sets)} - {place}:
        try:
            shared = find_shared([other, place])
        except DataError:  # a simulated and an observed set have nothing to compare
            continue
        require_apart([entry for entry in shared if f"{place} test" in (entry.first, entry.second)])


def _scored(
    result: "Transfer", dataset: "Dataset", test: "Dataset", plan: "Plan", options: FinetuneOptions
) -> dict:
    """Card of a fine-tuning, and scores on the test stars."""
    from starsmith.learners import load_checkpoint
    from starsmith.learners.preprocess import select_labels
    from starsmith.learners.transfer.groups import (
        below_edge,
        group_scores,
        predict_view,
        view_of_test,
    )
    from starsmith.learners.transfer.target_views import mapped

    card = result.card
    entry = {
        "out": str(result.path),
        **{n: card[n] for n in ("seed", "n_train", "learning_rate", "parameters", "trials")},
        "labels": card["labels"],
        "val": card["model_card"]["metrics"],
        "test": {},
    }
    if "test" not in test.splits:
        return entry
    predictor = load_checkpoint(result.path, options.device)
    view = view_of_test(dataset.training(), test.splits["test"])
    stars = mapped(view, predictor.wave, plan.wave_map).val
    labels = tuple(card["labels"])
    known = [name in stars.label_names for name in labels]
    if not all(known):
        return entry
    value = predict_view(predictor.estimator, predictor.statistics, stars)
    truth = select_labels(stars, labels)
    scores = group_scores(labels, truth, value, below_edge(stars, plan.strata))
    entry["test"] = {
        label: {
            group: {name: vars(interval) for name, interval in found.items()}
            for group, found in groups.items()
        }
        for label, groups in scores.items()
    }
    return entry


def _rows(entry: dict) -> list[dict]:
    """Lines of the table of one seed: a label each."""
    rows = []
    for label in entry["labels"]:
        row = {"seed": entry["seed"], "label": label, "n": entry["n_train"]}
        row |= {"lr": entry["learning_rate"], "R2 val": entry["val"]["val_r2"][label]}
        groups = entry["test"].get(label, {})
        for group, name in (("all", "R2 test"), ("below", "below"), ("above", "above")):
            if group == "all" or any("below" in found for found in entry["test"].values()):
                found = groups.get(group, {}).get("r2")
                row[name] = f"{found['value']:.3f} ± {found['error']:.3f}" if found else None
        if (offset := groups.get("all", {}).get("bias")) is not None:
            row["bias"] = f"{offset['value']:.3f} ± {offset['error']:.3f}"
        rows.append(row)
    return rows


def _told(entry: dict) -> str:
    """How many numbers were trained, and where the adapter is."""
    counts = entry["parameters"]
    return (
        f"{counts['n_trainable']:,} numbers trained: {counts['of_base']:.2%} of the base's "
        f"{counts['n_base']:,}, {counts['of_total']:.2%} of all {counts['n_total']:,}; "
        f"{entry['out']}"
    )
