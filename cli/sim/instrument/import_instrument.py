"""``specsim instrument import``: the exposure-time calculator as an instrument file."""

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
from starsmith.cli.shared.option_table import argument, option, takes
from starsmith.cli.shared.option_types import Named

__all__ = ["ImportOptions", "import_instrument"]


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of ``specsim instrument import``."""

    folder: Path = argument(type=click.Path(exists=True, file_okay=False, path_type=Path))
    out: Path = out_option("Instrument file to write (.toml); its tables lie beside it.")
    mode: str = option(
        type=Named(["mr", "lr"]),
        default="mr",
        help="Resolution of the red arm: PFS.redMR.<date>.dat or PFS.<date>.dat.",
    )
    arms: str | None = option(help="Which, joined by +.  [default: m in mode mr, b+r+n in mode lr]")
    config: str | None = option(help="Name of one configuration, instead of the newest.")
    overwrite: bool = overwrite_option("Replace files that are there.")
    as_json: bool = json_option()


@click.command(
    "import",
    cls=Command,
    examples=(
        "specsim instrument import spt_ExposureTimeCalculator/ --out mine.toml",
        "specsim instrument import etc/ --mode lr --out lr.toml",
        "specsim instrument import etc/ --arms b+m+n --out all.toml",
    ),
)
@takes(ImportOptions)
def import_instrument(options: ImportOptions) -> None:
    """Read the official exposure-time calculator's own configuration and tables in FOLDER.

    FOLDER is a copy of Subaru-PFS/spt_ExposureTimeCalculator, or holds its PFS.*.dat and
    modeldata.npz. The instrument then agrees with the calculator in every pixel.
    """
    from starsmith.simulator.instruments import import_calculator

    imported, written = import_calculator(
        options.folder,
        options.out,
        mode=options.mode,
        arms=options.arms,
        config=options.config,
        overwrite=options.overwrite,
    )
    report = {
        "out": str(options.out),
        "files": [str(path) for path in written],
        "arms": [arm.name for arm in imported.arms],
    }
    if options.as_json:
        echo_json("specsim.instrument.import", report)
    else:
        click.echo(f"{imported.description}\n" + "\n".join(report["files"]))
