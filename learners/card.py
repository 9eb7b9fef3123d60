"""What a checkpoint's card must hold, checked before anything of it is used."""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from starsmith.data_contract.errors import ContractError
from starsmith.data_contract.quantities import LABELS, UNITS

__all__ = ["PRETRAINED", "check_card", "check_tensors"]

MOST_PIXELS = 10**7
PRETRAINED = "pretrain"
"""Kind of checkpoint that knows spectra and no label."""


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _span(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_number, value))


def _table(value: object) -> bool:
    return isinstance(value, dict)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


ENTRIES: dict[str, Callable[[object], bool]] = {
    "kind": _text,
    "model": _text,
    "options": _table,
    "labels": lambda value: _texts(value) and len(value) == len(set(value)),
    "units": _texts,
    "recipe": _table,
    "recipe.kind": _text,
    "dataset": _table,
    "dataset.digest": _text,
    "dataset.notice": _text,
    "dataset.n_train": _count,
    "dataset.n_val": _count,
    "wave": _table,
    "wave.n_wave": lambda value: _count(value) and 0 < value <= MOST_PIXELS,
    "wave.min": _number,
    "wave.max": _number,
    "wave.sha256": _text,
    "limits": _table,
    "limits.labels": lambda value: _table(value) and all(map(_span, value.values())),
    "limits.snr": _span,
    "versions": _table,
    "metrics": _table,
    "finished": _table,
    "finished.reason": _text,
    "weights_sha256": _text,
}
"""Entry of every card, dotted where it lies in a table -> whether a value may be its."""

SOMETIMES = {
    "n_parameters": _count,
    "ranges": lambda value: _table(value) and all(map(_span, value.values())),
    "bank": _text,
    "degree": _count,
    "residual": _count,
    "files": lambda value: _table(value) and all(map(_table, value.values())),
}


def check_card(card: Mapping, name: str) -> None:
    """Check the types and the labels of a card.

    Raises
    ------
    ContractError
        Naming, for the file ``name``, every entry that is missing or not what it should be.
    """
    problems = list(_problems(card))
    if problems:
        raise ContractError(
            f"{name}: {', '.join(problems[:5])}; copy the folder again or fit the model again"
        )


def _problems(card: Mapping) -> Iterator[str]:
    for entry, fits in ENTRIES.items():
        table, _, key = entry.rpartition(".")
        holder = card.get(table) if table else card
        if isinstance(holder, dict) and key not in holder:
            yield f"{entry} is missing"
        elif isinstance(holder, dict) and not fits(holder[key]):
            yield f"{entry} is {str(holder[key])[:40]!r}"
    for entry, fits in SOMETIMES.items():
        if entry in card and not fits(card[entry]):
            yield f"{entry} is {str(card[entry])[:40]!r}"
    labels, units = card.get("labels"), card.get("units")
    if labels == [] and card.get("kind") != PRETRAINED:
        yield "labels is '[]'"
    if _texts(labels) and _texts(units):
        if unknown := sorted(set(labels) - set(LABELS)):
            yield f"labels {unknown} are not among {LABELS}"
        elif units != [UNITS[label] for label in labels]:
            yield f"units {units} are not those of its labels"


def check_tensors(card: Mapping, tensors: Mapping[str, np.ndarray], name: str) -> None:
    """Check that the arrays of a checkpoint fit its card and are finite.

    Raises
    ------
    ContractError
        Naming, for the file ``name``, the first array that is missing, misshapen or not finite.
    """
    n_wave, n_label = card["wave"]["n_wave"], len(card["labels"])
    shapes = {
        "wave": (n_wave,),
        "normaliser.mean": (n_wave,),
        "normaliser.std": (n_wave,),
        "target.mean": (n_label,),
        "target.std": (n_label,),
    }
    for key, shape in shapes.items():
        found = tensors.get(key)
        if found is None or found.shape != shape or found.dtype.kind != "f":
            what = "missing" if found is None else f"{found.dtype} {found.shape}"
            raise ContractError(f"{name}: {key} is {what}, expected {shape}; fit the model again")
    if "fwhm" in tensors and tensors["fwhm"].shape != (n_wave,):
        raise ContractError(f"{name}: fwhm is {tensors['fwhm'].shape}, expected ({n_wave},)")
    for key, values in tensors.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ContractError(f"{name}: {key} holds NaN or infinity; fit the model again")
    for key in ("normaliser.std", "target.std"):
        if not (tensors[key] > 0).all():
            raise ContractError(f"{name}: {key} is not positive; fit the model again")
    if np.any(np.diff(tensors["wave"]) == 0) or not (tensors["wave"] > 0).all():
        raise ContractError(f"{name}: wave is no wavelength grid; fit the model again")
