"""``specdata repeats``: stated errors against stars that were observed more than once."""

from dataclasses import asdict, dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, argument, takes

__all__ = ["RepeatsOptions", "repeats"]

MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class RepeatsOptions:
    """Options of ``specdata repeats``."""

    path: Path = argument(type=EXISTING)
    as_json: bool = json_option()


@click.command(cls=Command, examples=("specdata repeats desi.zarr",))
@takes(RepeatsOptions)
def repeats(options: RepeatsOptions) -> None:
    """Compare spectra of the same star at PATH with each other, in units of their stated errors.

    Width 1 says that errors are right; 2 that they are half of what they should be. A smooth
    calibration of one spectrum to the other is taken out first.
    """
    import numpy as np

    from starsmith.data_contract.checks.repeats import find_repeats
    from starsmith.data_contract.dataset.reader import open_dataset
    from starsmith.data_contract.text_tables import text_table

    found = find_repeats(open_dataset(options.path))
    middle = float(np.median([pair.width for pair in found])) if found else float("nan")
    if options.as_json:
        echo_json("specdata.repeats", {"width": middle, "pairs": [asdict(each) for each in found]})
    elif not found:
        click.echo(f"{options.path}: no star has two spectra with 50 usable pixels in common")
    else:
        widest = sorted(found, key=lambda pair: -pair.width)[:MOST_SHOWN]
        click.echo(text_table([asdict(pair) for pair in widest]))
        click.echo(f"\n{len(found)} pairs; median width {middle:.3f} of stated errors")
