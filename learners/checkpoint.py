"""Checkpoint folders: weights as safetensors, everything else in a readable card."""

import hashlib
import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from starsmith.data_contract.checks.integrity import Finding
from starsmith.data_contract.checks.verify import Report
from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ContractError, DataError
from starsmith.data_contract.files.atomic import staged_file, write_json, write_text
from starsmith.data_contract.files.digests import (
    FileRecord,
    changed_files,
    hash_file,
    tell_of_no_digest,
)
from starsmith.data_contract.files.outside import read_file, read_json, regular_size
from starsmith.data_contract.quantities import UNITS
from starsmith.learners.card import check_card, check_tensors
from starsmith.learners.preprocess import Statistics
from starsmith.learners.published import Published
from starsmith.learners.recipe import Recipe, recipe_to_table

__all__ = [
    "CARD",
    "CARD_SUM",
    "LOG_FILES",
    "SCHEMA",
    "SCHEMA_VERSION",
    "WEIGHTS",
    "changed_parts",
    "close_card",
    "is_pretrained",
    "make_card",
    "read_checkpoint",
    "verify_checkpoint",
    "wave_hash",
    "write_checkpoint",
]

SCHEMA, SCHEMA_VERSION = "starsmith.checkpoint", 1
CARD, WEIGHTS = "card.json", "model.safetensors"
CARD_SUM = "card.sha256.json"
MODEL_FILES = ("recipe.toml", "run.json", "trees", "bank.zarr")
"""Beside the weights, what decides a prediction or says what was trained; where it is there."""
LOG_FILES = ("metrics.jsonl", "state.safetensors")
"""What training leaves; listed once it has ended, looked at by `specdata verify` alone."""
LEVEL = "flux over the median of its unmasked pixels; "
STANDARDISED = (
    "per pixel less the mean of the training spectra, over their standard deviation; masked "
    "pixels are that mean"
)
UNSCALED = "halved, no pixel standardised; masked pixels are 0"
CLIPPED = "clipped at 0; "
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
    labels_of = {name: train.label(name) for name in train.label_names}
    # a survey may know a label of no star
    spans = {name: _span(v) for name, v in labels_of.items() if np.isfinite(v).any()}
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
        "normalisation": described_input(getattr(recipe, "published", Published())),
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


def described_input(switches: Published) -> str:
    """What a network sees of a spectrum, in words."""
    scale = UNSCALED if switches.unscaled else STANDARDISED
    return f"{LEVEL}{CLIPPED if switches.clip else ''}{scale}"


def _span(values: np.ndarray) -> list[float]:
    return [float(np.nanmin(values)), float(np.nanmax(values))]


def write_checkpoint(
    folder: Path, card: dict, weights: dict[str, np.ndarray], statistics: Statistics
) -> None:
    """Write weights and card; the card comes last, so a card means a whole checkpoint.

    Both are on the disk before the checkpoint that was there gives way: a disk that is full
    leaves it as it was. The card lists size and SHA-256 of every file that decides a prediction.

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
    digest = hashlib.sha256(content).hexdigest()
    files = _records(folder, MODEL_FILES) | {WEIGHTS: {"bytes": len(content), "sha256": digest}}
    text = card_text(card | {"weights_sha256": digest, "files": files})
    with staged_file(folder / CARD) as new_card:
        new_card.write_bytes(text)
        with staged_file(folder / WEIGHTS) as new_weights:
            new_weights.write_bytes(content)
            (folder / CARD).unlink(missing_ok=True)
            write_sums(folder, text)


def card_text(card: dict) -> bytes:
    """A card as it is stored."""
    return (json.dumps(card, indent=2) + "\n").encode()


def write_sums(folder: Path, *cards: bytes) -> None:
    """Write the SHA-256 of the card beside it; of two, while one replaces the other."""
    write_json(folder / CARD_SUM, {CARD: [hashlib.sha256(card).hexdigest() for card in cards]})


def _records(folder: Path, names: Iterable[str]) -> dict[str, FileRecord]:
    """Size and SHA-256 of files, and of those in folders, that are there."""
    found = {}
    for name in names:
        place = folder / name
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in inside:
            if file.is_file():
                found[file.relative_to(folder).as_posix()] = hash_file(file)
    return found


def close_card(folder: Path, finished: dict) -> None:
    """Write into the card why and when training ended, and digests of what training left."""
    card = read_json(folder / CARD)
    before = (folder / CARD).read_bytes()
    files = card.get("files", {}) | _records(folder, LOG_FILES)
    after = card_text(card | {"finished": finished, "files": files})
    write_sums(folder, before, after)  # whichever card a crash leaves is whole
    write_text(folder / CARD, after.decode())
    write_sums(folder, after)


def read_checkpoint(folder: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Read a card and its tensors, after both were checked.

    Raises
    ------
    DataError
        If the folder is no checkpoint, or one of another version.
    ContractError
        If a file is not the one the card was written for, the card's own digest differs, or its
        entries or arrays are not those of a checkpoint.
    """
    folder = Path(folder)
    card = _read_card(folder)
    if "files" not in card:
        tell_of_no_digest(folder)
    if problems := list(changed_parts(folder, card, LOG_FILES)):
        raise ContractError(
            f"{folder} is damaged: {'; '.join(problems[:5])}: not the weights or files its card "
            "was written for; copy the folder again or fit the model again"
        )
    if "files" in card and not _sum_is_right(folder):
        raise ContractError(
            f"{folder / CARD} is damaged: its SHA-256 is not the one in {CARD_SUM}; copy the "
            "folder again or fit the model again"
        )
    weights = folder / WEIGHTS
    try:
        tensors = load(read_file(weights, regular_size(weights)))
    except (SafetensorError, OSError, LookupError, TypeError, ValueError) as problem:
        raise ContractError(f"{weights}: damaged ({problem}); copy it again") from None
    check_tensors(card, tensors, str(weights))
    if wave_hash(tensors["wave"]) != card["wave"]["sha256"]:
        raise ContractError(f"{weights}: not the wavelengths of its card; copy it again")
    return card, tensors


def _read_card(folder: Path) -> dict:
    """Card of a checkpoint, checked."""
    path = folder / CARD
    if not (path.is_file() and (folder / WEIGHTS).is_file()):
        raise DataError(
            f"{folder}: no checkpoint there (expected {CARD} and {WEIGHTS}); give the folder "
            f"that `speclearn train --out` wrote"
        )
    card = read_json(path, advice="fit the model again")
    found = (card.get("schema"), card.get("schema_version"))
    if found != (SCHEMA, SCHEMA_VERSION):
        raise DataError(
            f"{path}: found {found[0]} version {found[1]}, this starsmith reads {SCHEMA} "
            f"version {SCHEMA_VERSION}; fit the model again with this version"
        )
    check_card(card, str(path))
    return card


def is_pretrained(folder: Path | str) -> bool:
    """Whether a checkpoint knows spectra and no label; errors of `read_checkpoint`'s card."""
    return not _read_card(Path(folder))["labels"]


def _sum_is_right(folder: Path) -> bool:
    try:
        sums = read_json(folder / CARD_SUM).get(CARD)
    except DataError:
        return False
    return isinstance(sums, list) and hash_file(folder / CARD)["sha256"] in sums


def changed_parts(folder: Path, card: Mapping, but: Iterable[str] = ()) -> Iterator[str]:
    """Say which files of a checkpoint are not those its card lists, except for some."""
    files = card.get("files") or {WEIGHTS: None}
    for name, record in files.items():
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            yield f"{name[:80]} lies elsewhere"
        elif name not in but and record is not None:
            yield from changed_files(folder, {name: record}, thorough=True, alone=False)
    if files.get(WEIGHTS) is None:
        found = hash_file(folder / WEIGHTS)
        if found["sha256"] != card["weights_sha256"]:
            yield f"{WEIGHTS} was changed"


def verify_checkpoint(folder: Path) -> Report:
    """Check every file of a checkpoint against its card, and that card and arrays fit.

    Raises
    ------
    DataError
        If the folder is no checkpoint.
    """
    folder = Path(folder)
    problems = []
    card = _read_card(folder)
    problems += changed_parts(folder, card)
    if not problems:
        try:
            read_checkpoint(folder)
        except ContractError as problem:
            problems.append(str(problem))
    names = [CARD, *card.get("files", {WEIGHTS: None})]
    sizes = [regular_size(folder / name) for name in names if (folder / name).is_file()]
    findings = [Finding("", f"{text}; copy the folder again") for text in problems]
    return Report(folder, findings, len(sizes), sum(sizes), "files" in card)
