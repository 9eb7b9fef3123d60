"""``specsim grid import``: model spectra of any layout as a grid file."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import (
    Command,
    echo_json,
    json_option,
    out_option,
    overwrite_option,
)
from starsmith.cli.shared.option_table import EXISTING, argument, option, takes
from starsmith.cli.shared.option_types import Count
from starsmith.cli.shared.progress import progress_bar

__all__ = ["ImportOptions", "import_grid"]

LAYOUT_NAMES = ("bosz", "phoenix", "newera", "stsci-atlas", "kurucz", "list", "table")
FLUX_NAMES = ("F_lambda", "F_nu", "H_lambda", "H_nu", "F_lambda/pi", "F_nu/pi")


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of ``specsim grid import``."""

    source: Path = argument(type=EXISTING)
    out: Path = out_option("Grid file to write.")
    layout: str | None = option(
        type=click.Choice(LAYOUT_NAMES), help="How the spectra lie there.  [default: seen]"
    )
    labels: Path | None = option(
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Table that lists files of SOURCE: file, teff, logg, m_h (a_m, c_m).",
    )
    medium: str | None = option(
        type=click.Choice(("air", "vacuum")), help="Of the wavelengths, where files do not say."
    )
    flux: str | None = option(
        type=click.Choice(FLUX_NAMES, case_sensitive=False),
        help="F is the surface flux; H Eddington's, F = 4 pi H; F/pi the mean intensity, 4 H.",
    )
    flux_unit: str | None = option(
        help="[default: erg/s/cm2/Angstrom, of flux per frequency erg/s/cm2/Hz]"
    )
    wave_unit: str | None = option(help="[default: Angstrom]")
    resolution: int | None = option(
        type=Count(), help="R of the spectra; of BOSZ, take files of this R only."
    )
    to_resolution: int | None = option(
        type=Count(), help="Smooth to this R, with the same wavelengths for all."
    )
    wave_min: float | None = option(type=float, help="First vacuum wavelength kept [Angstrom].")
    wave_max: float | None = option(type=float, help="Last vacuum wavelength kept [Angstrom].")
    instrument: str | None = option(
        help="Refuse spectra that are too coarse for this instrument, or do not cover it."
    )
    workers: int = option(type=click.IntRange(1, 1024), default=1)
    overwrite: bool = overwrite_option("Replace a grid file.")
    as_json: bool = json_option()


@click.command(
    "import",
    cls=Command,
    examples=(
        "specsim grid import bosz2017/ --out bosz.zarr --wave-min 6400 --wave-max 9100",
        "specsim grid import phoenix/ --out p.zarr --to-resolution 20000 --wave-min 6400 "
        "--wave-max 9100",
        "specsim grid import list.csv --out g.zarr --medium air --flux H_nu --resolution 30000",
    ),
)
@takes(ImportOptions)
def import_grid(options: ImportOptions) -> None:
    """Turn a folder, table or file of model spectra (SOURCE) into a grid file.

    Files that cannot be used are named, and the others imported.
    """
    from starsmith.simulator.grids import SpectraRequest, Statement
    from starsmith.simulator.grids import import_grid as import_source
    from starsmith.simulator.instruments import load_instrument

    instrument = None if options.instrument is None else load_instrument(options.instrument)
    statement = Statement(
        medium=options.medium,
        flux=options.flux,
        flux_unit=options.flux_unit,
        wave_unit=options.wave_unit,
        resolution=options.resolution,
    )
    request = SpectraRequest(
        statement=statement,
        wave_min=options.wave_min,
        wave_max=options.wave_max,
        to_resolution=options.to_resolution,
        instrument=instrument,
        workers=options.workers,
        overwrite=options.overwrite,
    )
    with progress_bar("import", "files") as progress:
        report = import_source(
            options.source, options.out, request, options.layout, options.labels, progress
        )
    if options.as_json:
        counts = {"imported": len(report.imported), "holes": len(report.holes)}
        told = {"out": str(options.out), **counts, "refused": report.refused}
        echo_json("specsim.grid.import", {**told, "thin": list(report.thin)})
        return
    for file, reason in report.refused:
        click.echo(f"refused {file}: {reason}", err=True)
    if report.thin:
        click.echo(f"note: {'; '.join(report.thin)}", err=True)
    click.echo(f"{len(report.imported)} models, {len(report.holes)} holes: {options.out}")
