"""Everything a killed training run needs to go on, in one safetensors file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.learners.training.step import Stepper

__all__ = [
    "Ledger",
    "State",
    "load_state",
    "save_state",
    "state_of",
    "threads_before",
    "write_state",
]


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """How far a run has come.

    Attributes
    ----------
    epoch, step : int
        Completed.
    best_epoch : int
        Whose weights are in the checkpoint; 0 before the first.
    best_error : float
        Their validation error, in units of the labels' spread.
    seconds : float
        Wall-clock spent, over all parts of the run.
    threads : int
        Of a CPU; bits depend on them. 0 in runs of earlier versions.
    rows : tuple of dict
        One line of ``metrics.jsonl`` per epoch.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_error: float = float("inf")
    seconds: float = 0.0
    threads: int = 0
    rows: tuple[dict, ...] = ()


@dataclass(frozen=True)
class State:
    """A copy of everything that resuming needs.

    Attributes
    ----------
    tensors : dict of str to tensor
        On the CPU.
    texts : dict of str to str
    """

    tensors: dict[str, torch.Tensor]
    texts: dict[str, str]


def state_of(ledger: Ledger, networks: dict[str, nn.Module], stepper: Stepper) -> State:
    """Copy weights, optimizer moments, scale of the loss and ledger.

    Random numbers need no state: every epoch draws from its own key.
    """
    tensors = {
        # network and average of weights, each under its role
        f"{role}.{name}": value.detach().cpu().clone()
        for role, network in networks.items()
        for name, value in network.state_dict().items()
    }
    # Adam: step, first and second moment of each weight
    for index, moments in stepper.optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value).detach().cpu().clone()
    texts = {"ledger": asdict(ledger), "scaler": stepper.scaler.state_dict()}
    return State(tensors, {name: json.dumps(value) for name, value in texts.items()})


def write_state(path: Path, state: State) -> None:
    """Write a state in one step: whole, or not at all."""
    with staged_file(path) as partial:
        partial.write_bytes(save(state.tensors, metadata=state.texts))


def save_state(
    path: Path, ledger: Ledger, networks: dict[str, nn.Module], stepper: Stepper
) -> None:
    """Copy and write at once: `state_of`, then `write_state`."""
    write_state(path, state_of(ledger, networks, stepper))


def threads_before(path: Path) -> int:
    """Threads that a run was begun with; 0 where its file is absent, older or damaged."""
    try:
        with safe_open(path, framework="pt") as stored:
            return int(json.loads(stored.metadata()["ledger"])["threads"])
    except (OSError, SafetensorError, LookupError, TypeError, ValueError):
        return 0


def load_state(path: Path, networks: dict[str, nn.Module], stepper: Stepper) -> Ledger:
    """Fill networks and stepper from a file of `write_state`; an absent file is epoch 0.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    if not path.is_file():
        return Ledger()
    try:
        with safe_open(path, framework="pt") as stored:
            table, scaler = (json.loads(stored.metadata()[key]) for key in ("ledger", "scaler"))
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, LookupError, TypeError, ValueError) as problem:
        raise DataError(
            f"{path}: damaged ({problem}); the run cannot go on, --overwrite starts it anew"
        ) from None
    for role, network in networks.items():
        prefix = f"{role}."
        network.load_state_dict(
            {n[len(prefix) :]: v for n, v in tensors.items() if n.startswith(prefix)}
        )
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        role, _, rest = key.partition(".")
        if role == "optimizer":
            index, name = rest.split(".")
            moments.setdefault(int(index), {})[name] = value
    groups = stepper.optimizer.state_dict()["param_groups"]  # rates and decay come from the recipe
    stepper.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    if scaler:
        stepper.scaler.load_state_dict(scaler)
    return Ledger(**(table | {"rows": tuple(table["rows"])}))
