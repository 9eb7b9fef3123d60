"""Sections of a report: what networks look at, and one thing changed at a time."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from starsmith.learners.benchmark.document import Picture, Section, Table
from starsmith.learners.benchmark.published_values import published, remark, with_error
from starsmith.learners.benchmark.report_figures import swap_figure, type_figure
from starsmith.learners.benchmark.results import N_RESAMPLE, Outcome, Results
from starsmith.learners.evaluation.interpret import explain, interpretation_figure
from starsmith.learners.evaluation.pairs import differences
from starsmith.learners.networks.blocks import Encoder
from starsmith.learners.prediction.predict import load_checkpoint
from starsmith.learners.scores.metrics import Interval

__all__ = ["ablation_sections", "interpretation_section", "leading_section"]

N_PAIRED = 1000  # resamples, as in the paper
TRAINED = 0.05
"""R² above which a network counts as trained at all."""


def ablation_sections(results: Results) -> list[Section]:
    """Return every section whose runs are there."""
    builders = {
        "seeds": seeds_section,
        "cross": cross_section,
        "patch": patch_section,
        "tokenizer": tokenizer_section,
        "mag19": bright_section,
        "published": published_section,
        "comb": comb_section,
    }
    return [build(results, found) for tag, build in builders.items() if (found := results.of(tag))]


def score_row(outcome: Outcome) -> dict:
    """Scores every ablation shows."""
    return {
        "model": outcome.name,
        "seed": outcome.run.seed,
        "R²": with_error(outcome.score("r2")),
        "MAE": with_error(outcome.score("mae")),
        "σ about zero": with_error(outcome.score("sigma_robust_uncentred")),
        "σ_robust": with_error(outcome.score("sigma_robust")),
        "f(>0.5)": with_error(outcome.score("outlier_fraction")),
    }


def seeds_section(results: Results, outcomes: Sequence[Outcome]) -> Section:
    """Spread over seeds: the paper's Table 11."""
    rows = [score_row(o) for o in outcomes]
    for model in dict.fromkeys(o.run.model for o in outcomes):
        values = [o.score("r2").value for o in outcomes if o.run.model == model]
        if len(values) > 1:
            spread = f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f} over seeds"
            blank = dict.fromkeys(rows[0], "")
            rows.append(blank | {"model": model, "seed": "all", "R²": spread})
    theirs = ", ".join(f"{value:.3f}" for value in published()["table_11"]["convstem_lstm"])
    note = f"Published for ConvStem+LSTM, two seeds: {theirs}."
    return Section("Seeds (Table 11)", [Table(rows, note)])


def cross_section(results: Results, outcomes: Sequence[Outcome]) -> Section:
    """Settings swapped between networks: the paper's Table 12 and Fig. 8."""
    rows = []
    for outcome in outcomes:
        key = "own" if "own" in outcome.run.variant else "other"
        theirs = published()["table_12"].get(outcome.published, {}).get(key)
        collapsed = "collapsed" if outcome.score("r2").high < TRAINED else "trained"
        rows.append(score_row(outcome) | {"published R²": theirs, "ours": collapsed})
    return Section(
        "Settings swapped (Table 12, Fig. 8)",
        [
            Picture("swap", "R² under own and swapped settings (Fig. 8)",
                    swap_figure(results, outcomes)),
            Table(rows, remark("table_12")),
        ],
    )  # fmt: skip


def published_section(results: Results, outcomes: Sequence[Outcome]) -> Section:
    """Networks under the switches of ``[published]``: what collapses under which."""
    rows = []
    for outcome in outcomes:
        collapsed = "collapsed" if outcome.score("r2").high < TRAINED else "trained"
        rows.append(score_row(outcome) | {"verdict": collapsed})
    note = (
        f"Collapsed: the 95 % interval of R² lies below {TRAINED:g}. Runs are the default, every "
        "switch of [published] alone, all together, and all under the settings of Table 12."
    )
    return Section("As published (Tables 12 and 15)", [Table(rows, note)])


def leading_section(results: Results) -> Section:
    """SpecViT against LightGBM with the one-sided p of the paper's Table 18."""
    by_model = {o.published: o for o in results.main[::-1]}  # of several, the best
    first, second = by_model.get("specvit"), by_model.get("lightgbm")
    if first is None or second is None or first.run.data != second.run.data:
        return Section("", [])
    theirs, target = published()["table_18"], results.target
    found = differences(
        first.predictions, second.predictions, target, n_resample=N_PAIRED, pooled_only=True
    )[0]
    gain, p = found.scores["r2"], found.p_value
    own = f"< {1 / N_PAIRED:g}" if p == 0 else f"{p:.3g}"
    rows = [
        _interval_row(first.name, first.score("r2"), theirs["specvit"]),
        _interval_row(second.name, second.score("r2"), theirs["lightgbm"]),
        _interval_row("difference, paired", gain, theirs["difference"])
        | {"one-sided p": own, "published p": "< 0.001"},
    ]
    return Section("SpecViT less LightGBM (Table 18)", [Table(rows, remark("table_18"))])


def _interval_row(name: str, score: Interval, theirs: Sequence[float]) -> dict:
    low, high = (f"{value:.3f}" for value in theirs[1:])
    return {
        "of": name,
        "R²": with_error(score),
        "95 %": f"[{score.low:.3f}, {score.high:.3f}]",
        "published": f"{theirs[0]:.3f} [{low}, {high}]",
        "one-sided p": "",
        "published p": "",
    }


def patch_section(results: Results, outcomes: Sequence[Outcome]) -> Section:
    """Length of patches: the paper's Table 14."""
    rows = []
    for outcome in outcomes:
        patch = str(dict(outcome.run.changes.get("options", {})).get("patch", "?"))
        rows.append(
            {"patch": patch}
            | score_row(outcome)
            | {"published R²": published()["table_14"].get(patch)}
        )
    return Section("Patches (Table 14)", [Table(rows, remark("table_14"))])


def tokenizer_section(results: Results, outcomes: Sequence[Outcome]) -> Section:
    """Convolution against sliding windows: the paper's Table 15."""
    rows = []
    for kind in dict.fromkeys(tokenizer_of(o) for o in outcomes):
        chosen = [o for o in outcomes if tokenizer_of(o) == kind]
        trained = [o for o in chosen if o.score("r2").low > TRAINED]
        theirs = published()["table_15"].get(kind, {})
        best = max(chosen, key=lambda o: o.score("r2").value)
        rows.append(
            {
                "tokenizer": kind,
                "trained": f"{len(trained)} of {len(chosen)}",
                "best R²": with_error(best.score("r2")),
                "published: finished": f"{theirs['finished']} of {theirs['total']}"
                if theirs
                else "-",
                "published: best validation R²": theirs.get("best"),
            }
        )
    parts: list = [Table(rows, remark("table_15")), Table([score_row(o) for o in outcomes])]
    return Section("Tokenizers (Table 15)", parts)


def tokenizer_of(outcome: Outcome) -> str:
    """Name of the tokenizer of a run."""
    return str(dict(outcome.run.changes.get("options", {})).get("tokenizer", "conv"))


def bright_section(results: Results, outcomes: Sequence[Outcome]) -> Section:
    """Fine-tuned at magnitude 19: the paper's Table 4."""
    rows = []
    for outcome in outcomes:
        theirs = published()["table_4"].get(outcome.published, {})
        rows.append(
            {"data": outcome.run.data}
            | score_row(outcome)
            | {"published R²": theirs.get("r2"), "published σ": theirs.get("sigma")}
        )
    return Section(
        "Magnitude 19 (Table 4, Fig. 11b)",
        [
            Table(rows, remark("table_4")),
            Picture(
                "mag19_types",
                "σ about zero by stellar type (Fig. 11b)",
                type_figure(results, outcomes, "sigma_robust_uncentred"),
            ),
            *pair_parts(results, outcomes),
        ],
    )


def comb_section(results: Results, outcomes: Sequence[Outcome]) -> Section:
    """Labels on grid nodes against continuous ones."""
    rows = [{"data": o.run.data} | score_row(o) for o in outcomes]
    note = (
        "Same networks, same number of spectra; of the comb data four of five labels of every "
        "star lie on grid nodes. An estimator that has learnt the nodes snaps to them: σ_robust "
        "falls where R² does not."
    )
    return Section("Label comb", [Table(rows, note), *pair_parts(results, outcomes)])


def pair_parts(results: Results, outcomes: Sequence[Outcome]) -> list:
    """Paired differences between the models of each data set."""
    rows = []
    for data in dict.fromkeys(o.run.data for o in outcomes):
        same = [o for o in outcomes if o.run.data == data]
        for second in same[1:]:
            found = differences(
                second.predictions,
                same[0].predictions,
                results.target,
                n_resample=N_RESAMPLE,
                pooled_only=True,
            )[0]
            rows.append(
                {
                    "data": data,
                    "model": second.name,
                    "less": same[0].name,
                    **{
                        name: f"{s.value:+.4f} [{s.low:+.4f}, {s.high:+.4f}]"
                        for name, s in found.scores.items()
                    },
                    "verdict": found.verdict,
                }
            )
    return [Table(rows, "Paired over the same stars.")] if rows else []


def interpretation_section(results: Results) -> Section:
    """Explain the best network with attention of the main comparison, else the best network."""
    networks = [o for o in results.main if o.training_rows()]
    if not networks:
        return Section("What networks look at", [])
    parts: list = []
    with_attention = [o for o in networks if has_attention(o.folder)]
    for outcome in dict.fromkeys([*with_attention[:1], networks[0]]):
        predictor = load_checkpoint(outcome.folder, "cpu")
        found = replace(
            explain(predictor, results.example, results.target, results.bank, results.stars),
            model=outcome.name,
        )
        name = f"explain_{outcome.run.model}"
        caption = f"{outcome.name}: mean spectrum, and where its answer comes from (Fig. 10)"
        parts += [
            Picture(name, caption, interpretation_figure(found, results.notice)),
            Table(
                found.shares(),
                "Share of each curve in index bands of known features. Attention says what is "
                "read, the squared gradient what moves the answer, the information what an "
                "optimal estimator would use.",
            ),
        ]
    return Section("What networks look at (Fig. 10)", parts)


def has_attention(folder: Path) -> bool:
    """Whether the network of a checkpoint has an encoder."""
    network = load_checkpoint(folder, "cpu").estimator.model
    return any(isinstance(m, Encoder) for m in network.modules())
