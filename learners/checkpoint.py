"""Checkpoint folders: weights as safetensors, everything else in a readable card."""

import hashlib
import json
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ContractError, DataError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.quantities import UNITS
from starsmith.learners.preprocess import Statistics
from starsmith.learners.recipe import Recipe, recipe_to_table

__all__ = [
    "CARD",
    "SCHEMA",
    "SCHEMA_VERSION",
    "WEIGHTS",
    "make_card",
    "read_checkpoint",
    "wave_hash",
    "write_checkpoint",
]

SCHEMA, SCHEMA_VERSION = "starsmith.checkpoint", 1
CARD, WEIGHTS = "card.json", "model.safetensors"
NORMALISATION = (
    "flux over the median of its unmasked pixels; per pixel less the mean of the training "
    "spectra, over their standard deviation; masked pixels are that mean"
)
PACKAGES = ("starsmith", "numpy", "scipy", "torch", "lightgbm", "safetensors")


def wave_hash(wave: np.ndarray) -> str:
    """SHA-256 of a wavelength grid rounded to 1e-6 Å, so that it survives a text file."""
    return hashlib.sha256(np.round(np.asarray(wave) * 1e6).astype("<i8").tobytes()).hexdigest()


def installed(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of the packages that are installed."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def make_card(model: str, labels: tuple[str, ...], recipe: Recipe, view: TrainingView) -> dict:
    """Describe a model before it is trained: what it is, and what it may be used for.

    Parameters
    ----------
    model : str
    labels : tuple of str
    recipe : Recipe
    view : TrainingView

    Returns
    -------
    card : dict
        The checkpoint's card but for ``metrics``, ``finished`` and ``weights_sha256``.
    """
    train, wave = view.train, view.train.wave
    spans = {name: _span(train.label(name)) for name in train.label_names}
    table = recipe_to_table(recipe)
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "kind": table["kind"],
        "model": model,
        "options": table.get("options", {}),
        "labels": list(labels),
        "units": [UNITS[name] for name in labels],
        "recipe": table,
        "dataset": {
            "digest": view.digest,
            "notice": view.notice,
            "n_train": len(train),
            "n_val": len(view.val),
            "versions": view.versions,
        },
        "normalisation": NORMALISATION,
        "wave": {
            "n_wave": int(wave.size),
            "min": float(wave[0]),
            "max": float(wave[-1]),
            "unit": UNITS["wave"],
            "sha256": wave_hash(wave),
        },
        "limits": {"labels": spans, "snr": _span(train.snr), "velocity": list(train.velocity)},
        "versions": installed(PACKAGES) | {"python": platform.python_version()},
    }


def _span(values: np.ndarray) -> list[float]:
    return [float(np.nanmin(values)), float(np.nanmax(values))]


def write_checkpoint(
    folder: Path, card: dict, weights: dict[str, np.ndarray], statistics: Statistics
) -> None:
    """Write weights and card; the card comes last, so a card means a whole checkpoint.

    Both are on the disk before the checkpoint that was there gives way: a disk that is full
    leaves it as it was.

    Parameters
    ----------
    folder : Path
    card : dict
        From `make_card`, with ``metrics`` and ``finished`` added.
    weights : dict of arrays
        The estimator's own tensors, by name.
    statistics : Statistics
    """
    tensors = {f"model.{name}": np.ascontiguousarray(value) for name, value in weights.items()}
    tensors |= statistics.tensors()
    content = save(tensors)
    card = card | {"weights_sha256": hashlib.sha256(content).hexdigest()}
    with staged_file(folder / CARD) as new_card:
        new_card.write_text(json.dumps(card, indent=2) + "\n")
        with staged_file(folder / WEIGHTS) as new_weights:
            new_weights.write_bytes(content)
            (folder / CARD).unlink(missing_ok=True)


def read_checkpoint(folder: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Read a card and its tensors.

    Raises
    ------
    DataError
        If the folder is no checkpoint, or one of another version.
    ContractError
        If the weights are not those the card was written for.
    """
    folder = Path(folder)
    card_path, weights_path = folder / CARD, folder / WEIGHTS
    if not (card_path.is_file() and weights_path.is_file()):
        raise DataError(
            f"{folder}: no checkpoint there (expected {CARD} and {WEIGHTS}); give the folder "
            f"that `speclearn train --out` wrote"
        )
    try:
        card = json.loads(card_path.read_text())
    except ValueError as problem:
        raise DataError(f"{card_path}: not a card ({problem}); fit the model again") from None
    found = (card.get("schema"), card.get("schema_version"))
    if found != (SCHEMA, SCHEMA_VERSION):
        raise DataError(
            f"{card_path}: found {found[0]} version {found[1]}, this starsmith reads {SCHEMA} "
            f"version {SCHEMA_VERSION}; fit the model again with this version"
        )
    if hashlib.sha256(weights_path.read_bytes()).hexdigest() != card["weights_sha256"]:
        raise ContractError(
            f"{weights_path}: not the weights its card was written for; copy the folder again "
            f"or fit the model again"
        )
    try:
        return card, load_file(weights_path)
    except SafetensorError as problem:
        raise ContractError(f"{weights_path}: damaged ({problem}); copy it again") from None
