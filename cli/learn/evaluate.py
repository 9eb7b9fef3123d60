"""``speclearn evaluate``: how good models are."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.cli.shared.option_types import SPLIT_NAMES, Count, Edges, Labels, Named
from starsmith.cli.shared.progress import say, tell_ceiling
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import SNR_KINDS

if TYPE_CHECKING:
    from starsmith.data_contract.dataset.split import Split
    from starsmith.data_contract.predictions import Predictions
    from starsmith.learners.evaluation.calibration import Calibration
    from starsmith.learners.evaluation.leak import Verdict
    from starsmith.learners.evaluation.model_report import ModelReport
    from starsmith.learners.evaluation.posterior_scores import PosteriorScores
    from starsmith.learners.evaluation.velocity_scores import VelocityScores

__all__ = ["Inquiry", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """What is asked about models: options of ``speclearn evaluate``."""

    models: tuple[Path, ...] = argument(metavar="MODEL...", nargs=-1, type=EXISTING)
    data: Path = argument(type=EXISTING)
    split: str | None = option(type=Named(SPLIT_NAMES), help="Which spectra.  [default: test]")
    target: str | None = option(type=Labels(), help="Which label.  [default: first]")
    snr_bins: tuple[float, ...] = option(
        type=Edges(), default="default", show_default=False, help="Bin edges, like 0,5,10,inf."
    )
    snr_statistic: str = option(
        type=Named(list(SNR_KINDS)),
        default="median",
        help="S/N of the bins: median, or p95 (95th percentile, as published logs), over pixels.",
    )
    mag_bins: tuple[float, ...] | None = option(
        type=Edges(), help="Bin edges.  [default: every half magnitude]"
    )
    ceiling: bool = option(is_flag=True, help="Beside the exact posterior mean of the same stars.")
    n_template: int = option(type=Count(1000), default=40_000, help="Templates behind --ceiling.")
    calibration: bool = option(
        is_flag=True, help="Check stated uncertainties, where a model states them."
    )
    velocity: bool = option(
        is_flag=True, help="Measure radial velocities: sigma over its bound, outliers, coverage."
    )
    noise_draws: int | None = option(
        type=Count(), help="Average over this many further noise draws."
    )
    population: str | None = option(
        help="Scores for other shares: giants=0.14,subgiants=0.24,dwarfs=0.62."
    )
    out: Path | None = option(type=PATH, help="ECSV table of the predictions.")
    plot: Path | None = option(type=PATH, help="Predicted against true.")
    calibration_plot: Path | None = option(type=PATH, help="PIT, coverage, z.")
    device: str | None = device_option()
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()

    def answer(self) -> "ModelReport":
        """Predict, score and compare; write what was asked for."""
        from starsmith.learners import evaluate_predictions
        from starsmith.learners.evaluation.model_report import ModelReport, unique_names
        from starsmith.learners.evaluation.pairs import against_best
        from starsmith.learners.evaluation.weighting import reweight
        from starsmith.simulator.generation.recorded import open_recorded

        fractions = self._check()
        rows = open_recorded(self.data).split(self.split or "test")
        tables = unique_names([self._predictions(path, rows) for path in self.models], self.models)
        label = self.target or tables[0].labels[0]
        binned = [table.with_snr(self.snr_statistic) for table in tables]
        scored = [
            evaluate_predictions(t, label, self.snr_bins, mag_edges=self.mag_bins) for t in binned
        ]
        report = ModelReport(
            evaluations=scored,
            differences=list(against_best(binned, label, snr_edges=self.snr_bins))
            if len(tables) > 1
            else [],
            calibrations=self._calibrate(tables, label),
            populations=[reweight(t, fractions, label) for t in tables] if fractions else [],
            verdicts=self._verdicts(binned, label, rows),
            posteriors=self._posteriors(rows) if self.calibration else [],
            velocities=self._velocities(rows) if self.velocity else [],
        )
        self._write(tables, label)
        return report

    def _check(self) -> dict[str, float] | None:
        """Refuse what cannot be done before any work; fractions of another population."""
        from starsmith.data_contract.figure_kit import check_suffix
        from starsmith.data_contract.files.atomic import refuse_existing
        from starsmith.learners.evaluation.weighting import parse_fractions

        for figure in (self.plot, self.calibration_plot):
            check_suffix(figure)
        refuse_existing(self.out, self.overwrite)
        if self.out and len(self.models) > 1:
            raise ConfigError("--out holds the predictions of one model; evaluate one at a time")
        if self.velocity and not any(path.is_dir() for path in self.models):
            raise ConfigError("--velocity measures with a model's own stars: give its checkpoint")
        if self.ceiling and self.split not in (None, "test"):
            raise ConfigError("--ceiling is that of the test stars; drop --split")
        return parse_fractions(self.population) if self.population else None

    def _predictions(self, path: Path, rows: "Split") -> "Predictions":
        from starsmith.data_contract.predictions import read_predictions
        from starsmith.learners import load_checkpoint
        from starsmith.learners.evaluation.evaluate import check_predictions, check_split
        from starsmith.learners.evaluation.noise_marginal import marginalise_noise
        from starsmith.learners.prediction.matching import predict_any

        if path.is_file():
            return check_predictions(read_predictions(path), path, rows)
        predictor = load_checkpoint(path, self.device)
        check_split(predictor, rows, allow_train=self.split == "train")
        if self.noise_draws:
            return marginalise_noise(predictor, rows, self.noise_draws)
        return predict_any(predictor, rows)

    def _calibrate(self, tables: list["Predictions"], label: str) -> list["Calibration"]:
        from starsmith.learners.evaluation.calibration import calibrate

        if not (self.calibration or self.calibration_plot):
            return []
        stating = [table for table in tables if table.uncertainty is not None]
        for table in tables:
            if stating and table.uncertainty is None:
                say(f"{table.model} states no uncertainties: its calibration is not checked")
        return [calibrate(table, label) for table in stating or tables]

    def _posteriors(self, rows: "Split") -> list["PosteriorScores"]:
        """Scores of whole posteriors, of the models that have one."""
        from starsmith.learners import load_checkpoint
        from starsmith.learners.evaluation.posterior_scores import score_posterior
        from starsmith.learners.prediction.posterior_draws import has_posterior

        opened = [load_checkpoint(p, self.device) for p in self.models if p.is_dir()]
        return [score_posterior(model, rows) for model in opened if has_posterior(model)]

    def _velocities(self, rows: "Split") -> list["VelocityScores"]:
        """Scores of measured velocities, beside their bounds where the stars were simulated."""
        from starsmith.fisher.ceilings.velocity import velocity_bounds
        from starsmith.learners import load_checkpoint
        from starsmith.learners.evaluation.velocity_scores import score_velocity
        from starsmith.simulator.generation.recorded import recorded_bank
        from starsmith.simulator.prior import Prior

        opened = [load_checkpoint(p, self.device) for p in self.models if p.is_dir()]
        bound, header = None, rows.header
        if header.noise is not None:
            prior = Prior({name: tuple(span) for name, span in header.prior.items()})
            bank = recorded_bank(self.data)
            bound = velocity_bounds(bank, prior, rows.draws, header.noise_terms, len(rows)).sigma
        return [score_velocity(model, rows, bound, self.snr_bins) for model in opened]

    def _verdicts(self, tables: list["Predictions"], label: str, rows: "Split") -> list["Verdict"]:
        from starsmith.fisher import CeilingOptions, ceiling_of
        from starsmith.learners.evaluation.leak import hold_against

        if not self.ceiling:
            return []
        options = CeilingOptions(
            snr_edges=self.snr_bins,
            n_star=len(rows),
            n_template=self.n_template,
            statistics=("posterior_mean",),
            snr_statistic=self.snr_statistic,
        )
        found = ceiling_of(self.data, label, options, progress=tell_ceiling)
        return [hold_against(table, found.stars, label, self.snr_bins) for table in tables]

    def _write(self, tables: list["Predictions"], label: str) -> None:
        from starsmith.data_contract.predictions import write_predictions
        from starsmith.learners import plot_predictions
        from starsmith.learners.evaluation.evaluation_figures import plot_calibration, plot_models

        if self.out:
            write_predictions(self.out, tables[0])
        if self.plot:
            if len(tables) == 1:
                plot_predictions(tables[0], self.plot, label)
            else:
                plot_models(tables, self.plot, label)
        if self.calibration_plot:
            stating = [table for table in tables if table.uncertainty is not None]
            plot_calibration(stating, self.calibration_plot, label)


@click.command(
    cls=Command,
    examples=(
        "speclearn evaluate ridge/ data.zarr",
        "speclearn evaluate vit/ data.zarr --split val --out predictions.ecsv --plot scores.png",
        "speclearn evaluate vit/ ridge/ trees.ecsv data.zarr     (differences, star by star)",
        "speclearn evaluate vit/ data.zarr --ceiling             (exit 3 if it is too good)",
        "speclearn evaluate gp/ data.zarr --calibration --calibration-plot pit.png",
        "speclearn evaluate ridge/ data.zarr --velocity          (radial velocities)",
    ),
)
@takes(Inquiry)
def evaluate(options: Inquiry) -> None:
    """Score models on spectra of DATA they were not trained on.

    A MODEL is a checkpoint folder, or a table of predictions that was written for the same
    spectra. Of several, every one is also compared with the best, star by star. The train
    split is scored only where --split train says so.
    """
    if not options.models:
        raise click.UsageError("give one MODEL at least, then DATA: speclearn evaluate vit/ data")
    report = options.answer()
    if options.as_json:
        echo_json("speclearn.evaluate", report.to_dict())
    else:
        click.echo(report.to_markdown())
    report.refuse_leaks()
