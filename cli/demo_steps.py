"""The steps of the demonstration, each kept on disk and skipped when it is there."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from starsmith.cli.learn.train import train_model
from starsmith.cli.shared.options import BankSource
from starsmith.cli.shared.progress import progress_bar, tell_ceiling, told_bank
from starsmith.cli.sim.generate import requested
from starsmith.data_contract import Predictions, read_predictions
from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.files.atomic import write_text
from starsmith.data_contract.noise.view import true_error
from starsmith.data_contract.predictions import write_predictions
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.data_contract.spectrum_figure import plot_errors, plot_magnitudes
from starsmith.data_contract.text_tables import text_table
from starsmith.fisher.ceilings.ceiling_table import CeilingRow, CeilingTable
from starsmith.fisher.ceilings.dataset_stars import DatasetStars, ceiling_of
from starsmith.fisher.ceilings.leak_test import ABOVE_CEILING, ALARM_SIGMA, MIN_STARS, leak_verdict
from starsmith.fisher.ceilings.options import CeilingOptions
from starsmith.fisher.figures import plot_ceiling
from starsmith.fisher.information.grid_nodes import middle_conditions
from starsmith.learners import (
    Evaluation,
    evaluate_predictions,
    load_checkpoint,
    load_recipe,
    predict,
)
from starsmith.learners.benchmark.ceiling_file import read_ceiling_file, write_ceiling_file
from starsmith.learners.estimators.registry import with_forward
from starsmith.learners.evaluation.evaluation_figures import plot_models
from starsmith.simulator.generation.recorded import open_recorded
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior

__all__ = [
    "ceilings",
    "draw",
    "generate",
    "open_population",
    "score_table",
    "train_and_predict",
    "write_report",
]

TARGET = "logg"
MAGS = (20.5, 21.0, 22.0, 22.5)
STAR = {"teff": 4750.0, "logg": 2.5, "m_h": -0.5}
STATISTICS = ("paper_median", "bayes_gauss", "posterior_mean")


def open_population(source: BankSource) -> DatasetStars:
    """Return the bank, rendered and cached on first use, with the default prior."""
    return DatasetStars(source.open(), Prior.default())


def generate(bank: Path | None, counts: dict[str, int], out: Path, workers: int) -> Path:
    """Write the data set, or find it complete; returns its path."""
    splits = ",".join(f"{split}={count}" for split, count in counts.items())
    words = ["--splits", splits, "--out", str(out), "--workers", str(workers)]
    request = requested([*words, *(["--bank", str(bank)] if bank else [])])
    with progress_bar("spectra") as progress:
        request.write(progress)
    return out


def train_and_predict(model: str, changes: dict, data: Path, folder: Path) -> Predictions:
    """Train a model and predict the test split; a finished run is read back."""
    dataset = open_recorded(data)
    view = with_forward(model, dataset.training(), dataset, told_bank)
    train_model(model, view, (TARGET,), load_recipe(model, model, **changes), folder / model)
    kept = folder / f"{model}_predictions.ecsv"
    if kept.exists() and (found := read_predictions(kept)).dataset == dataset.digest:
        return found
    predictions = predict(load_checkpoint(folder / model), dataset.split("test"))
    write_predictions(kept, predictions)
    return predictions


def ceilings(data: Path, kept: Path, n_template: int) -> CeilingTable:
    """Compute the ceilings of all test stars; a finished table is read back."""
    dataset = open_recorded(data)
    statistics = list(STATISTICS)
    origin = {"dataset": dataset.digest, "n_template": n_template, "statistics": statistics}
    if (found := read_ceiling_file(kept, origin)) is not None:
        return found
    options = CeilingOptions(
        snr_edges=SNR_EDGES,
        n_star=len(dataset.split("test")),
        n_template=n_template,
        statistics=STATISTICS,
    )
    table = ceiling_of(dataset, TARGET, options, progress=tell_ceiling)
    write_ceiling_file(kept, origin, table)
    return table


def same_star(bank: Bank, prior: Prior, mags: tuple[float, ...]) -> SpectrumBatch:
    """Observe one giant at several magnitudes under middling conditions."""
    draws = draw_stars(bank, prior, 0, "test", np.arange(len(mags)))
    labels = np.array([[STAR[name] for name in bank.label_names]] * len(mags))
    conditions = np.repeat(middle_conditions(prior), len(mags), axis=0)
    return observe(bank, replace(draws, labels=labels, mag=np.array(mags), conditions=conditions))


def draw(
    population: DatasetStars,
    predictions: Mapping[str, Predictions],
    table: CeilingTable,
    out: Path,
) -> dict[str, str]:
    """Draw the four figures of the demonstration.

    Returns
    -------
    figures : dict of file name to caption
    """
    bank = population.bank
    batch = same_star(bank, population.prior, MAGS)
    sigma = true_error(bank.noise, batch.flux_model, batch.draws.conditions)
    plot_magnitudes(out / "spectra.png", batch, bank.notice)
    plot_errors(out / "errors.png", batch, sigma, bank.notice)
    plot_ceiling(table, out / "r2_snr.png", models=bin_scores(predictions, table))
    plot_models(list(predictions.values()), out / "predictions.png")
    return {
        "spectra.png": "One giant at four magnitudes, observed over noiseless",
        "errors.png": "Its noise against wavelength, absolute and relative",
        "r2_snr.png": "R² against S/N, models under the ceilings",
        "predictions.png": "Predicted against true log g, and the errors of all",
    }


def evaluations(predictions: Mapping[str, Predictions]) -> dict[str, Evaluation]:
    """Score every model, pooled and in the standard bins."""
    return {name: evaluate_predictions(p, TARGET) for name, p in predictions.items()}


def bin_scores(predictions: Mapping[str, Predictions], table: CeilingTable) -> dict:
    """Model -> bin name -> (R², low, high), for the figure."""
    names = {(row.low, row.high): row.name for row in table.rows}
    return {
        model: {
            names[b.snr_min, b.snr_max]: (r2.value, r2.low, r2.high)
            for b in evaluation.bins
            if b.scores and (b.snr_min, b.snr_max) in names
            for r2 in [b.scores["r2"]]
        }
        for model, evaluation in evaluations(predictions).items()
    }


def score_table(predictions: Mapping[str, Predictions], table: CeilingTable) -> list[dict]:
    """R² of models and ceilings, pooled and per bin of S/N, with the verdict of each row.

    A row is ``ABOVE CEILING`` where a model's squared errors, star by star, are below those of
    the posterior mean by more than chance allows: three standard errors, all rows considered.
    """
    scored = evaluations(predictions)
    judged = {
        name: leak_verdict(one.index, one.value[:, 0], table) for name, one in predictions.items()
    }
    rows = []
    for ceiling in table.rows:
        models = {name: _interval(scored[name], ceiling) for name in scored}
        best, best_error = ceiling.r2["posterior_mean"]
        verdicts = {name: one.verdict(ceiling.name) for name, one in judged.items()}
        rows.append(
            {
                "S/N": ceiling.name,
                "n": ceiling.n,
                **{name: _with_error(r2) for name, r2 in models.items()},
                "paper_median": ceiling.score("paper_median"),
                "bayes_gauss": f"{ceiling.r2['bayes_gauss'][0]:.3f}",
                "posterior_mean": f"{best:.3f} ± {best_error:.3f}",
                "verdict": _verdict(verdicts),
            }
        )
    return rows


def _interval(evaluation: Evaluation, ceiling: CeilingRow):
    if ceiling.name == "all":
        return evaluation.scores["r2"]
    for one in evaluation.bins:
        if (one.snr_min, one.snr_max) == (ceiling.low, ceiling.high) and one.scores:
            return one.scores["r2"]
    return None


def _with_error(r2) -> str:
    return f"{r2.value:.3f} ± {r2.error:.3f}" if r2 else "-"


def _verdict(verdicts: Mapping[str, str]) -> str:
    """What is said of a row: the names of the models above the ceiling, if any."""
    above = [name for name, verdict in verdicts.items() if verdict == ABOVE_CEILING]
    return f"{ABOVE_CEILING}: {', '.join(above)}" if above else next(iter(verdicts.values()))


def write_report(
    predictions: Mapping[str, Predictions],
    table: CeilingTable,
    figures: Mapping[str, str],
    path: Path,
) -> str:
    """Write the report; returns its table for the terminal."""
    scores = text_table(score_table(predictions, table))
    notice = f"\n{table.notice}\n" if table.notice else ""
    summary = f"R² of log g on {table.rows[0].n} test spectra, and the best R² possible\n"
    legend = (
        "`posterior_mean` is the ceiling: no estimator that sees only the spectrum does better. "
        "`paper_median` and `bayes_gauss` are what is often quoted instead. The verdict compares "
        f"squared errors star by star, where a bin has {MIN_STARS} spectra: ABOVE CEILING means "
        f"better by more than {ALARM_SIGMA:g} standard errors, all rows considered.\n"
    )
    pictures = "\n".join(f"![{caption}]({name})\n" for name, caption in figures.items())
    write_text(
        path,
        f"# starsmith demonstration\n{notice}\n{summary}\n{scores}\n\n{legend}\n{pictures}\n"
        f"## What the ceilings assume\n\n{table.to_markdown()}",
    )
    return f"{notice}\n{summary}\n{scores}\n\nReport and figures: {path}"
