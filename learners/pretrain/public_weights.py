"""Public SpecCLIP weights as runs of ours: the same tensors under the names that ours have.

A file is recognised by its tensors' names, sizes are read off their shapes. No public weight was
read here: what is tested are files made in that layout.
"""

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from starsmith.data_contract.errors import ContractError, DataError
from starsmith.data_contract.files.outside import read_file, regular_size
from starsmith.data_contract.quantities import UNITS
from starsmith.learners.checkpoint import (
    PACKAGES,
    SCHEMA,
    SCHEMA_VERSION,
    installed,
    wave_hash,
    write_checkpoint,
)
from starsmith.learners.preprocess import LabelScale, Normaliser, Statistics
from starsmith.learners.pretrain.networks import build_pair, build_pretrained
from starsmith.learners.pretrain.recipes import load_pretraining
from starsmith.learners.recipe import recipe_to_table

__all__ = ["LRS_WAVE", "XP_WAVE", "import_specclip"]

LRS_WAVE = 10.0 ** (3.602 + 1e-4 * np.arange(1462))
XP_WAVE = 3360.0 + 20.0 * np.arange(343)
"""Pixels of both kinds of spectra [vacuum Å], as published."""

N_HEAD = {"backbone": 6, "first": 4}
PAIRED = {
    "lamost_lrs_encoder.backbone.": "first.backbone.",
    "gaia_xp_encoder.backbone.": "second.backbone.",
    "lamost_lrs_encoder.": "first.head.",
    "gaia_xp_encoder.": "second.head.",
    "lamost_lrs_decoder.": "decoder.first.",
    "gaia_xp_decoder.": "decoder.second.",
    "lamost_lrs_cross_decoder.": "cross_decoder.first.",
    "gaia_xp_cross_decoder.": "cross_decoder.second.",
}
"""Beginning of a name in a public aligned model -> in ours; the first that fits."""

IGNORED = ("logit_scale",)
UNPICKLE = (
    'state = {torch}.load("{file}", map_location="cpu")["state_dict"]',
    "safetensors.torch.save_file("
    '{{k: v.contiguous() for k, v in state.items()}}, "{file}.safetensors")',
)
"""Lines that turn a pickle into the format that is read, to run where one trusts it.

torch is filled in: no file of ours so much as names what unpickles.
"""


def import_specclip(file: Path | str, out: Path | str) -> dict:
    """Write a public model as a run folder that `open_encoder` reads; return its card.

    Parameters
    ----------
    file : path
        safetensors: an LRS transformer, an XP autoencoder, or an aligned pair (base, split, pr).
    out : path
        New folder.

    Raises
    ------
    DataError
        If the file is a pickle or of another network, a tensor is missing, unknown or of another
        shape, or ``out`` holds something.
    ContractError
        If it is damaged.
    """
    file, out = Path(file), Path(out)
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: is not empty; choose another --out")
    content = read_file(file, regular_size(file))
    if content[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        lines = "; ".join(line.format(file=file, torch="torch") for line in UNPICKLE)
        raise DataError(
            f"{file}: a pickle, which runs code when it is opened; where you trust it, convert it "
            f"in your own environment: import torch, safetensors.torch; {lines}"
        )
    try:
        tensors = load(content)
    except (SafetensorError, ValueError) as problem:
        raise ContractError(f"{file}: no safetensors file ({problem}); fetch it again") from None
    tensors = {name: value for name, value in tensors.items() if name not in IGNORED}
    model, options, more, ours = _recognised(tensors, str(file))
    wave = XP_WAVE if model == "xp_autoencoder" else LRS_WAVE
    if wave.size != (n_wave := more.pop("n_wave")):
        wave = np.arange(1.0, n_wave + 1.0)  # of a file that is no public one
    card = _card(model, options, wave, hashlib.sha256(content).hexdigest()) | more
    card |= {"dim": options["dim"], "n_parameters": sum(value.size for value in tensors.values())}
    out.mkdir(parents=True, exist_ok=True)
    write_checkpoint(out, card, ours, _plain(wave))
    return card


def _recognised(
    tensors: Mapping[str, np.ndarray], name: str
) -> tuple[str, dict, dict, dict[str, np.ndarray]]:
    """Our name of a network, its options, more of its card, and its tensors by our names."""
    if "data_embed.weight" in tensors:
        options, n_wave = _transformer(tensors)
        network = build_pretrained("lrs_masked", n_wave, options)
        return "lrs_masked", options, {"n_wave": n_wave}, _fitted(network, tensors, name)
    if "input_proj.weight" in tensors:
        options, n_wave = _autoencoder(tensors)
        network = build_pretrained("xp_autoencoder", n_wave, options)
        return "xp_autoencoder", options, {"n_wave": n_wave}, _fitted(network, tensors, name)
    if not any(key.startswith("lamost_lrs_encoder.backbone.") for key in tensors):
        raise DataError(
            f"{name}: its tensors ({', '.join(sorted(tensors)[:3])}, ...) are those of no SpecCLIP "
            "model: an LRS transformer, an XP autoencoder, or an aligned pair is expected"
        )
    renamed = {_renamed(key): value for key, value in tensors.items()}
    backbones = []
    for side, read, model in (
        ("first", _transformer, "lrs_masked"),
        ("second", _autoencoder, "xp_autoencoder"),
    ):
        begin = f"{side}.backbone."
        part = {k.removeprefix(begin): v for k, v in renamed.items() if k.startswith(begin)}
        options, n_wave = read(part)
        backbones.append({"model": model, "options": options, "n_wave": n_wave})
    variant, dim = _variant(renamed)
    options = {"dim": dim, "n_head": _divisor(dim // 3 if variant == "split" else dim, 4)}
    parts = [build_pretrained(b["model"], b["n_wave"], b["options"]) for b in backbones]
    network = build_pair((parts[0], parts[1]), variant, options)
    second = backbones[1]["n_wave"]
    network.remember(_plain(XP_WAVE if second == XP_WAVE.size else np.arange(1.0, second + 1.0)))
    more = {"n_wave": backbones[0]["n_wave"], "dim": dim, "backbones": backbones}
    return variant, options, more, _fitted(network, renamed, name)


def _renamed(key: str) -> str:
    """Our name of a tensor of an aligned model."""
    for theirs, own in PAIRED.items():
        if key.startswith(theirs):
            return own + key.removeprefix(theirs)
    return key


def _variant(tensors: Mapping[str, np.ndarray]) -> tuple[str, int]:
    """Which aligned model it is, and the length of its vectors."""
    if "first.head.shared_attention.query" in tensors:
        parts = ("shared", "private")
        return "split", sum(tensors[f"first.head.{p}_attention.query"].shape[-1] for p in parts)
    dim = int(tensors["first.head.cross_attention.query"].shape[-1])
    return ("pr" if any(k.startswith("decoder.") for k in tensors) else "base"), dim


def _transformer(tensors: Mapping[str, np.ndarray]) -> tuple[dict, int]:
    """Options and pixels of an LRS transformer; attention is scaled twice, as it was trained."""
    dim, width = tensors["data_embed.weight"].shape
    depth = len({key.split(".")[1] for key in tensors if key.startswith("blocks.")})
    return {
        "dim": dim,
        "depth": depth,
        "n_head": _divisor(dim, N_HEAD["backbone"]),
        "patch": width - 1,
        "stride": max((width - 1) // 2, 1),
        "n_position": tensors["position_embed.weight"].shape[0],
        "double_scale": True,
    }, LRS_WAVE.size


def _autoencoder(tensors: Mapping[str, np.ndarray]) -> tuple[dict, int]:
    """Options and pixels of an XP autoencoder."""
    width, n_input = tensors["input_proj.weight"].shape
    depth = len({key.split(".")[1] for key in tensors if key.startswith("encoder_blocks.")})
    return {
        "width": width,
        "dim": tensors["bottleneck_down.weight"].shape[0],
        "depth": depth,
        "expand": tensors["encoder_blocks.0.mlp.0.weight"].shape[0] // width,
    }, n_input - 2


def _divisor(dim: int, most: int) -> int:
    """Largest number of heads up to ``most`` that a width divides among."""
    return next(n for n in range(most, 0, -1) if dim % n == 0)


def _fitted(network: Any, tensors: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """All tensors of a network, those of the file in the place of its own; DataError if not."""
    own = {key: value.numpy() for key, value in network.state_dict().items()}
    made_here = ("second_wave", "second_mean", "second_std")
    wanted = {key for key in own if key not in made_here}
    problems = [f"{key} is missing" for key in sorted(wanted - set(tensors))]
    problems += [f"{key} is unknown" for key in sorted(set(tensors) - wanted)]
    problems += [
        f"{key} has shape {tensors[key].shape}, expected {own[key].shape}"
        for key in sorted(wanted & set(tensors))
        if tensors[key].shape != own[key].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise DataError(f"{name}: {'; '.join(problems[:3])}{more}; fetch the file again")
    return own | {key: tensors[key].astype(own[key].dtype) for key in wanted}


def _plain(wave: np.ndarray) -> Statistics:
    """Statistics that leave flux over its median as it is."""
    n_wave = wave.size
    nothing = LabelScale(np.empty(0), np.empty(0))
    return Statistics(wave, Normaliser(np.zeros(n_wave), np.ones(n_wave)), nothing)


def _card(model: str, options: dict, wave: np.ndarray, digest: str) -> dict:
    """Card of the run folder."""
    recipe = recipe_to_table(load_pretraining(model, options=options))
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "kind": recipe["kind"],
        "model": model,
        "options": options,
        "labels": [],
        "units": [],
        "recipe": recipe,
        "dataset": {
            "digest": digest,
            "notice": "weights of SpecCLIP, trained elsewhere",
            "n_train": 0,
            "n_val": 0,
            "versions": {},
        },
        "normalisation": "scaling = spectrum",
        "wave": {
            "n_wave": int(wave.size),
            "min": float(wave[0]),
            "max": float(wave[-1]),
            "unit": UNITS["wave"],
            "sha256": wave_hash(wave),
        },
        "limits": {"labels": {}, "snr": [0.0, 0.0], "velocity": [0.0, 0.0]},
        "versions": installed(PACKAGES) | {"python": platform.python_version()},
        "metrics": {},
        "finished": {"reason": "imported", "seconds": 0.0},
    }
