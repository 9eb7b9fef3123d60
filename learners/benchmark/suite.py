"""Suites: which models are trained on which data, read from a TOML file."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import read_toml
from starsmith.data_contract.quantities import LABELS, SOMETIMES
from starsmith.learners.estimators.registry import kind_of
from starsmith.learners.networks import list_models
from starsmith.learners.published import AS_PUBLISHED
from starsmith.learners.recipe import NetworkRecipe, Recipe, load_recipe

__all__ = ["DataSpec", "Run", "Suite", "list_suites", "load_suite", "vars_of"]

SUITE_KEYS = {"title", "about", "targets", "n_template", "data", "runs"}
RUN_KEYS = {
    "tag",
    "model",
    "data",
    "seed",
    "n_train",
    "samples",
    "recipe",
    "targets",
    "start",
    "online",
    "set",
    "set_of",
    "variant",
    "switch",
}
LISTS = ("penalties",)
"""Recipe keys whose value is itself a list: not one run per entry."""


@dataclass(frozen=True)
class DataSpec:
    """A data set: its name and the options of ``specsim generate`` that make it."""

    name: str
    options: Mapping[str, object]

    @property
    def n_train(self) -> int:
        """Training spectra."""
        return int(self.options["splits"]["train"])

    @property
    def bounded(self) -> bool:
        """Whether there is a ceiling: not of stars that move or lie behind dust."""
        return not {*SOMETIMES} & set(self.options)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One model to be trained and scored.

    Attributes
    ----------
    id : str
        Names its folder; unique within the suite.
    tag : str
        Which comparison it belongs to.
    model, data : str
    seed : int
    targets : tuple of str
    n_train : int or None
        Only so many training spectra; all by default.
    samples : int or None
        Spectra seen in training, each with noise of its own: sets the number of epochs, so
        that runs on different numbers of spectra take equally many steps.
    recipe : str
        Packaged recipe, ``paper`` or a file.
    changes : mapping
        Keys that win over the recipe.
    variant : str
        What sets it apart from others of the same model, e.g. ``patch 32``.
    start : str
        Run whose weights it starts from, or empty.
    online : bool
        Draw training stars from the bank instead of the data set.
    """

    id: str
    tag: str
    model: str
    data: str
    seed: int
    targets: tuple[str, ...]
    n_train: int | None = None
    samples: int | None = None
    recipe: str
    changes: Mapping[str, object] = field(default_factory=dict)
    variant: str = ""
    start: str = ""
    online: bool = False

    @property
    def name(self) -> str:
        """Model, variant, and the seed if it is not the first."""
        seed = f"seed {self.seed}" if self.seed else ""
        apart = ", ".join(filter(None, [self.variant, seed]))
        return f"{self.model} ({apart})" if apart else self.model

    def resolve(self, n_data: int) -> Recipe:
        """Recipe of the run on a data set of ``n_data`` training spectra."""
        changes, kind = dict(self.changes), kind_of(self.model)
        if kind.is_network and self.samples:
            changes["epochs"] = max(1, math.ceil(self.samples / self.n_seen(n_data)))
        if "seed" not in changes and kind.uses_seed:
            changes["seed"] = self.seed
        return load_recipe(self.recipe, self.model, **changes)

    def n_seen(self, n_data: int) -> int:
        """Distinct training spectra of an epoch."""
        if self.online:
            return int(self.changes.get("epoch_size", NetworkRecipe().epoch_size))
        return min(self.n_train or n_data, n_data)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Data sets and runs of a benchmark.

    Attributes
    ----------
    name, title, about : str
    targets : tuple of str
        The first is the one the report is on.
    n_template : int
        Templates behind the exact ceiling.
    data : dict of str to DataSpec
    runs : tuple of Run
        In an order in which every run comes after the one it starts from.
    """

    name: str
    title: str
    about: str
    targets: tuple[str, ...]
    n_template: int
    data: dict[str, DataSpec]
    runs: tuple[Run, ...]


def list_suites() -> list[str]:
    """Names of the packaged suites."""
    folder = files("starsmith.learners.benchmark") / "suites"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name[-5:] == ".toml")


def load_suite(name_or_path: str | Path) -> Suite:
    """Read a packaged suite by name, or a TOML file by path.

    Raises
    ------
    ConfigError
        If there is none, or a key, model, data set or recipe in it is not understood.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in list_suites():
            raise ConfigError(
                f"--suite {name_or_path}: no such suite; choose one of "
                f"{', '.join(list_suites())}, or give a .toml file"
            )
        path = files("starsmith.learners.benchmark") / "suites" / f"{name_or_path}.toml"
    return suite_from_table(read_toml(path, ConfigError), str(Path(name_or_path).stem))


def suite_from_table(table: dict, name: str) -> Suite:
    """Build a suite from its keys; every list in a run stands for one run per entry."""
    _known(table, SUITE_KEYS, f"suite {name}")
    for key in ("data", "runs"):
        if not table.get(key):
            raise ConfigError(f"suite {name}: it has no [{key}]; see docs/evaluation.md")
    targets = tuple(table.get("targets", ("logg",)))
    if unknown := sorted(set(targets) - set(LABELS)):
        raise ConfigError(f"suite {name}: targets {unknown} are not labels")
    data = {key: DataSpec(key, options) for key, options in table["data"].items()}
    for spec in data.values():
        if "train" not in spec.options.get("splits", {}):
            raise ConfigError(f"suite {name}: [data.{spec.name}] needs splits.train, .val, .test")
    runs = [run for entry in table["runs"] for run in _expand(entry, targets, f"suite {name}")]
    _check_runs(runs, data, f"suite {name}")
    return Suite(
        name=name,
        title=table.get("title", name),
        about=table.get("about", ""),
        targets=targets,
        n_template=int(table.get("n_template", 40_000)),
        data=data,
        runs=tuple(runs),
    )


def _known(table: Mapping, known: set[str], where: str) -> None:
    if unknown := sorted(set(table) - known):
        raise ConfigError(f"{where}: unknown key(s) {unknown}; known are {sorted(known)}")


def _expand(entry: Mapping, targets: tuple[str, ...], where: str) -> Iterator[Run]:
    """Every combination of the lists in one entry of ``runs``."""
    _known(entry, RUN_KEYS, where)
    if missing := [key for key in ("tag", "model", "data") if key not in entry]:
        raise ConfigError(f"{where}: a run lacks {', '.join(missing)}")
    own = {key: value for key, value in entry.items() if key not in ("set", "set_of", "targets")}
    axes = {key: value if isinstance(value, list) else [value] for key, value in own.items()}
    settings = {k: v if isinstance(v, list) else [v] for k, v in _flat(entry.get("set", {}))}
    for chosen in itertools.product(*axes.values()):
        values = dict(zip(axes, chosen, strict=True))
        for picked in itertools.product(*settings.values()):
            changes = dict(zip(settings, picked, strict=True))
            changes |= dict(_flat(entry.get("set_of", {}).get(values["model"], {})))
            if "switch" in values:
                changes = _switched(values["switch"], where) | changes
            varied = [
                f"{key.split('.')[-1]} {changes[key]}" for key in settings if len(settings[key]) > 1
            ]
            varied += [values["switch"]] if "switch" in values and "variant" not in values else []
            varied += [f"n {values['n_train']}"] if len(axes.get("n_train", ())) > 1 else []
            variant = ", ".join(filter(None, [values.get("variant", ""), *varied]))
            yield _run(values, _nested(changes), variant, tuple(entry.get("targets", targets)))


def _switched(name: str, where: str) -> dict[str, object]:
    """Keys of a recipe that turn on one switch of ``[published]``, or ``all``."""
    every = asdict(AS_PUBLISHED)
    if name not in (*every, "all"):
        raise ConfigError(f"{where}: switch {name!r} is not all or one of {', '.join(every)}")
    return {f"published.{key}": value for key, value in every.items() if name in (key, "all")}


def _run(values: Mapping, changes: dict, variant: str, targets: tuple[str, ...]) -> Run:
    seed = int(values.get("seed", 0))
    parts = [values["tag"], values["model"], values["data"], variant, f"s{seed}"]
    run_id = "-".join("".join(c if c.isalnum() else "_" for c in p) for p in parts if p)
    same = f"{values['model']}-{{data}}-s{seed}"
    return Run(
        id=run_id,
        tag=values["tag"],
        model=values["model"],
        data=values["data"],
        seed=seed,
        targets=targets,
        n_train=values.get("n_train"),
        samples=int(values["samples"]) if "samples" in values else None,
        recipe=values.get("recipe", values["model"]),
        changes=changes,
        variant=variant,
        start=f"{values['start']}-{same}" if values.get("start") else "",
        online=bool(values.get("online", False)),
    )


def _flat(table: Mapping, prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", [value] if key in LISTS else value))
    return found


def _nested(flat: Mapping[str, object]) -> dict:
    nested: dict = {}
    for key, value in flat.items():
        group, dot, name = key.partition(".")
        if dot:
            nested.setdefault(group, {})[name] = value
        else:
            nested[key] = value
    return nested


def _check_runs(runs: list[Run], data: Mapping[str, DataSpec], where: str) -> None:
    seen: dict[str, Run] = {}
    for k, run in enumerate(runs):
        if run.model not in list_models():
            raise ConfigError(f"{where}: unknown model {run.model!r}; see `speclearn models`")
        if run.data not in data:
            raise ConfigError(f"{where}: run {run.id} is on {run.data!r}, not among {list(data)}")
        if run.id in seen:
            raise ConfigError(f"{where}: run {run.id} appears twice; give it a variant")
        if run.start and not kind_of(run.model).is_network:
            raise ConfigError(f"{where}: run {run.id}: only networks start from another's weights")
        if run.start:
            ends = run.start.split("{data}")
            found = [i for i in seen if i.startswith(ends[0]) and i.endswith(ends[1])]
            if len(found) != 1:
                raise ConfigError(
                    f"{where}: run {run.id} starts from {len(found)} runs above it; one is needed"
                )
            run = Run(**{**vars_of(run), "start": found[0]})
            runs[k] = run
        run.resolve(data[run.data].n_train)
        seen[run.id] = run


def vars_of(run: Run) -> dict:
    """Fields of a run by name."""
    return {name: getattr(run, name) for name in run.__dataclass_fields__}
