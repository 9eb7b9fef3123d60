"""A chain of stages: what one stage leaves is the base of the next, and no test star is learned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from starsmith.data_contract.dataset.reader import Dataset
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import read_toml
from starsmith.learners.checkpoint import CARD
from starsmith.learners.transfer.finetune import Plan, Transfer, finetune
from starsmith.learners.transfer.groups import refuse_shared
from starsmith.learners.transfer.merge import merge
from starsmith.learners.transfer.strategies import Strategy
from starsmith.learners.transfer.target_views import Strata

__all__ = ["Chain", "Stage", "read_chain", "run_chain"]

OF_STRATEGY = {field.name for field in fields(Strategy)} - {"name"}
OF_PLAN = {field.name for field in fields(Plan)} - {"strategy", "strata"}
OPTIONS = {"lr": "rates", "target": "labels"}  # of `speclearn finetune` -> lists of a plan
OF_STAGE = {"name", "data", "strategy", "stratify", "as_published", *OPTIONS} | OF_STRATEGY
OF_STAGE |= OF_PLAN - {*OPTIONS.values()}


@dataclass(frozen=True)
class Stage:
    """One fine-tuning of a chain.

    Attributes
    ----------
    name : str
        Of its folder.
    data : Path
    plan : Plan
    """

    name: str
    data: Path
    plan: Plan


@dataclass(frozen=True)
class Chain:
    """A base and the stages it goes through.

    Attributes
    ----------
    base : Path
    trained_on : tuple of Path
        Data sets the base has learned from, where they are at hand.
    stages : tuple of Stage
    """

    base: Path
    trained_on: tuple[Path, ...]
    stages: tuple[Stage, ...]


def read_chain(path: Path) -> Chain:
    """Read a chain; its paths are seen from its own folder.

    Raises
    ------
    ConfigError
        If a key is missing, unknown or holds what it cannot.
    """
    table = read_toml(path, ConfigError)
    if unknown := sorted(set(table) - {"base", "trained_on", "stage"}):
        raise ConfigError(f"{path}: unknown keys {unknown}; known are base, trained_on, [[stage]]")
    base, stages = table.get("base"), table.get("stage")
    if not (isinstance(base, str) and isinstance(stages, list) and stages):
        raise ConfigError(f"{path}: give base, a checkpoint's folder, and one [[stage]] at least")
    trained = table.get("trained_on", [])
    if not (isinstance(trained, list) and all(isinstance(name, str) for name in trained)):
        raise ConfigError(f"{path}: trained_on = {trained!r}; expected a list of data sets")
    home = path.parent
    found = tuple(_stage(entry, home, f"{path}, stage {k + 1}") for k, entry in enumerate(stages))
    names = [stage.name for stage in found]
    if len(set(names)) < len(names):
        raise ConfigError(f"{path}: stages {names}; give every stage a name of its own")
    if early := [one.name for one in found[:-1] if one.plan.strategy.name == "residual"]:
        raise ConfigError(
            f"{path}: stage {early[0]!r} adds a residual head, which no stage can follow; make it "
            "the last one, or give it another strategy"
        )
    return Chain(home / base, tuple(home / name for name in trained), found)


def _stage(entry: object, home: Path, origin: str) -> Stage:
    if not isinstance(entry, dict):
        raise ConfigError(f"{origin}: write stages as [[stage]]")
    if unknown := sorted(set(entry) - OF_STAGE):
        raise ConfigError(f"{origin}: unknown keys {unknown}; known are {sorted(OF_STAGE)}")
    entry = {"strategy": "residual"} | entry
    if missing := [n for n in ("name", "data", "strategy") if not isinstance(entry.get(n), str)]:
        raise ConfigError(f"{origin}: {', '.join(missing)} is missing or no text")
    if Path(entry["name"]).name != entry["name"] or entry["name"] in (".", ".."):
        raise ConfigError(f"{origin}: name {entry['name']!r} is no name of a folder")
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}
    for option in given.keys() & OPTIONS.keys():
        value = given.pop(option)
        given[OPTIONS[option]] = value if isinstance(value, tuple) else (value,)
    try:
        strategy = Strategy(
            name=given["strategy"], **{k: v for k, v in given.items() if k in OF_STRATEGY}
        )
        strata = Strata.of_text(given["stratify"]) if "stratify" in given else None
        own = {key: value for key, value in given.items() if key in OF_PLAN}
        plan = Plan(strategy=strategy, strata=strata, **own)
        plan.recipe("mse")  # its numbers are looked at there
    except (TypeError, AttributeError) as problem:
        raise ConfigError(f"{origin}: {problem}") from None
    plan = plan.published() if given.get("as_published") is True else plan
    return Stage(given["name"], home / given["data"], plan)


def refuse_leaks(chain: Chain, open_data: Callable[[Path], Dataset]) -> None:
    """Refuse a chain in which any stage learns from test stars of any stage.

    Raises
    ------
    LeakError
    """
    sets = {path: open_data(path) for path in (*chain.trained_on, *_data_of(chain.stages))}
    learned = [
        (str(path), dataset.splits[name])
        for path, dataset in sets.items()
        for name in ("train", "val")
        if name in dataset.splits
    ]
    for path in _data_of(chain.stages):
        if "test" in sets[path].splits:
            refuse_shared(learned, sets[path].splits["test"], str(path))


def refuse_too_few(chain: Chain, open_data: Callable[[Path], Dataset]) -> None:
    """Refuse a chain with a stage of more stars than its data have.

    Raises
    ------
    ConfigError
    """
    for stage in chain.stages:
        stars = open_data(stage.data).splits.get("train", ())
        if (stage.plan.n or 0) > len(stars):
            raise ConfigError(
                f"stage {stage.name!r}: n = {stage.plan.n}, but the train split of {stage.data} "
                f"has {len(stars)} stars"
            )


def _data_of(stages: Sequence[Stage]) -> list[Path]:
    return list(dict.fromkeys(stage.data for stage in stages))


def run_chain(
    chain: Chain,
    out: Path,
    open_data: Callable[[Path], Dataset],
    device: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Mapping[str, Transfer]:
    """Go through the stages; those that are done are kept, one that was killed goes on.

    Stage NAME leaves its adapter in ``OUT/NAME`` and the model it makes in ``OUT/NAME-merged``,
    which is the base of the next.

    Parameters
    ----------
    chain : Chain
    out : Path
    open_data : callable
        Opens a data set.
    device : str, optional
    tell : callable

    Raises
    ------
    LeakError
        If a stage would learn from test stars.
    ConfigError
        If a stage asks for more stars than there are; nothing is trained before.
    """
    refuse_leaks(chain, open_data)
    refuse_too_few(chain, open_data)
    base, results = chain.base, {}
    for stage in chain.stages:
        tell(f"stage {stage.name}")
        view = open_data(stage.data).training()
        results[stage.name] = finetune(
            base, view, stage.plan, out / stage.name, device, progress=tell
        )
        merged = out / f"{stage.name}-merged"
        if not (merged / CARD).is_file():
            merge(out / stage.name, merged)
        base = merged
    return results
