"""``speclearn bench real``: strategies of transfer on real stars of MILES and STELIB."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.learn.options import device_option
from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, PATH, option, takes
from starsmith.cli.shared.option_types import Count
from starsmith.cli.shared.progress import progress_bar, say
from starsmith.data_contract.text_tables import text_table

if TYPE_CHECKING:
    from starsmith.learners.benchmark.real.trial import Settings, Trial
    from starsmith.learners.transfer.samples import Sample

__all__ = ["RealOptions", "real"]

STRATEGIES = ("zero_shot", "residual", "lora", "full", "scratch", "linear_probe", "bitfit")
USUAL_SNR = 100.0  # of library stars
SPANS = ((3500.0, 7500.0), (-1.0, 6.0), (-5.0, 2.0))
ABSENT = (
    "skipped: MILES and STELIB are not here; pip download --no-deps sdss-mangadap==4.5.0, and name "
    "the wheel with --libraries"
)


@dataclass(frozen=True, kw_only=True)
class RealOptions:
    """Options of ``speclearn bench real``."""

    libraries: Path | None = option(
        type=EXISTING, help="sdss_mangadap wheel, or a folder with it.  [default: this folder]"
    )
    out: Path = option(type=PATH, default="bench/real", help="Folder of the report.")
    grid: str = option(default="demo", help="Grid of the simulated source.")
    n_source: int = option("--n-source", type=Count(), default=6000, help="Simulated stars.")
    only: str | None = option(
        type=click.Choice(("miles", "demo")), help="One of the two experiments."
    )
    mask_cores: bool = option(
        is_flag=True,
        help="Leave out the cores of the Ca II triplet, which no model in LTE has right.",
    )
    clean: bool = option(
        is_flag=True,
        help="Leave errors of flux calibration and sky out of the simulated source.",
    )
    strategy: tuple[str, ...] = option(
        type=click.Choice(STRATEGIES), multiple=True, help="[default: all]"
    )
    epochs: int = option(type=Count(), default=100)
    base_epochs: int = option("--base-epochs", type=Count(), default=40)
    lr: tuple[float, ...] = option(
        "--lr", multiple=True, type=click.FloatRange(0, 10, min_open=True),
        help="Learning rates to choose from.  [default: 1e-2 1e-3 1e-4 1e-5]",
    )  # fmt: skip
    width: tuple[int, ...] = option(
        type=Count(), multiple=True, help="Layers of the MLP.  [default: 1024 512 64]"
    )
    seed: int = option(type=click.IntRange(min=0), default=0)
    device: str | None = device_option()
    as_json: bool = json_option()

    def settings(self) -> "Settings":
        """How networks are trained."""
        from starsmith.learners.benchmark.real.trial import Settings
        from starsmith.learners.transfer.finetune import RATES

        return Settings(
            strategies=self.strategy or STRATEGIES,
            rates=self.lr or RATES,
            epochs=self.epochs,
            base_epochs=self.base_epochs,
            widths=self.width or (1024, 512, 64),
            seed=self.seed,
            device=self.device,
        )


@click.command(
    cls=Command,
    examples=(
        "speclearn bench real --libraries sdss_mangadap-4.5.0-py3-none-any.whl --out real/",
        "speclearn bench real --libraries downloads/ --only demo --strategy residual",
    ),
)
@takes(RealOptions)
def real(options: RealOptions) -> None:
    """Test strategies on real stars: MILES to STELIB, and a simulated grid to STELIB.

    Stars of STELIB are taken out of MILES. Every star is predicted once, in nested folds. The
    report has scores, bias, coverage before and after recalibration, and residuals by star with
    names. Without the libraries the test is skipped, in one sentence.
    """
    from starsmith.learners.benchmark.real.report import summary, write_report
    from starsmith.learners.benchmark.real.stars import find_libraries

    files = find_libraries(options.libraries)
    if not files:
        click.echo(ABSENT)
        return
    wanted = (options.only,) if options.only else ("miles", "demo")
    makers = {"miles": _of_miles, "demo": _of_grid}
    trials = [makers[name](options, files) for name in wanted]
    settings = options.settings()
    how = (
        f"MLP {'-'.join(map(str, settings.widths))}, loss {settings.loss}, learning rates "
        f"{', '.join(f'{r:g}' for r in settings.rates)}, at most {settings.epochs} epochs, "
        f"seed {settings.seed}. [M/H] of both libraries is their [Fe/H]; its errors are unknown."
    )
    report = write_report(trials, options.out, how)
    if options.as_json:
        echo_json("speclearn.bench.real", {"report": str(report), **summary(trials)})
    else:
        for trial in trials:
            found = summary([trial])[trial.name]
            click.echo(f"{trial.what}\n\n{text_table(found['scores'])}\n")
        click.echo(report)


def _of_miles(options: RealOptions, files: list[Path]) -> "Trial":
    from starsmith.learners.benchmark.real.stars import BLUE, read_stars
    from starsmith.learners.benchmark.real.trial import run_trial, within, without

    stars = within(read_stars(files, "stelib", BLUE), SPANS)
    whole = within(read_stars(files, "miles", BLUE), SPANS)
    source = without(whole, stars.names)
    what = (
        f"MILES to STELIB ({BLUE.name}; {len(whole) - len(source)} stars that both have are taken "
        "out of MILES)"
    )
    return run_trial("miles", what, source, stars, options.settings(), say)


def _of_grid(options: RealOptions, files: list[Path]) -> "Trial":
    from starsmith.learners.benchmark.real.stars import LABELS, RED, read_stars, without_cores
    from starsmith.learners.benchmark.real.trial import run_trial, within
    from starsmith.simulator.grids.grid import StellarGrid

    with progress_bar("grid", "models") as report:
        grid = StellarGrid.open(options.grid, report)
    cut = without_cores if options.mask_cores else lambda sample: sample
    source = cut(_simulated(options, grid))
    spans = [grid.axes[name][[0, -1]] for name in LABELS]
    stars = cut(within(read_stars(files, "stelib", RED), spans))
    what = f"{grid.name} grid to STELIB ({RED.name}; stars inside the grid"
    what += "; cores of Ca II masked" if options.mask_cores else ""
    what += "; source without errors of calibration and sky)" if options.clean else ")"
    return run_trial("demo", what, source, stars, options.settings(), say, grid.notice)


def _simulated(options: RealOptions, grid: object) -> "Sample":
    """Stars of a grid as the libraries show theirs, with noise of S/N 30 to 300.

    By default they have errors of flux calibration and sky, too.
    """
    import numpy as np

    from starsmith.learners.benchmark.real.stars import LABELS, RED, divide_continuum
    from starsmith.learners.transfer.samples import Sample, white_noise
    from starsmith.simulator.domains.library_stars import library_stars
    from starsmith.simulator.domains.residuals import with_residuals

    labels, flux = library_stars(grid, RED.wave, RED.fwhm, options.n_source, options.seed)
    if not options.clean:
        widths = np.full(RED.wave.size, RED.fwhm)
        flux = with_residuals(flux, RED.wave, widths, USUAL_SNR, options.seed)
    order = [list(grid.axes).index(name) for name in LABELS]
    return Sample(
        wave=RED.wave,
        flux=divide_continuum(RED.wave, flux, np.zeros(flux.shape, np.uint32)),
        label_names=LABELS,
        labels=labels[:, order],
        noise=white_noise(30.0, 300.0, options.seed),
    )
