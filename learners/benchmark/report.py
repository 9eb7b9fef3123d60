"""The benchmark report: the paper's tables and figures rebuilt, with its values beside ours."""

import platform
from importlib.metadata import version

from starsmith.data_contract.errors import ConfigError
from starsmith.fisher.figures import ceiling_figure
from starsmith.learners.benchmark import report_tables as tables
from starsmith.learners.benchmark.document import Document, Picture, Section, Table
from starsmith.learners.benchmark.envelopes import envelopes_of, residual_figure
from starsmith.learners.benchmark.published_values import remark
from starsmith.learners.benchmark.report_figures import (
    FAMILIES,
    bar_figure,
    bin_scores,
    scaling_figure,
    training_figure,
    type_figure,
)
from starsmith.learners.benchmark.results import Results
from starsmith.learners.benchmark.sections import (
    ablation_sections,
    interpretation_section,
    leading_section,
)
from starsmith.learners.estimators.registry import kind_of
from starsmith.learners.evaluation.calibration import calibrate
from starsmith.learners.evaluation.evaluation_figures import calibration_figure, models_figure
from starsmith.learners.evaluation.leak import Verdict

__all__ = ["build_report"]

APOGEE_SHARES = {"giants": 0.143, "subgiants": 0.234, "dwarfs": 0.623}
FEW = 5
PUBLISHED_SNR = (
    "The paper's Table 13 (R²; its ceiling is paper_median), and R² of ours among stars within "
    "0.25 mag of its magnitudes. S/N are medians over pixels; exposures differ, so compare at "
    "equal S/N."
)


def build_report(results: Results, command: str) -> tuple[Document, list[Verdict], list[dict]]:
    """Assemble the report of a suite.

    Parameters
    ----------
    results : Results
    command : str
        That made it.

    Returns
    -------
    document : Document
    verdicts : list of Verdict
        Every model beside the exact posterior mean.
    rows : list of dict
        The table of models, for the terminal.
    """
    sections = []
    if results.main:
        sections += [Section("Checks", tables.checks(results)), *main_sections(results)]
    sections += ablation_sections(results)
    if results.main:
        sections += [interpretation_section(results)]
    sections.append(assumptions(results))
    document = Document(
        title=results.suite.title,
        command=command,
        notice=results.notice,
        facts=facts(results),
        sections=[s for s in sections if s.parts],
        conclusion=conclusion(results),
    )
    rows = tables.summary(results, results.main or results.outcomes)
    return document, list(results.verdicts.values()), rows


def conclusion(results: Results) -> list[str]:
    """What was found, in a few sentences; empty without a main comparison."""
    if not results.main:
        return []
    best = max(results.main, key=lambda outcome: outcome.score("r2").value)
    score = best.score("r2")
    first = (
        f"{best.name} does best of {len(results.main)} models: R² of {results.target} "
        f"{score.value:.3f} (95 % interval {score.low:.3f} to {score.high:.3f})."
    )
    share = results.share_of(best)
    if share is None:
        return [first, "No ceiling was computed: what is possible is not known here."]
    ceiling = results.best_of(best)[0]
    second = f"That is {share:.1%} of what any method could reach ({ceiling:.3f})."
    leaks = [verdict.model for verdict in results.verdicts.values() if verdict.leak]
    third = (
        f"ABOVE THE CEILING, so something leaks: {', '.join(leaks)}."
        if leaks
        else "No model stands above the ceiling anywhere."
    )
    return [first, second, third]


def bars_alt(results: Results) -> str:
    """What the figure of bars shows, for readers who do not see it."""
    ranked = sorted(results.main, key=lambda outcome: -outcome.score("r2").value)
    values = ", ".join(f"{one.name} {one.score('r2').value:.3f}" for one in ranked)
    text = f"Horizontal bars of R² of {results.target}, best first: {values}."
    if results.ceiling_of(ranked[0]) is not None:
        text += f" A vertical line marks the exact ceiling at {results.best_of(ranked[0])[0]:.3f}."
    return text


def facts(results: Results) -> dict[str, str]:
    """Sizes and versions."""
    specs = results.suite.data.values()
    data = "; ".join(
        f"{spec.name}: {' + '.join(f'{n} {name}' for name, n in spec.options['splits'].items())}"
        for spec in specs
    )
    names = ("starsmith", "numpy", "torch", "lightgbm")
    seconds = sum(o.record["train_seconds"] for o in results.outcomes)
    return {
        "about": results.suite.about,
        "spectra": data,
        "labels of the grid": ", ".join(results.bank.label_names),
        "runs": f"{len(results.outcomes)}, {seconds / 60:.1f} minutes of training in all",
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version(name)}" for name in names),
    }


def main_sections(results: Results) -> list[Section]:
    """Return the sections on the main comparison."""
    return [
        models_section(results),
        leading_section(results),
        Section("Is any model too good?", tables.leak_parts(results)),
        snr_section(results),
        residual_section(results),
        *training_sections(results),
        predictions_section(results),
        Section("Another population (Fig. 11c)", population_parts(results)),
        Section(
            "Speed (Table 6)",
            [Table(tables.speed(results), remark("table_6"))],
        ),
        calibration_section(results),
        template_section(results),
    ]


def models_section(results: Results) -> Section:
    """Every model's scores, and which of them differ."""
    return Section(
        "Models (the paper's Table 3, Fig. 6)",
        [
            "R² of the model over that of the exact posterior mean is what is left to the "
            "method; the distance counts paired standard errors of the squared error.",
            Table(tables.models(results), remark("table_3")),
            Picture(
                "models",
                "R² of every model, 95 % intervals (Fig. 6)",
                bar_figure(results),
                bars_alt(results),
            ),
            Table(
                tables.paired(results),
                "Differences from the best, the same stars resampled "
                "for both; an interval that leaves out zero is called better or worse.",
            ),
        ],
    )


def training_sections(results: Results) -> list[Section]:
    """How scores grow with the training set and with epochs, where a suite has either."""
    sections = []
    if curves := results.of("scaling", "epochs"):
        picture = scaling_figure(results, curves)
        parts = [
            Picture("scaling", "R² against training spectra (Figs. 1 and 9)", picture),
            Table(tables.scaling(results, curves), remark("table_10")),
        ]
        title = "Size of the training set (Figs. 1 left and 9, Table 10)"
        sections.append(Section(title, parts))
    if networks := [o for o in results.main if o.training_rows()]:
        picture = training_figure(results, networks)
        caption = "Training loss, validation MAE and R²; dots: the weights kept (Fig. 5)"
        sections.append(Section("Training (Fig. 5)", [Picture("training", caption, picture)]))
    return sections


def predictions_section(results: Results) -> Section:
    """Predicted against true, and errors by stellar type."""
    few = [outcome.predictions for outcome in results.main[:3]]
    return Section(
        "Predictions (Fig. 7, Tables 9 and 5)",
        [
            Picture(
                "predictions",
                "Predicted against true, and errors (Fig. 7)",
                models_figure(few, results.target),
            ),
            *tables.supplementary(results),
            Table(
                tables.types(results),
                "MAE by stellar type [dex]; published values in "
                "brackets (Table 5). Never a place for the leak alarm: by true label a "
                "shrinking estimator may win honestly.",
            ),
            Picture("types", "MAE by stellar type", type_figure(results, results.main[:FEW])),
            Picture(
                "types_scatter",
                "σ about zero by stellar type; the paper's Fig. 11a is of APOGEE stars",
                type_figure(results, results.main[:FEW], "sigma_robust_uncentred"),
            ),
        ],
    )


def snr_section(results: Results) -> Section:
    """R² against S/N under the ceilings: the paper's Fig. 1 right and Table 13."""
    outcomes = results.main
    ceiling = results.ceiling_of(outcomes[0])
    if ceiling is None:
        return Section("Signal-to-noise", [])
    names = {(row.low, row.high): row.name for row in ceiling.rows}
    same = [o for o in outcomes if o.run.data == outcomes[0].run.data]
    shown = [o for o in same if o.run.model not in FAMILIES["exact posterior"]][:FEW]
    try:
        figure = ceiling_figure(ceiling, bin_scores(shown, names))
        drawn = Picture("snr", "R² against S/N, models under the ceilings (Fig. 1)", figure)
    except ConfigError:
        drawn = "No bin of S/N holds stars enough to draw."
    theirs = {outcome.name: outcome.predictions for outcome in same}
    return Section(
        "Signal-to-noise (Fig. 1 right, Table 13)",
        [
            drawn,
            Table(tables.by_snr(results, ceiling, same), remark("table_13")),
            Table(tables.published_snr(ceiling.stars, results.target, theirs), PUBLISHED_SNR),
        ],
    )


def residual_section(results: Results) -> Section:
    """Residuals of SpecViT, or else of the best network, inside the Fisher envelopes: Fig. 12."""
    networks = [o for o in results.main if o.training_rows() and results.ceiling_of(o)]
    chosen = [o for o in networks if o.published == "specvit"] or networks
    found = None
    if chosen:
        stars = results.ceiling_of(chosen[0]).stars
        found = envelopes_of(chosen[0].predictions, stars, results.target)
    if found is None:
        return Section("Residuals", [])
    caption = "Residuals and envelopes against S/N (Fig. 12); the Cramér-Rao bound is of unbiased "
    caption += "estimators, and one that shrinks may lie inside it"
    picture = residual_figure(found, chosen[0].name, results.target, results.notice)
    return Section(
        "Residuals in the Fisher envelopes (Fig. 12)", [Picture("residuals", caption, picture)]
    )


def population_parts(results: Results) -> list:
    """Scores if 62 % of the stars were dwarfs, as in APOGEE."""
    rows = tables.populations(results, APOGEE_SHARES)
    shares = ", ".join(f"{share:.0%} {name}" for name, share in APOGEE_SHARES.items())
    return [
        f"The same predictions, weighted so that the stars are {shares} (the paper's Table 8).",
        Table(rows, "Gaps between models depend on who is in the test set."),
    ]


def calibration_section(results: Results) -> Section:
    """Coverage, PIT and z of the models that state uncertainties."""
    known = [o for o in results.main if o.predictions.uncertainty is not None]
    if not known:
        return Section("Calibration", [])
    tables_of = [o.predictions for o in known]
    rows = [tables.calibration_row(calibrate(t, results.target)) for t in tables_of]
    return Section(
        "Calibration of stated uncertainties",
        [
            Picture("calibration", "PIT, coverage and z-scores; grey: a perfect model",
                    calibration_figure(tables_of, results.target)),
            Table(rows, "Distributions are taken as Gaussian; a posterior cut off by the ends of "
                  "the prior is not, and bends the PIT a little. Template fitting states its "
                  "Cramér-Rao bound, which knows nothing of second minima."),
        ],
    )  # fmt: skip


def template_section(results: Results) -> Section:
    """Template fitting for every label, and its failures: the paper's Appendix H."""
    found = [o for o in results.main if kind_of(o.run.model).needs_forward]
    if not found:
        return Section("Template fitting", [])
    return Section(
        "Template fitting and posterior mean, every label (Appendix H)",
        [Table(tables.labels(results, found), remark("appendix_h"))],
    )


def assumptions(results: Results) -> Section:
    """Return what the ceilings assume."""
    parts: list = []
    for name, table in results.ceilings.items():
        rows = [
            {"of": key.replace("_", " "), "assumed": text} for key, text in table.header.items()
        ]
        parts += [f"Ceiling of data set {name}", Table(rows)]
    return Section("What the ceilings assume", parts)
