"""``speclearn bench lab``: strategies of transfer where the target's ceiling is known."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, PATH, option, takes
from starsmith.cli.shared.progress import progress_bar, say
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starsmith.learners.benchmark.flags import FlagSet
    from starsmith.learners.benchmark.lab import LabSuite, LabTarget
    from starsmith.learners.transfer.samples import Sample
    from starsmith.simulator.domains.domain import Domain, Stars

__all__ = ["LabOptions", "lab"]

FLAGS = "flags.json"
N_ALIKE, N_FLAG = 2000, 500  # spectra whose flags are counted: of the source's kind, of others
FEWEST = 32  # stars of a target, whatever is learned from them: its statistics are told


@dataclass(frozen=True, kw_only=True)
class LabOptions:
    """Options of ``speclearn bench lab``."""

    suite: str = option(default="default", help="ci, default, full, or a TOML file.")
    out: Path | None = option(type=PATH, help="Folder of cells.  [default: bench/lab-SUITE]")
    grid: Path | None = option(type=EXISTING, help="Grid A.  [default: the laboratory's own]")
    grid_b: Path | None = option(
        type=EXISTING, help="Grid B, on nodes and wavelengths of A.  [default: a second physics]"
    )
    flags: bool = option(
        is_flag=True,
        help="How often flux is called unlike the training set: at each g, and of contaminants.",
    )
    report_only: bool = option(is_flag=True, help="Write the table of what is there.")
    device: str | None = device_option()
    as_json: bool = json_option()

    @property
    def folder(self) -> Path:
        """Where cells are kept."""
        return self.out or Path("bench") / f"lab-{Path(self.suite).stem}"


@click.command(
    cls=Command,
    examples=(
        "speclearn bench lab --suite ci",
        "speclearn bench lab --suite default --out lab/",
        "speclearn bench lab --suite default --flags",
        "speclearn bench lab --suite my_lab.toml --grid a.zarr --grid-b b.zarr",
    ),
    resume="finished cells are kept; run the same command again to continue",
)
@takes(LabOptions)
def lab(options: LabOptions) -> None:
    """Bring networks from one simulated survey to another that differs by known amounts.

    The dial g goes from the physics of the source to another one; each result is R² over that of
    the exact posterior mean in the target, by groups of stars, with errors by stars resampled.
    """
    from starsmith.learners.benchmark.lab import cell_rows, load_lab, run_lab

    suite = load_lab(options.suite)
    if options.flags:
        _tell_flags(options, suite)
        return
    if options.report_only:
        rows = cell_rows(suite, options.folder)
    else:
        world = _World(options, suite)
        rows = run_lab(
            suite, options.folder, world.source, world.target, options.device, say
        )  # fmt: skip
    if options.as_json:
        echo_json("speclearn.bench.lab", {"suite": suite.name, "rows": rows})
    else:
        click.echo(text_table([_line(row) for row in rows if row["group"] == "all"]))
        click.echo(f"\n{options.folder}")


def _tell_flags(options: LabOptions, suite: "LabSuite") -> None:
    """Print, and keep in the folder, how often spectra seen by the source are flagged."""
    import json

    from starsmith.data_contract.files.atomic import write_text
    from starsmith.learners.benchmark.flags import flag_rows
    from starsmith.learners.transfer.samples import training_view

    world = _World(options, suite)
    train, val = world.source()
    rows = flag_rows(training_view(train, val), world.flag_sets(say))
    options.folder.mkdir(parents=True, exist_ok=True)
    write_text(options.folder / FLAGS, json.dumps({"survey": suite.source, "rows": rows}) + "\n")
    if options.as_json:
        echo_json("speclearn.bench.lab.flags", {"suite": suite.name, "rows": rows})
    else:
        click.echo(text_table(rows))


def _line(row: dict) -> dict:
    kept = {name: row[name] for name in ("g", "n", "strategy", "seed", "label")}
    told = {"R2": row["r2"], "ceiling": row["r2_ceiling"], "continuum free": row["r2_free"]}
    told |= {"R2 / ceiling": f"{row['ratio']:.3f} ± {row['error']:.3f}"}
    return kept | told | {"by pipeline labels": row["ratio_pipeline"]}


class _World:
    """Stars and ceilings of a suite's surveys."""

    def __init__(self, options: LabOptions, suite: "LabSuite"):
        self.options, self.suite = options, suite

    def _domain(self, survey: str, g: float, seed: int, of_target: bool) -> "Domain":
        from starsmith.simulator.domains.domain import Knobs, build_domain
        from starsmith.simulator.domains.request import lab_grids

        suite = self.suite
        knobs = Knobs(g=g, seed=seed)
        if of_target:
            knobs = Knobs(
                g=g,
                seed=seed,
                flux_calibration=suite.flux_calibration,
                lsf=suite.lsf,
                label_offset=suite.label_offset,
                label_scale=suite.label_scale,
                population=suite.population,
            )
        options = self.options
        with progress_bar("grid", "models") as report:
            grids = lab_grids(g, suite.box, options.grid, options.grid_b, report)
        return build_domain(survey, knobs, grids[0], grids[1])

    def source(self) -> tuple["Sample", "Sample"]:
        """Stars of the source to learn from and to choose by."""
        domain = self._domain(self.suite.source, 0.0, 1, of_target=False)
        n_val = max(self.suite.n_source // 10, 100)
        wanted = (("source", self.suite.n_source), ("source_val", n_val))
        return tuple(sample_of(domain, split, n) for split, n in wanted)

    def flag_sets(self, tell: "Callable[[str], None]") -> "Iterator[FlagSet]":
        """Stars of other seeds seen by the source at each g, then contaminants at g = 0."""
        from starsmith.learners.benchmark.flags import FlagSet
        from starsmith.simulator.domains.contaminants import CONTAMINANTS, contaminants

        suite = self.suite
        for g in suite.g:
            tell(f"g = {g:g}: flags of stars")
            domain = self._domain(suite.source, g, 2, of_target=False)
            n = N_FLAG if g else N_ALIKE
            yield FlagSet(f"stars, g = {g:g}", sample_of(domain, "test", n))
        domain = self._domain(suite.source, 0.0, 2, of_target=False)
        for kind in CONTAMINANTS:
            yield FlagSet(kind, as_sample(domain, contaminants(domain, kind, N_FLAG)))

    def target(self, g: float) -> "LabTarget":
        """Stars of the target, and the exact posterior means of those it is judged on."""
        from starsmith.fisher.domain_ceiling import domain_ceiling
        from starsmith.learners.benchmark.lab import LabTarget

        suite = self.suite
        domain = self._domain(suite.target, g, 2, of_target=True)
        stars = domain.draw(suite.n_test, "test")
        ceilings = [domain_ceiling(domain, stars, continuum_free=free) for free in (False, True)]
        return LabTarget(
            train=sample_of(domain, "train", max(*suite.n, FEWEST)),
            val=sample_of(domain, "val", suite.n_val),
            test=sample_of(domain, "test", suite.n_test),
            ceiling=ceilings[0].mean,
            free=ceilings[1].mean,
            pipeline=stars.pipeline,
            card=domain.card() | {"ceiling_few_draws": [found.n_few for found in ceilings]},
        )


def sample_of(domain: "Domain", split: str, n: int) -> "Sample":
    """Stars of a domain as training data, whose noise is another in every epoch."""
    return as_sample(domain, domain.draw(n, split))


def as_sample(domain: "Domain", stars: "Stars") -> "Sample":
    """Spectra of a domain with their noise; test stars have true labels, others the pipeline's."""
    import numpy as np

    from starsmith.learners.transfer.samples import Sample

    def noise(flux: np.ndarray, index: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Observed flux and its error."""
        return stars.observe(index, epoch), stars.sigma[index].astype(np.float32)

    return Sample(
        wave=domain.survey.wave,
        flux=stars.model.astype(np.float32),
        label_names=domain.label_names,
        labels=stars.pipeline if stars.split in ("train", "val") else stars.labels,
        noise=noise,
    )
