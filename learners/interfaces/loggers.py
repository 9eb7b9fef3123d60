"""One callback for TensorBoard, Weights & Biases and MLflow: scores of a training as they come."""

from collections.abc import Callable, Mapping
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.spelling import suggestion

__all__ = ["LOGGERS", "training_logger"]

LOGGERS = ("tensorboard", "wandb", "mlflow")
Log = Callable[[dict[str, float], int], Any]


def training_logger(to: str | Log, folder: Path | str = "runs", name: str = "starsmith") -> Any:
    """Callback for ``fit(progress=...)`` that writes every number of an epoch.

    Parameters
    ----------
    to : str or callable
        ``tensorboard``, ``wandb``, ``mlflow``; or ``log(scores, step)`` of your own.
    folder : path
        Where TensorBoard and wandb write; where MLflow tracks is its own setting.
    name : str
        Of the run.

    Returns
    -------
    callback : callable
        Takes the dict that `fit` gives after every epoch; nested scores are named
        ``val_mae/logg``. What it is given between epochs it leaves out.

    Raises
    ------
    ConfigError
        If there is no such logger.
    ModuleNotFoundError
        If its library is not installed.
    """
    log = to if callable(to) else _log_of(to, Path(folder), name)

    def write(row: Mapping[str, Any]) -> None:
        if row.get("epoch") is not None:
            log(dict(_numbers(row)), int(row["epoch"]))

    return write


def _numbers(row: Mapping[str, Any], above: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for key, value in row.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{above}{key}/")
        elif isinstance(value, Real) and key != "epoch":
            found.append((f"{above}{key}", float(value)))
    return found


def _log_of(to: str, folder: Path, name: str) -> Log:
    if to == "tensorboard":
        writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder / name))

        def board(scores: dict[str, float], step: int) -> None:
            for key, value in scores.items():
                writer.add_scalar(key, value, step)
            writer.flush()

        return board
    if to == "wandb":
        run = import_module("wandb").init(dir=str(folder), name=name)
        return lambda scores, step: run.log(scores, step=step)
    if to == "mlflow":
        mlflow = import_module("mlflow")
        return lambda scores, step: mlflow.log_metrics(scores, step=step)
    raise ConfigError(f"no logger is called {to!r}{suggestion(to, LOGGERS)}; {', '.join(LOGGERS)}")
