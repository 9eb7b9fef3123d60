"""``specfisher ceiling``: the best R² any estimator can reach."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.fisher.options import (
    UNUSED_BY_CEILINGS,
    effort_options,
    nuisance_option,
    parse_nuisances,
    target_option,
)
from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import EXISTING, PATH, flag, grouped, option, takes
from starsmith.cli.shared.option_types import Edges, Named, Numbers
from starsmith.cli.shared.options import (
    BANK_OPTIONS,
    RANGES,
    BankSource,
    bank_options,
    config_option,
    typed_on_command_line,
)
from starsmith.cli.shared.progress import progress_bar, tell_ceiling
from starsmith.cli.shared.survey_options import (
    NOISE,
    OF_SURVEYS,
    noise_options,
    preset_option,
    survey_prior_options,
)
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import SNR_KINDS
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.data_contract.noise.view import NoiseModel
    from starsmith.fisher.ceilings.dataset_stars import DatasetStars
    from starsmith.fisher.ceilings.options import CeilingOptions
    from starsmith.simulator.prior import Prior

__all__ = ["CeilingRequest", "ceiling"]

OTHERS = ("population", "preset", *OF_SURVEYS)
"""Options that a data set fixes too."""
NOT_OF_VELOCITY = ("target", "mags", "statistics", "by_arm", "noise_term", "plot", "nuisance")
OF_DOMAIN = ("domain", "target", "snr_bins", "n_star", "grid", "out", "overwrite", "as_json")
"""Options that go with a domain."""
N_DOMAIN = 500  # stars of a domain, each with a posterior of its own
SUFFIXES = (".ecsv", ".json", ".md")


@dataclass(frozen=True, kw_only=True)
class CeilingRequest:
    """Options of ``specfisher ceiling``."""

    snr_bins: tuple[float, ...] | None = option(
        type=Edges(),
        is_flag=False,
        flag_value="default",
        help="Also in bins of S/N: bare for 0,2,3,4,5,7,10,15,25,inf, `specvit` for the paper's "
        "2.5..28, or your own edges.",
    )
    snr_statistic: str = option(
        type=Named(list(SNR_KINDS)),
        default="median",
        help="S/N of the bins: median, or p95 (95th percentile, as published logs), over pixels.",
    )
    mags: tuple[float, ...] = option(
        type=Numbers(), default=(), help="A row per magnitude, instead of S/N bins and --mag."
    )
    target: str = target_option()
    velocity: bool = option(
        is_flag=True, help="Bounds on the radial velocity [km/s] instead of a label."
    )
    data: Path | None = option(
        type=EXISTING, help="Score the test stars of this data set, with its bank and prior."
    )
    domain: str | None = option(
        metavar="SURVEY[,KNOB=VALUE...]",
        help="In a domain of the laboratory, e.g. desi,g=0.5, or a TOML file of survey and knobs.",
    )
    effort: "CeilingOptions" = grouped(effort_options)
    nuisance: str = nuisance_option()
    statistics: str | None = option(
        "--statistic",
        help="Statistics to compute, with commas; `paper` is paper_median.  [default: all six]",
    )
    derivative: str = option(
        type=Named(["grid", "spline"]),
        default="grid",
        help="At nodes, for paper_median: three-point differences, or the spline's slope.",
    )
    by_arm: bool = option(is_flag=True, help="Every arm by itself, beside all of them.")
    noise_term: bool = option(is_flag=True, help="Count what the variance itself tells.")
    out: Path | None = option(type=PATH, help="Table: .ecsv, .json or .md.")
    plot: Path | None = option(type=PATH, help="R2 against S/N (png, pdf, svg).")
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()
    source: BankSource = grouped(bank_options)
    prior: "Prior" = grouped(survey_prior_options)
    preset: str | None = preset_option()
    noise: "NoiseModel" = grouped(noise_options)

    def check_outputs(self) -> None:
        """Refuse impossible outputs before the work is done."""
        from starsmith.data_contract.figure_kit import check_suffix
        from starsmith.data_contract.files.atomic import refuse_existing

        check_suffix(self.plot)
        if self.out is not None and self.out.suffix not in SUFFIXES:
            raise ConfigError(
                f"{self.out}: ceilings are written as {SUFFIXES}; give --out one of these"
            )
        refuse_existing(self.out, self.overwrite)

    def choices(self) -> "CeilingOptions":
        """What the table is to hold."""
        chosen = replace(
            self.effort,
            mags=self.mags,
            nuisances=parse_nuisances(self.nuisance),
            derivative=self.derivative,
            noise_term=self.noise_term,
            snr_statistic=self.snr_statistic,
        )
        if self.statistics is not None:
            names = self.statistics.split(",")
            renamed = (("paper_median" if name == "paper" else name) for name in names)
            chosen = replace(chosen, statistics=tuple(renamed))
        return chosen if self.snr_bins is None else replace(chosen, snr_edges=self.snr_bins)

    def stars(self) -> "DatasetStars":
        """Return the data set's stars, or those of the bank, prior and noise asked for."""
        from starsmith.fisher.ceilings.dataset_stars import DatasetStars, refuse_unbounded
        from starsmith.simulator.generation.generate import check_population
        from starsmith.simulator.generation.recorded import open_recorded
        from starsmith.simulator.presets import settle

        if self.data is None:
            refuse_unbounded(self.prior, self.velocity)
            bank = self.source.open()
            if self.prior.population is not None:
                check_population(bank, self.prior.population)
            prior = settle(self.preset or "", bank, self.prior)
            return DatasetStars(bank, prior, None, self.noise)
        if typed := typed_on_command_line(*BANK_OPTIONS, *RANGES, *NOISE, *OTHERS):
            raise ConfigError(
                "--data already fixes the bank, the prior and the noise; drop "
                + ", ".join(map(flag, typed))
            )
        return DatasetStars.of(open_recorded(self.data), moving=self.velocity)

    def domain_rows(self) -> tuple[dict, list[dict]]:
        """Card of the domain asked for, and its ceilings by label and group of stars."""
        from starsmith.fisher.domain_table import domain_ceilings, domain_rows
        from starsmith.simulator.domains.request import DomainRequest

        given = [p.name for p in click.get_current_context().command.params if p.name is not None]
        if typed := typed_on_command_line(*(name for name in given if name not in OF_DOMAIN)):
            raise click.UsageError(f"--domain goes without {', '.join(map(flag, typed))}; drop it")
        asked = DomainRequest.of_text(self.domain or "")
        if typed_on_command_line("grid"):
            asked = replace(asked, grid=self.source.grid)
        with progress_bar("grid", "models") as report:
            domain = asked.build(report)
        n_star = self.effort.n_star if typed_on_command_line("n_star") else N_DOMAIN
        tell_ceiling(f"posterior of {n_star} stars of {domain.survey.name}, continuum known, free")
        stars, known, free = domain_ceilings(domain, n_star)
        rows = domain_rows(domain.label_names, stars, known, free, self.snr_bins or ())
        if typed_on_command_line("target"):
            if self.target not in domain.label_names:
                raise ConfigError(
                    f"--target {self.target}: the grid has {', '.join(domain.label_names)}"
                )
            rows = [row for row in rows if row["label"] == self.target]
        few = {"continuum_known": known.n_few, "continuum_free": free.n_few}
        return domain.card() | {"n_star": n_star, "stars_of_few_draws": few}, rows

    def velocity_rows(self) -> list[dict]:
        """Bounds on the radial velocity, of all stars and of each bin asked for."""
        from starsmith.data_contract.quantities import SNR_EDGES
        from starsmith.fisher.ceilings.velocity import velocity_bounds

        if typed := typed_on_command_line(*NOT_OF_VELOCITY):
            raise click.UsageError(
                "--velocity has Cramér-Rao bounds only; drop " + ", ".join(map(flag, typed))
            )
        stars, effort = self.stars(), self.effort
        found = velocity_bounds(
            stars.bank, stars.prior, stars.draws, stars.noise, effort.n_star, effort.seed
        )
        rows = found.rows(self.snr_bins or SNR_EDGES)
        return rows if self.snr_bins else rows[:1]


@click.command(
    cls=Command,
    examples=(
        "specfisher ceiling --snr-bins",
        "specfisher ceiling --data data.zarr --snr-bins 0,5,10,inf --plot ceiling.png",
        "specfisher ceiling --mag 22-22.5 --target teff --out ceiling.ecsv",
        "specfisher ceiling --mags 20.5,21,22",
        "specfisher ceiling --velocity --snr-bins",
        "specfisher ceiling --domain desi,g=0.5,flux_calibration=0.03",
        "specfisher ceiling --preset specvit --mag 19..22.5 --snr-bins specvit",
        "specfisher ceiling --population stars.ecsv --sky-floor correlated --snr-bins",
        "specfisher ceiling --grid bosz.zarr --instrument b+r+n --population stars.ecsv --by-arm",
    ),
)
@takes(CeilingRequest)
@config_option(*UNUSED_BY_CEILINGS)
def ceiling(options: CeilingRequest) -> None:
    """Compute the best R2 any estimator can reach.

    `posterior_mean` is the one true ceiling; the other statistics are there to compare with
    what papers quote.
    """
    from starsmith.fisher.figures import plot_ceiling

    if options.mags and (typed := typed_on_command_line("snr_bins", "data", "mag")):
        raise click.UsageError(f"--mags sets stars and rows; drop {', '.join(map(flag, typed))}")
    options.check_outputs()
    if options.domain is not None:
        _tell_domain(options)
        return
    if options.velocity:
        _tell_velocity(options)
        return
    choices = options.choices()
    table = options.stars().ceiling(options.target, choices, options.by_arm, tell_ceiling)
    if options.plot:
        plot_ceiling(table, options.plot, table.arm_scores())
    table = table if options.snr_bins or options.mags else table.pooled()
    if options.out:
        table.write(options.out)
    click.echo(table.to_json() if options.as_json else table.to_markdown())


def _tell_velocity(options: CeilingRequest) -> None:
    """Print, and write where asked, the bounds on the radial velocity."""
    rows = options.velocity_rows()
    text = f"Cramér-Rao bounds on the radial velocity [km/s]\n\n{text_table(rows)}"
    _write_rows(options.out, rows, text, {"rv": rows})
    if options.as_json:
        echo_json("specfisher.velocity", {"target": "rv", "unit": "km s-1", "rows": rows})
    else:
        click.echo(text)


def _tell_domain(options: CeilingRequest) -> None:
    """Print, and write where asked, the ceilings of a domain."""
    card, rows = options.domain_rows()
    survey, knobs = card["survey"], card["knobs"]
    text = (
        f"The best R2 in {survey['name']}, {survey['wave'][0]:.0f}-{survey['wave'][1]:.0f} Å, "
        f"g = {knobs['g']:g}, of flux before standardising\n\n"
        f"{text_table([_domain_line(row) for row in rows])}\n\n"
        "R2 is that of the exact posterior mean on true labels, `expected` what its variances "
        "say; with a free continuum five polynomials multiply the flux. Against labels of the "
        "pipeline the same estimate has the R2 of the last column."
    )
    if few := max(card["stars_of_few_draws"].values()):
        text += f"\nPosteriors of up to {few} stars rest on few draws."
    text += f"\n{card['notice']}" if card["notice"] else ""
    _write_rows(options.out, rows, text, {"domain": card, "rows": rows})
    if options.as_json:
        echo_json("specfisher.domain_ceiling", {"domain": card, "rows": rows})
    else:
        click.echo(text)


def _domain_line(row: dict) -> dict:
    line = {"label": row["label"], "stars": row["group"], "n": row["n"], "S/N": row["snr"]}
    for name in ("R2", "continuum_free", "pipeline_labels"):
        line[name.replace("_", " ")] = f"{row[name]:.3f} ± {row[f'{name}_error']:.3f}"
    return {**line, "expected": row["expected"], "RMSE": row["rmse"]}


def _write_rows(out: Path | None, rows: list[dict], text: str, content: dict) -> None:
    """Write rows as ``.ecsv``, the text as ``.md``, or the content as ``.json``."""
    import json

    from starsmith.data_contract.files.atomic import json_safe, staged_file, write_text

    if out is None:
        return
    if out.suffix == ".ecsv":
        from astropy.table import Table

        with staged_file(out) as partial:
            Table(rows=rows).write(partial, format="ascii.ecsv", overwrite=True)
    else:
        as_json = out.suffix == ".json"
        write_text(out, (json.dumps(json_safe(content), indent=2) if as_json else text) + "\n")
