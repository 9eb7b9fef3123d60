"""Tables of the papers, of our stars; published numbers stand beside and are of other stars."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np
from astropy.stats import sigma_clip

from starsmith.data_contract.star_groups import METAL_POOR
from starsmith.learners.benchmark.exhibits.cells import CellSet, DoneCell
from starsmith.learners.scores.metrics import mae, r2, sigma_robust_uncentred
from starsmith.learners.transfer.distances import mmd_squared

__all__ = ["Exhibit", "clipped_sigma", "mmd_of", "plane_of", "tables"]

TYPES = {"giants": (-np.inf, 2.5), "subgiants": (2.5, 4.0), "dwarfs": (4.0, np.inf)}
"""Ranges of log g of the SpecViT paper's Table 8."""
N_RESAMPLE = 1000
FEWEST = 20


@dataclass(frozen=True)
class Exhibit:
    """A table.

    Attributes
    ----------
    title : str
    rows : list of dict
    note : str
    """

    title: str
    rows: list[dict]
    note: str = ""


@cache
def published() -> dict:
    """Values printed in the papers."""
    place = files("starsmith.learners.benchmark") / "published_transfer.toml"
    return tomllib.loads(place.read_text())


def clipped_sigma(residual: np.ndarray) -> float:
    """Standard deviation after clipping at 3σ, as the LAMOST to DESI paper has it."""
    return float(np.std(sigma_clip(residual, sigma=3.0, masked=False)))


def spread(values: Sequence[float]) -> str:
    """Mean over seeds, and their standard deviation."""
    if not len(values):
        return "-"
    text = f"{np.mean(values):.3f}"
    return text if len(values) == 1 else f"{text} ± {np.std(values, ddof=1):.3f}"


def thirds(cell: DoneCell, label: str) -> list[float]:
    """R² of all, metal-poor and metal-rich stars; NaN of fewer than 20."""
    truth, value = cell.label(label, "truth"), cell.label(label)
    poor = cell.label("m_h", "truth") < METAL_POOR
    scores = []
    for inside in (np.ones(truth.size, bool), poor, ~poor):
        few = inside.sum() < FEWEST
        scores.append(float("nan") if few else float(r2(truth[inside], value[inside])))
    return scores


def mean_thirds(cells: Sequence[DoneCell], label: str) -> str:
    """Mean over seeds, as ``all / metal-poor / metal-rich``."""
    if not cells:
        return "-"
    scores = np.mean([thirds(cell, label) for cell in cells], axis=0)
    return " / ".join("-" if np.isnan(score) else f"{score:.3f}" for score in scores)


def printed(values: Sequence[float] | None) -> str:
    """Published ``all / metal-poor / metal-rich``."""
    return "-" if values is None else " / ".join(f"{value:.3f}" for value in values)


def _scores(cells: Sequence[DoneCell], label: str) -> dict[str, str]:
    scores: dict[str, Callable] = {"sigma_robust": sigma_robust_uncentred, "R2": r2, "MAE": mae}
    return {
        name: spread([float(score(c.label(label, "truth"), c.label(label))) for c in cells])
        for name, score in scores.items()
    }


def _theirs(entry: dict) -> dict[str, str]:
    names = {"sigma_robust": "sigma", "R2": "r2", "MAE": "mae"}
    return {name: f"{entry[key]:.3f}" if key in entry else "-" for name, key in names.items()}


def gravity_table(cells: CellSet, table: str) -> list[dict]:
    """σ, R² and MAE of log g: ours by strategy, then what a table of the SpecViT paper prints."""
    source, target = cells.suite.source, cells.suite.target
    rows: list[dict] = []
    for name in cells.strategies:
        if name == "zero_shot":
            chain = f"{source}, nothing learned"
        elif name == "scratch":
            chain = f"{target} {cells.n_most} only"
        else:
            chain = f"{source} to {target} {cells.n_most}"
        rows.append({"whose": "ours", "method": f"{name}: {chain}"})
        rows[-1] |= _scores(cells.of(name), "logg")
    for method, entry in published()[table].items():
        rows.append({"whose": "published", "method": method, **_theirs(entry)})
    return rows


def type_table(cells: CellSet) -> list[dict]:
    """σ of log g of giants, subgiants and dwarfs with a 95 % interval, the first seed."""
    rows = []
    for name in cells.strategies:
        cell = cells.first(name)
        if cell is None:
            continue
        truth, value = cell.label("logg", "truth"), cell.label("logg")
        row: dict[str, str] = {"whose": "ours", "method": name}
        for kind, (low, high) in TYPES.items():
            inside = (truth >= low) & (truth < high)
            row[kind] = _sigma_text(truth[inside], value[inside])
        rows.append(row)
    for method, entry in published()["specvit_8"].items():
        rows.append({"whose": "published", "method": method, **entry})
    return rows


def _sigma_text(truth: np.ndarray, value: np.ndarray) -> str:
    if truth.size < FEWEST:
        return "-"
    picks = np.random.default_rng(0).integers(truth.size, size=(N_RESAMPLE, truth.size))
    drawn = sigma_robust_uncentred(truth[picks], value[picks])
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{sigma_robust_uncentred(truth, value):.3f} [{low:.3f}, {high:.3f}]"


def strategy_table(cells: CellSet, label: str) -> list[dict]:
    """R² of all, metal-poor and metal-rich stars by strategy, with the ceiling's."""
    theirs = published().get(f"desi_{label}", {})
    rows = []
    for name in cells.strategies:
        entry = theirs.get(name, {})
        known = entry.get("2069", entry.get("0"))
        row = {"strategy": name, "ours": mean_thirds(cells.of(name), label)}
        rows.append(row | {"published, other stars": printed(known)})
    if cells.has_ceiling:
        cell = cells.first(cells.strategies[0])
        assert cell is not None
        columns = cell.columns | {"value": cell.columns["ceiling"]}
        best = replace(cell, n=0, strategy="ceiling", columns=columns, content={})
        ours = mean_thirds([best], label)
        rows.append({"strategy": "ceiling", "ours": ours, "published, other stars": "-"})
    return rows


def size_table(cells: CellSet, label: str) -> list[dict]:
    """R² by strategy and number of stars to learn from, ours and published."""
    theirs = published().get(f"desi_{label}", {})
    rows = []
    for name in cells.strategies:
        counts = [0] if name == "zero_shot" else [n for n in sorted(cells.suite.n) if n]
        for n in counts[::-1]:
            row = {"strategy": name, "n": n, "ours": mean_thirds(cells.of(name, n), label)}
            rows.append(row | {"published, other stars": printed(theirs.get(name, {}).get(str(n)))})
    return rows


def input_table(cells: CellSet) -> list[dict]:
    """R² of [M/H] by what a network reads: here spectra alone."""
    rows = [{"input": "spectra, ours", "R2": mean_thirds(cells.of(cells.best), "m_h")}]
    for name, values in published()["desi_inputs"].items():
        rows.append({"input": f"{name}, published", "R2": printed(values)})
    return rows


def sample_table(cells: CellSet) -> list[dict]:
    """How many stars there are of each kind."""
    cell = cells.first(cells.best) or cells.cells[0]
    learned = np.array(cell.content.get("learned", np.empty((0, 0))))
    theirs = published()["desi_c3"]
    rows = []
    poor = int((cell.label("m_h", "truth") < METAL_POOR).sum()) if "m_h" in cell.labels else None
    n_test = len(cell.snr)
    for name, ours in (
        ("initial cross-match", n_test + len(learned)),
        ("fine-tuning", len(learned)),
        ("testing", n_test),
        ("reference of the plane", n_test + len(learned)),
    ):
        rows.append({"sample": name, "ours": ours, "published": theirs[name]})
    return [*rows, {"sample": "testing, metal-poor", "ours": poor, "published": 79}]


def lora_table(cells: CellSet) -> list[dict]:
    """σ after clipping and R² of [M/H], ours and those of the LoRA note."""
    rows = []
    for name in cells.strategies:
        found = cells.of(name)
        both = [(c.label("m_h", "truth"), c.label("m_h")) for c in found]
        row = {"whose": "ours", "method": name}
        row["sigma"] = spread([clipped_sigma(value - truth) for truth, value in both])
        rows.append(row | {"R2": spread([float(r2(truth, value)) for truth, value in both])})
    for method, entry in published()["lora"].items():
        row = {"whose": "published", "method": method, "sigma": f"{entry['sigma']:.3f}"}
        rows.append(row | {"R2": f"{entry['r2']:.3f}"})
    return rows


def plane_of(cells: CellSet) -> tuple[str, str]:
    """Labels of the plane: [M/H] and [α/M], or log g where there is no [α/M]."""
    labels = cells.cells[0].labels
    return "m_h", "a_m" if "a_m" in labels else "logg"


def mmd_of(cell: DoneCell, plane: tuple[str, str], whole: bool) -> float:
    """Squared MMD of predictions in a plane from the true stars: test alone, or all."""
    value = np.column_stack([cell.label(name) for name in plane])
    truth = np.column_stack([cell.label(name, "truth") for name in plane])
    if whole:
        learned = np.array(cell.content["learned"])[:, [cell.labels.index(name) for name in plane]]
        truth = np.concatenate([truth, learned[np.isfinite(learned).all(axis=1)]])
    return mmd_squared(value, truth, gamma=2.0)


def distance_table(cells: CellSet) -> list[dict]:
    """MMD of every strategy's predictions, against test stars alone and against all."""
    plane, rows = plane_of(cells), []
    for name in cells.strategies:
        cell = cells.first(name)
        if cell is None or "learned" not in cell.content:
            continue
        row: dict[str, object] = {"strategy": name, "n": cell.n}
        row["MMD² from test stars"] = f"{mmd_of(cell, plane, whole=False):.5f}"
        rows.append(row | {"MMD² from all stars": f"{mmd_of(cell, plane, whole=True):.5f}"})
    return rows


def tables(cells: CellSet) -> list[Exhibit]:
    """Every table that the labels of these cells allow."""
    labels, found = cells.cells[0].labels, []
    if "logg" in labels:
        found += [
            Exhibit("SpecViT, Table 7: log g after transfer", gravity_table(cells, "specvit_7")),
            Exhibit("SpecViT, Table 8: sigma_robust of log g by type", type_table(cells)),
            Exhibit("SpecViT, Table 16: log g on DESI", gravity_table(cells, "specvit_16")),
            Exhibit(
                "SpecViT, Table 17: chains",
                gravity_table(cells, "specvit_17"),
                "Chains of more than two stages are made by `speclearn chain`.",
            ),
        ]
    if "m_h" not in labels:
        return found
    for label, name in (("m_h", "[M/H]"), ("a_m", "[α/M]")):
        if label not in labels:
            note = f"Our stars have no {name}."
            found.append(Exhibit(f"Transfer, Table 1: {name}", [], note))
            continue
        note = "All / metal-poor / metal-rich, mean over seeds. Metal-poor is [M/H] < -1."
        rows = strategy_table(cells, label)
        found.append(Exhibit(f"Transfer, Table 1: {name} by strategy", rows, note))
        title = f"Transfer, Table A2: {name} by strategy and number of stars"
        found.append(Exhibit(title, size_table(cells, label)))
    note = "Embeddings of SpecCLIP are not ours to have: one row."
    found.append(Exhibit("Transfer, Table A1: [M/H] by input", input_table(cells), note))
    found.append(Exhibit("Transfer, Table C3: samples", sample_table(cells)))
    plane = " and ".join(plane_of(cells))
    note = f"gamma = 2, plane of {plane} as it stands. The paper's reference is all stars."
    found.append(Exhibit("Transfer, Figs. 3, D8: distance in a plane", distance_table(cells), note))
    note = "Published: a third party's summary of the note."
    return [*found, Exhibit("LoRA note: [M/H]", lora_table(cells), note)]
