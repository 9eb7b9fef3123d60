"""``specsim bank``: a grid rendered to the pixels of an instrument."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import (
    Command,
    echo_json,
    echo_notice,
    json_option,
    out_option,
    overwrite_option,
)
from starsmith.cli.shared.option_table import grouped, option, takes
from starsmith.cli.shared.option_types import Named
from starsmith.cli.shared.options import BankSource, bank_options
from starsmith.data_contract.text_tables import text_tree

__all__ = ["BankOptions", "bank"]

RENDERING = ("velocity_step", "interpolation", "reddening")


@dataclass(frozen=True, kw_only=True)
class BankOptions:
    """Options of ``specsim bank``."""

    source: BankSource = grouped(bank_options)
    velocity_step: float | None = option(
        type=click.FloatRange(0.1, 100.0),
        help="Also keep what shifting in radial velocity takes, on steps of so many km/s (10).",
    )
    interpolation: str | None = option(
        type=Named(["cubic", "linear"]), help="Splines.  [default: cubic]"
    )
    reddening: bool | None = option(
        is_flag=True, default=None, help="Also keep what seeing stars through dust takes."
    )
    compress: float | None = option(
        type=click.FloatRange(1e-5, 0.1),
        help="Keep principal components only, to within this relative error (1e-4).",
    )
    out: Path = out_option("Where to write the bank.")
    overwrite: bool = overwrite_option()
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "specsim bank --grid demo --instrument pfs_mr --out bank.zarr",
        "specsim bank --grid bosz.zarr --velocity-step 10 --out moving.zarr",
        "specsim bank --bank bank.zarr --compress 1e-4 --out small.zarr",
    ),
)
@takes(BankOptions)
def bank(options: BankOptions) -> None:
    """Render a stellar grid to an instrument's pixels, once and for all."""
    from starsmith.data_contract.bank.bank_file import BANK_SCHEMA
    from starsmith.data_contract.files.atomic import refuse_existing

    refuse_existing(options.out, options.overwrite, BANK_SCHEMA)
    rendering = {name: getattr(options, name) for name in RENDERING}
    rendered = options.source.rendering(rendering).open()
    if options.compress:
        from starsmith.simulator.rendering.compress import compress_bank

        rendered = compress_bank(rendered, options.compress)
    rendered.save(options.out)
    report = {
        "out": str(options.out),
        "digest": rendered.digest,
        "n_node": len(rendered.coef),
        "n_wave": rendered.wave.size,
        "info": rendered.info,
        "notice": rendered.notice,
    }
    if options.as_json:
        echo_json("specsim.bank", report)
    else:
        click.echo(f"{report['n_node']} models at {report['n_wave']} pixels in {options.out}")
        if rendered.info:
            click.echo(text_tree(rendered.info))
        echo_notice(rendered.notice)
