"""The note's table of our stars; what it prints stands beside, and is of other stars."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from astropy.stats import biweight_scale

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import json_safe, write_text
from starsmith.data_contract.star_groups import METAL_POOR
from starsmith.data_contract.text_tables import text_table
from starsmith.learners.benchmark.exhibits.cells import DoneCell
from starsmith.learners.benchmark.exhibits.tables import published
from starsmith.learners.benchmark.lora_specclip.suite import (
    ARMS,
    LABEL,
    RANK1,
    RANK2,
    RANK3,
    Arm,
    LoraSuite,
)
from starsmith.learners.networks.registry import create_model
from starsmith.learners.pretrain.networks import add_changes, build_pair, build_pretrained
from starsmith.learners.scores.metrics import Interval, r2
from starsmith.learners.transfer.low_rank import add_low_rank

__all__ = ["arm_rows", "note_sizes", "write_report"]

N_RESAMPLE, FEWEST = 500, 20
OTHER_STARS = (
    "The note's numbers are of different stars: DESI's own, labels of APOGEE, networks of 42.7 M "
    "parameters that learned from a million spectra. They stand beside ours for their pattern, and "
    "no difference between them means anything."
)
WIDTHS = (1024, 512, 64)  # of the note's MLPs


@cache
def note_sizes() -> dict[str, int]:
    """Numbers that LoRA1 to LoRA4 learn in networks of the published sizes, counted there."""
    with torch.device("meta"):  # no memory: sizes alone are asked for
        masked, latent = (
            build_pretrained("lrs_masked", 1462),
            build_pretrained("xp_autoencoder", 343),
        )
        pair = build_pair((masked, latent), "base")
        mlp = create_model("mlp", [LABEL], masked.dim, widths=WIDTHS, dropout=0.0)
        add_changes(masked, RANK1)
        first = trainable(masked)
        add_changes(pair, RANK3)
        mlp.requires_grad_(False)
        add_low_rank(mlp, "all", RANK2, 2.0 * RANK2)
    second = trainable(mlp)
    return {"LoRA1": first, "LoRA2": second, "LoRA3": trainable(pair), "LoRA4": second}


def trainable(network: torch.nn.Module) -> int:
    """Numbers that learn."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def size_of_note(arm: Arm) -> int | None:
    """What an arm's low-rank changes would be in networks of the published sizes."""
    if arm.sees == "pixels" or arm.strategy in ("full", "scratch"):
        return None
    sizes = note_sizes()
    own = sizes["LoRA4" if arm.sees == "MLP2" else "LoRA2"] if arm.strategy == "lora" else 0
    return own + sum(sizes[f"LoRA{k}"] for k in arm.changes)


def arm_rows(cells: Sequence[Mapping], changes: Mapping[str, int]) -> list[dict]:
    """A row for each arm and group of stars: σ, R² and its share of the ceiling's, 95 %.

    Parameters
    ----------
    cells : sequence of mappings
        Content of cells' files.
    changes : mapping of str to int
        Numbers that ``LoRA1`` and ``LoRA3`` learned here.
    """
    done = [DoneCell.of_file(cell) for cell in cells]
    rows = []
    for name in dict.fromkeys(cell.strategy for cell in done):
        mine = [cell for cell in done if cell.strategy == name]
        arm = ARMS[name]
        learned = mine[0].content["parameters"]["n_trainable"]
        learned += sum(changes[f"LoRA{k}"] for k in arm.changes)
        told = {"arm": name, "learned": learned, "learned_note": size_of_note(arm)}
        for group, of in (("all", None), ("rich", False), ("poor", True)):
            poor = mine[0].label(LABEL, "truth") < METAL_POOR
            inside = np.ones(poor.size, bool) if of is None else poor == of
            if inside.sum() >= FEWEST:
                rows.append(told | {"group": group, "n": int(inside.sum())} | scores(mine, inside))
    return rows


def scores(cells: Sequence[DoneCell], inside: np.ndarray) -> dict[str, float]:
    """σ, R² and its ratio to the ceiling's of some stars, a mean over seeds, with intervals."""
    truth = cells[0].label(LABEL, "truth")[inside]
    values = [cell.label(LABEL)[inside] for cell in cells]
    best = cells[0].label(LABEL, "ceiling")[inside]
    picks = np.random.default_rng(0).integers(truth.size, size=(N_RESAMPLE, truth.size))

    def mean(score: Callable, rows: np.ndarray | slice) -> np.ndarray:
        return np.mean([score(truth[rows], value[rows]) for value in values], axis=0)

    def width(true: np.ndarray, value: np.ndarray) -> np.ndarray:
        return biweight_scale(value - true, axis=-1)

    whole = slice(None)
    found = {
        "sigma": Interval.of(float(mean(width, whole)), mean(width, picks)),
        "r2": Interval.of(float(mean(r2, whole)), mean(r2, picks)),
        "ratio": Interval.of(
            float(mean(r2, whole) / r2(truth, best)),
            mean(r2, picks) / r2(truth[picks], best[picks]),
        ),
    }
    row: dict[str, float] = {"r2_ceiling": float(r2(truth, best))}
    for name, score in found.items():
        row |= {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}
    return row


def wide_rows(rows: Sequence[Mapping], group: str = "all") -> list[dict]:
    """Lines of one group of stars, the note's numbers beside."""
    lines = []
    for row in rows:
        if row["group"] != group:
            continue
        entry = published()["lora"].get(row["arm"], {})
        theirs = (entry.get("sigma"), entry.get("r2")) if group == "all" else entry.get(group)
        sigma, best = theirs or (None, None)
        lines.append(
            {
                "arm": row["arm"],
                "learned": row["learned"],
                "at the note's sizes": row["learned_note"],
                "σ": _text(row, "sigma"),
                "R2": _text(row, "r2"),
                "R2 / ceiling": _text(row, "ratio"),
                "note σ": None if sigma is None else f"{sigma:.4f}",
                "note R2": None if best is None else f"{best:.4f}",
            }
        )
    return lines


def _text(row: Mapping, name: str) -> str:
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"


def write_report(
    suite: LoraSuite, out: Path, cells: Sequence[Mapping], changes: Mapping[str, int]
) -> Path:
    """Write ``lora_specclip.md`` and ``lora_specclip.json`` of the finished cells.

    Raises
    ------
    DataError
        If no cell is finished.
    """
    if not cells:
        raise DataError(f"{out}: no finished cell of suite {suite.name}; run it first")
    rows, sizes = arm_rows(cells, changes), note_sizes()
    notice = cells[0]["target"].get("notice", "")
    told = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    parts = [
        f"# LoRA on SpecCLIP: {suite.name}",
        f"{suite.survey} to {suite.target}, g = {suite.g:g}: {suite.n} labelled stars, "
        f"{suite.n_val} to choose by, {suite.n_unlabelled} without labels, {suite.n_test} to be "
        f"judged on; {len(cells)} of {len(suite.cells)} trainings finished. Networks "
        f"({suite.masked}, {suite.autoencoder}, {suite.variant}) learned from {suite.n_source} "
        f"spectra of the source. [M/H] alone. σ is Tukey's biweight scale; 95 % intervals are of "
        f"test stars resampled, means over seeds. {OTHER_STARS}",
        f"Numbers that learn at the published sizes, counted by building the networks: {told}.",
        *([f"**{notice}**"] if notice else []),
    ]
    titles = {"all": "All test stars", "rich": "Metal-rich, [M/H] of -1 and more"}
    titles["poor"] = "Metal-poor"
    for group, title in titles.items():
        if lines := wide_rows(rows, group):
            number = next(row["n"] for row in rows if row["group"] == group)
            best = next(row["r2_ceiling"] for row in rows if row["group"] == group)
            head = f"## {title}\n\n{number} stars. R2 of the exact posterior mean: {best:.3f}."
            parts += [head, text_table(lines)]
    content = {"suite": suite.name, "rows": rows, "sizes": sizes}
    write_text(out / "lora_specclip.json", json.dumps(json_safe(content), indent=2) + "\n")
    write_text(out / "lora_specclip.md", "\n\n".join(parts) + "\n")
    return out / "lora_specclip.md"
