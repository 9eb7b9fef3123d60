"""A suite at another size: the same runs and comparisons, as small as they can be."""

from collections.abc import Mapping
from dataclasses import replace

from starsmith.learners.benchmark.suite import DataSpec, Run, Suite
from starsmith.learners.estimators.registry import kind_of, list_models
from starsmith.learners.recipe import PosteriorRecipe, TemplateRecipe, TreesRecipe

__all__ = ["SIZES", "sized"]

SIZES = ("full", "tiny")
N_TRAIN, N_VAL, N_TEST = 160, 40, 120
LEAST_TRAIN = 40
N_TEMPLATE = 1000
SAMPLES = 40
RATE = 2e-3  # of networks whose suite sets none
NETWORK = {
    "batch_size": 40,
    "warmup": 0.0,
    "precision": "float32",
    "epochs": 1,
    "epoch_size": N_TRAIN,
}
OTHERS: dict[type, dict[str, object]] = {
    TreesRecipe: {"rounds": 5, "n_leaves": 7},
    PosteriorRecipe: {"n_template": N_TEMPLATE, "n_local": 64},
    TemplateRecipe: {"every": 2, "iterations": 40},
}


def sized(suite: Suite, size: str) -> Suite:
    """Return a suite at a size.

    ``tiny`` tries every step of a suite within minutes on a laptop, and says nothing about
    models: some hundred spectra, a few steps, tiny networks in place of large ones. Its data
    sets, runs, tags and variants are the suite's.
    """
    if size == "full":
        return suite
    data = {name: _tiny_data(spec) for name, spec in suite.data.items()}
    runs = [_tiny_run(run, suite.data[run.data]) for run in suite.runs]
    names = {run.id: small.id for run, small in zip(suite.runs, runs, strict=True)}
    started = (replace(run, start=names[run.start]) if run.start else run for run in runs)
    return replace(
        suite,
        title=f"{suite.title}, at size tiny: a trial of the machinery",
        n_template=N_TEMPLATE,
        data=data,
        runs=tuple(started),
    )


def _tiny_data(spec: DataSpec) -> DataSpec:
    splits = {"train": N_TRAIN, "val": N_VAL, "test": N_TEST}
    return DataSpec(spec.name, dict(spec.options) | {"splits": splits})


def _tiny_run(run: Run, spec: DataSpec) -> Run:
    """The run on a tiny model and few spectra; the order of numbers of spectra is kept."""
    small = f"{run.model}_tiny"
    model = small if small in list_models() else run.model
    n_train = run.n_train
    if n_train:
        n_train = max(LEAST_TRAIN, round(n_train * N_TRAIN / spec.n_train))
    changes = dict(run.changes)
    if kind_of(model).is_network:
        changes = {"learning_rate": RATE} | changes | NETWORK
        if "published" in changes:
            changes["published"] = _tiny_switches(changes["published"])
    else:
        changes |= OTHERS.get(kind_of(model).recipe, {})
    return replace(
        run,
        model=model,
        id=run.id.replace(f"-{run.model}-", f"-{model}-"),
        n_train=n_train,
        samples=SAMPLES if run.samples else None,
        changes=changes,
    )


def _tiny_switches(switches: object) -> object:
    """Switches of ``[published]`` for a pool and shards that so few spectra fill."""
    if not isinstance(switches, Mapping):
        return switches
    pool = {"template_pool": LEAST_TRAIN * 4} if switches.get("template_pool") else {}
    return dict(switches) | pool
