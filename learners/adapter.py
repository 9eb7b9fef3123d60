"""Adapter folders: what a fine-tuning changed of a base model, and the model both make together.

``adapter.json`` says of which base (path and SHA-256 of its weights), ``adapter.safetensors``
holds the trained tensors and nothing else, ``statistics.safetensors`` what the model knows of its
input.

Names of tensors: ``set.NAME`` replaces a weight of the base; ``low_rank.NAME.A`` and ``.B`` are
added to it as alpha / rank B A; ``head.NAME`` is a residual head beside the network.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from starsmith.data_contract.checks.integrity import Finding
from starsmith.data_contract.checks.verify import Report
from starsmith.data_contract.errors import ContractError, DataError
from starsmith.data_contract.files.atomic import staged_file, write_text
from starsmith.data_contract.files.outside import read_file, read_json, regular_size
from starsmith.learners.card import check_card, check_tensors
from starsmith.learners.checkpoint import CARD, read_checkpoint, wave_hash

__all__ = [
    "ADAPTER",
    "combine",
    "is_adapter",
    "of_labels",
    "read_adapter",
    "read_model",
    "verify_adapter",
    "write_adapter",
]

ADAPTER, TENSORS, STATISTICS = "adapter.json", "adapter.safetensors", "statistics.safetensors"
SCHEMA, SCHEMA_VERSION = "starsmith.adapter", 1
PREFIX = "model."


def is_adapter(folder: Path | str) -> bool:
    """Whether a folder holds an adapter."""
    return (Path(folder) / ADAPTER).is_file()


def write_adapter(
    folder: Path, card: dict, trained: Mapping[str, np.ndarray], statistics: Mapping
) -> dict:
    """Write an adapter; the card comes last, so a card means a whole adapter. Returns the card.

    Parameters
    ----------
    folder : Path
    card : dict
        ``base`` with path and ``weights_sha256``, ``strategy``, ``model_card``: what the card of
        the model has that the base's has not.
    trained, statistics : mapping of str to array
    """
    folder.mkdir(parents=True, exist_ok=True)
    digests = {}
    for name, tensors in ((TENSORS, trained), (STATISTICS, statistics)):
        content = save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
        digests[name] = hashlib.sha256(content).hexdigest()
        with staged_file(folder / name) as partial:
            partial.write_bytes(content)
    card = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **card, "files": digests}
    write_text(folder / ADAPTER, json.dumps(card, indent=2) + "\n")
    return card


def read_adapter(
    folder: Path | str, base: Path | str | None = None
) -> tuple[dict, dict[str, np.ndarray]]:
    """Card and tensors of the model that an adapter and its base make together.

    Parameters
    ----------
    folder : path
    base : path, optional
        Where the base lies now, if it is no longer where the card says.

    Raises
    ------
    DataError
        If there is no adapter, its base is not found, or has other weights than it was made for.
    ContractError
        If a file is not the one the card was written for.
    """
    folder = Path(folder)
    card = _read_card(folder)
    trained, statistics = (_read_tensors(folder / n, card) for n in (TENSORS, STATISTICS))
    home = _base_folder(folder, card, base)
    base_card, base_tensors = read_checkpoint(home)
    if base_card["weights_sha256"] != card["base"]["weights_sha256"]:
        raise DataError(
            f"{home}: another base: its weights have SHA-256 {base_card['weights_sha256'][:12]}, "
            f"{folder} was made for {str(card['base']['weights_sha256'])[:12]}; give that one with "
            "--base, or fine-tune again"
        )
    try:
        return combine(base_card, base_tensors, card, trained, statistics)
    except (KeyError, ValueError, TypeError, AttributeError) as problem:
        raise ContractError(
            f"{folder}: does not fit its base ({type(problem).__name__}: {problem}); fine-tune "
            "again"
        ) from None


def read_model(folder: Path | str) -> tuple[dict, dict[str, np.ndarray]]:
    """Card and tensors of a checkpoint, or of an adapter with its base.

    Raises
    ------
    DataError
        Of a pretrained network too, which knows no label.
    """
    if is_adapter(folder):
        return read_adapter(folder)
    card, tensors = read_checkpoint(Path(folder))
    if not card["labels"]:
        raise DataError(
            f"{folder}: a pretrained network, which knows no label; open_encoder gives its vectors"
        )
    return card, tensors


def verify_adapter(folder: Path | str) -> Report:
    """Check files of an adapter against its card, and that they and its base make a model.

    Raises
    ------
    DataError
        If there is no adapter, or its base is not found or another.
    """
    folder, problems = Path(folder), []
    try:
        read_adapter(folder)
    except ContractError as problem:
        problems.append(Finding("", str(problem)))
    files = [folder / name for name in (ADAPTER, TENSORS, STATISTICS)]
    sizes = [regular_size(file) for file in files if file.is_file()]
    return Report(folder, problems, len(sizes), sum(sizes))


def _read_card(folder: Path) -> dict:
    if not is_adapter(folder):
        what = "a checkpoint, no adapter" if (folder / CARD).is_file() else "no adapter there"
        raise DataError(f"{folder}: {what}; give a folder that `speclearn finetune` wrote")
    card = read_json(folder / ADAPTER, advice="fine-tune again")
    found = (card.get("schema"), card.get("schema_version"))
    if found != (SCHEMA, SCHEMA_VERSION):
        raise DataError(
            f"{folder / ADAPTER}: found {found[0]} version {found[1]}, this starsmith reads "
            f"{SCHEMA} version {SCHEMA_VERSION}; fine-tune again with this version"
        )
    tables = all(isinstance(card.get(name), dict) for name in ("base", "files", "model_card"))
    texts = tables and all(
        isinstance(card["base"].get(name), str) for name in ("path", "weights_sha256")
    )
    if not texts:
        raise ContractError(f"{folder / ADAPTER}: entries are missing; fine-tune again")
    return card


def _read_tensors(path: Path, card: Mapping) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise ContractError(f"{path}: is missing; copy the folder again")
    content = read_file(path, regular_size(path))
    if hashlib.sha256(content).hexdigest() != card["files"].get(path.name):
        raise ContractError(f"{path}: not the file its card was written for; copy it again")
    try:
        return load(content)
    except (SafetensorError, TypeError, ValueError, LookupError) as problem:
        raise ContractError(f"{path}: damaged ({problem}); copy it again") from None


def _base_folder(folder: Path, card: Mapping, base: Path | str | None) -> Path:
    """Where the base is: given, beside the adapter as the card says, or at its full path."""
    if base is not None:
        return Path(base)
    told = card["base"]
    places = [folder / told.get("relative", told["path"]), Path(told["path"])]
    for place in places:
        if (place / CARD).is_file():
            return place.resolve()
    raise DataError(
        f"{folder}: its base is not at {told['path']}; give it with --base, or merge where it is"
    )


def of_labels(
    card: Mapping, tensors: Mapping[str, np.ndarray], labels: tuple[str, ...]
) -> tuple[dict, dict[str, np.ndarray]]:
    """A network's card and tensors for some of its labels: rows of its last layer.

    Raises
    ------
    DataError
        If the network does not predict one of them.
    """
    held = list(card["labels"])
    if tuple(held) == labels:
        return dict(card), dict(tensors)
    if absent := sorted(set(labels) - set(held)):
        raise DataError(
            f"the base predicts {', '.join(held)}, not {', '.join(absent)}; learn them with "
            "--new-head"
        )
    rows = np.array([held.index(name) for name in labels])
    tensors = dict(tensors)
    last = _head_of(tensors, len(held))
    n_output = tensors[last].shape[0]
    picked = rows if n_output == len(held) else np.concatenate([rows, len(held) + rows])
    for name in (last, last.replace("weight", "bias")):
        tensors[name] = tensors[name][picked]
    for name in ("target.mean", "target.std"):
        tensors[name] = tensors[name][rows]
    units = [card["units"][k] for k in rows]
    return {**card, "labels": list(labels), "units": units}, tensors


def _head_of(tensors: Mapping[str, np.ndarray], n_label: int) -> str:
    """Name of the last layer's weight; DataError where it cannot be told."""
    found = [
        name
        for name, value in tensors.items()
        if name.startswith(PREFIX) and value.ndim == 2 and len(value) in (n_label, 2 * n_label)
    ]
    named = [name for name in found if "head" in name] or found
    if len(named) != 1:
        raise DataError(
            "it cannot be told which layer of the base is its last; fine-tune all of its labels"
        )
    return named[0]


def combine(
    base_card: Mapping,
    base_tensors: Mapping[str, np.ndarray],
    card: Mapping,
    trained: Mapping[str, np.ndarray],
    statistics: Mapping[str, np.ndarray],
) -> tuple[dict, dict[str, np.ndarray]]:
    """Card and tensors of the model that base and trained tensors make together."""
    tensors = dict(base_tensors)
    if not card.get("new_head"):
        tensors = of_labels(base_card, tensors, tuple(card["model_card"]["labels"]))[1]
    tensors = {name: v for name, v in tensors.items() if name.startswith(PREFIX)}
    scale = np.float32(card.get("scale", 1.0))
    residual = any(name.startswith("head.") for name in trained)
    for key, value in sorted(trained.items(), reverse=True):  # set before low_rank
        role, name = key.split(".", 1)
        if role == "set":
            tensors[PREFIX + name] = value
        elif role == "low_rank" and name.endswith(".B"):
            place = PREFIX + name.removesuffix(".B")
            weight, inward = tensors[place], trained[f"{key.removesuffix('B')}A"]
            tensors[place] = weight + (scale * (value @ inward)).reshape(weight.shape)
    if residual:
        tensors = {f"{PREFIX}base.{n.removeprefix(PREFIX)}": v for n, v in tensors.items()}
        tensors |= {PREFIX + name: v for name, v in trained.items() if name.startswith("head.")}
    tensors |= statistics
    merged = {**base_card, **card["model_card"]}
    check_card(merged, "card of the adapter")
    check_tensors(merged, tensors, "tensors of the adapter")
    if wave_hash(tensors["wave"]) != merged["wave"]["sha256"]:
        raise ContractError("tensors of the adapter: not the wavelengths of its card")
    return merged, tensors
