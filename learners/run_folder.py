"""The folder a training run writes: what it may contain, when it is continued or refused."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.files.atomic import sweep_partials, write_text
from starsmith.data_contract.files.outside import read_json
from starsmith.learners.checkpoint import CARD, CARD_SUM, WEIGHTS
from starsmith.learners.recipe import Recipe, recipe_to_table, recipe_to_toml

__all__ = [
    "BANK",
    "CERTIFICATE",
    "METRICS",
    "RESUME",
    "RUNNING",
    "TREES",
    "TrainingResult",
    "is_closed",
    "open_run",
    "remove_run",
    "result_from_card",
]

RUN, RECIPE, METRICS, RESUME, TREES, BANK = (
    "run.json",
    "recipe.toml",
    "metrics.jsonl",
    "state.safetensors",
    "trees",
    "bank.zarr",
)
CERTIFICATE = "certificate.json"
RUNNING = "running"
SPEED = ("compile", "cuda_graph")  # keys of a recipe that a continued run may change
OWN_FILES = (CARD, CARD_SUM, WEIGHTS, RUN, RECIPE, METRICS, RESUME, TREES, BANK, CERTIFICATE)


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What came out of a training run.

    Attributes
    ----------
    path : Path
        Checkpoint folder, ready for `load_checkpoint`.
    model : str
    labels : tuple of str
    metrics : dict
        Validation scores of the weights kept: ``val_mae``, ``val_rmse``, ``val_r2`` by label,
        in label units, and what was chosen (epoch, penalty, number of trees).
    stop_reason : str
        Why training ended.
    seconds : float
        Wall-clock spent training, over all resumed parts.
    """

    path: Path
    model: str
    labels: tuple[str, ...]
    metrics: dict
    stop_reason: str
    seconds: float


def open_run(
    out: Path,
    model: str,
    labels: tuple[str, ...],
    recipe: Recipe,
    view: TrainingView,
    resume: bool = True,
) -> None:
    """Prepare a run folder: new, one that holds the same run, or one to be emptied.

    Parameters
    ----------
    out : Path
    model, labels, recipe, view
        What is to be trained, on what.
    resume : bool
        If False, what another run left there is removed; files of others stay.

    Raises
    ------
    ConfigError
        If the folder holds a different run.
    DataError
        If the folder holds something else.
    """
    wanted = {
        "model": model,
        "labels": list(labels),
        "recipe": recipe_to_table(recipe),
        "dataset": view.digest,
    }
    wanted = json.loads(json.dumps(wanted))  # tuples become lists, as they will be read back
    for name in OWN_FILES:
        sweep_partials(out / name, alone=True)
    if (out / RUN).is_file() and resume:
        found = read_json(out / RUN, advice="--overwrite the run")
        if differing := [key for key in wanted if not _alike(found.get(key), wanted[key])]:
            raise ConfigError(
                f"{out}: holds a different run ({', '.join(differing)} differ from {RUN}); "
                f"choose another --out, or --overwrite it"
            )
        return
    if (out / RUN).is_file():
        remove_run(out)
    elif out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: exists and is not a training run; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / RUN, json.dumps(wanted, indent=2) + "\n")
    write_text(out / RECIPE, recipe_to_toml(recipe))


def _alike(found: object, wanted: object) -> bool:
    """Whether two entries of a run's file ask for the same, however fast."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        found, wanted = ({k: v for k, v in x.items() if k not in SPEED} for x in (found, wanted))
    return found == wanted


def remove_run(out: Path) -> None:
    """Remove what a run wrote, and nothing else."""
    for name in OWN_FILES:
        if (out / name).is_dir():
            shutil.rmtree(out / name)
        else:
            (out / name).unlink(missing_ok=True)


def is_closed(out: Path) -> bool:
    """Whether the run in a folder came to its end."""
    if not (out / CARD).is_file():
        return False
    finished = read_json(out / CARD, advice="--overwrite the run").get("finished")
    return isinstance(finished, dict) and finished.get("reason") != RUNNING


def result_from_card(out: Path, card: dict) -> TrainingResult:
    """Return the result of a run whose checkpoint is written."""
    return TrainingResult(
        path=out,
        model=card["model"],
        labels=tuple(card["labels"]),
        metrics=card["metrics"],
        stop_reason=card["finished"]["reason"],
        seconds=card["finished"]["seconds"],
    )
