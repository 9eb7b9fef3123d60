"""Finished cells as rows with intervals, a page, and its figure."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.figure_kit import (
    GUIDE,
    colour_of,
    legend_above,
    new_figure,
    save_figure,
    styled,
    symbol_of,
)
from starsmith.data_contract.files.atomic import json_safe, write_text
from starsmith.data_contract.text_tables import text_table
from starsmith.learners.benchmark.embeddings.suite import EmbeddingSuite
from starsmith.learners.scores.metrics import Interval, r2

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_scores", "gain_rows", "score_rows", "wide_rows", "write_report"]

N_RESAMPLE = 1000
PLAIN = ("pixels", "mlp")
HOW = (
    "R2 is that of true labels, a mean over draws of labelled stars, with 95 % intervals of test "
    "stars resampled (networks are one seed). Readers learn from spectra under one noise."
)
CEILING = "The ceiling is the exact posterior mean of the same test stars, which knows the model."
Key = tuple[int, str, str]


def _grouped(cells: Sequence[dict]) -> dict[Key, list[dict]]:
    """Draws of every (n, embedding, reader)."""
    groups = defaultdict(list)
    for cell in cells:
        told = cell["cell"]
        groups[told["n"], told["embedding"], told["reader"]].append(cell)
    return groups


def _picks(n: int) -> np.ndarray:
    """Stars resampled, (N_RESAMPLE, n); the same ones for every cell of as many stars."""
    return np.random.default_rng(0).integers(n, size=(N_RESAMPLE, n))


def _column(cell: dict, name: str, label: str) -> np.ndarray:
    """A label's column; NaN for the ceiling of real stars."""
    found = np.full(np.shape(cell["truth"]), np.nan) if cell[name] is None else cell[name]
    return np.array(found, dtype=np.float64)[:, cell["labels"].index(label)]


def _resampled(cells: list[dict], name: str, label: str) -> tuple[float, np.ndarray]:
    """R² of a column, a mean over draws: of the stars themselves, and resampled."""
    truth = _column(cells[0], "truth", label)
    picks, values = _picks(truth.size), [_column(cell, name, label) for cell in cells]
    drawn = np.mean([r2(truth[picks], value[picks]) for value in values], axis=0)
    return float(np.mean([r2(truth, value) for value in values])), drawn


def score_rows(cells: Sequence[dict]) -> list[dict]:
    """A row for each n, embedding, reader and label: R², its ratio to the ceiling's, intervals."""
    rows = []
    for (n, embedding, reader), draws in _grouped(cells).items():
        told = {"n": n, "embedding": embedding, "reader": reader, "dim": draws[0]["vectors"]["dim"]}
        for label in draws[0]["labels"]:
            value, drawn = _resampled(draws, "value", label)
            best, drawn_best = _resampled(draws, "ceiling", label)
            own, top = Interval.of(value, drawn), Interval.of(best, drawn_best)
            ratio = Interval.of(value / best, drawn / drawn_best)
            row = told | {"label": label, "r2": own.value, "low": own.low, "high": own.high}
            row |= {"r2_ceiling": top.value, "ceiling_low": top.low, "ceiling_high": top.high}
            row |= {"ratio": ratio.value, "ratio_low": ratio.low, "ratio_high": ratio.high}
            rows.append(row)
    return rows


def gain_rows(cells: Sequence[dict]) -> list[dict]:
    """R² of every embedding's best reader less that of a plain network on pixels, star by star.

    The best reader is that with the largest mean R² over labels, which favours the embedding.
    """
    groups, rows = _grouped(cells), []
    for n in dict.fromkeys(key[0] for key in groups):
        plain = groups.get((n, *PLAIN))
        if plain is None:
            continue
        labels = plain[0]["labels"]
        for embedding in dict.fromkeys(key[1] for key in groups if key[1] != PLAIN[0]):
            mine = [key for key in groups if key[:2] == (n, embedding)]
            if not mine:
                continue
            best = max(
                mine, key=lambda k: sum(_resampled(groups[k], "value", lab)[0] for lab in labels)
            )
            row: dict = {"n": n, "embedding": embedding, "reader": best[2]}
            for label in labels:
                value, drawn = _resampled(groups[best], "value", label)
                theirs, drawn_theirs = _resampled(plain, "value", label)
                row[f"ΔR2 {label}"] = _text(Interval.of(value - theirs, drawn - drawn_theirs), "+")
            rows.append(row)
    return rows


def _text(score: Interval, sign: str = "") -> str:
    return f"{score.value:{sign}.3f} ({score.low:{sign}.3f} to {score.high:{sign}.3f})"


def has_ceiling(row: dict) -> bool:
    """Whether it is known what the best possible is."""
    return not np.isnan(row["r2_ceiling"])


def wide_rows(rows: Sequence[dict]) -> list[dict]:
    """Rows of labels side by side, the ceiling last where it is known."""
    lines: dict[Key, dict] = {}
    for row in rows:
        key = (row["n"], row["embedding"], row["reader"])
        line = lines.setdefault(key, {name: row[name] for name in ("n", "embedding", "reader")})
        line[f"R2 {row['label']}"] = f"{row['r2']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        if has_ceiling(row):
            low, high = row["ratio_low"], row["ratio_high"]
            line[f"{row['label']} / ceiling"] = f"{row['ratio']:.3f} ({low:.3f} to {high:.3f})"
    if not all(map(has_ceiling, rows)):
        return list(lines.values())
    top = {"n": None, "embedding": "exact posterior", "reader": None}
    for row in {row["label"]: row for row in rows}.values():
        low, high = row["ceiling_low"], row["ceiling_high"]
        top[f"R2 {row['label']}"] = f"{row['r2_ceiling']:.3f} ({low:.3f} to {high:.3f})"
        top[f"{row['label']} / ceiling"] = None
    return [*lines.values(), top]


def write_report(suite: EmbeddingSuite, out: Path, cells: Sequence[dict]) -> Path:
    """Write ``embeddings.md``, ``embeddings.json`` and a figure of the finished cells.

    Raises
    ------
    DataError
        If no cell is finished.
    """
    if not cells:
        raise DataError(f"{out}: no finished cell of suite {suite.name}; run it first")
    rows, gains = score_rows(cells), gain_rows(cells)
    notice = cells[0]["target"].get("notice", "")
    target = cells[0]["target"]["survey"]
    parts = [
        f"# Embeddings: {suite.name}",
        f"{len(cells)} of {len(suite.cells)} trainings finished. {suite.survey}, "
        f"{target['wave'][0]:.0f}-{target['wave'][1]:.0f} Å, {target['n_wave']} pixels; networks "
        f"learned from {suite.n_source} spectra without labels, {suite.epochs} epochs; "
        f"{len(cells[0]['truth'])} test stars. {HOW}",
        *([CEILING] if has_ceiling(rows[0]) else []),
        *([f"**{notice}**"] if notice else []),
        text_table(wide_rows(rows)),
        "## Against a plain network on pixels",
        "R2 of the best reader of each embedding less that of the reader `mlp` on pixels, from as "
        "many labelled stars; 95 % intervals.",
        text_table(gains),
        "![R2 against labelled stars](embeddings.png)",
    ]
    save_figure(draw_scores(rows), out / "embeddings.png", notice)
    content = {"suite": suite.name, "rows": rows, "gains": gains}
    write_text(out / "embeddings.json", json.dumps(json_safe(content), indent=2) + "\n")
    write_text(out / "embeddings.md", "\n\n".join(parts) + "\n")
    return out / "embeddings.md"


@styled
def draw_scores(rows: Sequence[dict]) -> "Figure":
    """R² of each embedding's best reader against the number of labelled stars, by label."""
    labels = list(dict.fromkeys(row["label"] for row in rows))
    figure = new_figure(2.4 * len(labels), 2.9)
    panels = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
    for panel, label in zip(panels, labels, strict=True):
        mine = [row for row in rows if row["label"] == label]
        for k, name in enumerate(dict.fromkeys(row["embedding"] for row in mine)):
            best: dict[int, float] = {}
            for row in (row for row in mine if row["embedding"] == name):
                best[row["n"]] = max(best.get(row["n"], -np.inf), row["r2"])
            panel.plot(list(best), list(best.values()), "o-", color=colour_of(k), label=name)
        if has_ceiling(mine[0]):
            panel.axhline(mine[0]["r2_ceiling"], color=GUIDE, ls="--", label="exact posterior")
        panel.set(title=symbol_of(label), xlabel="labelled stars", ylim=(-0.1, 1.02))
        panel.set_xscale("log")
    panels[0].set_ylabel("R² of the best reader")
    legend_above(figure, list(panels))
    return figure
