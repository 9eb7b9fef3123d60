"""``specsim bank``: a grid rendered to the pixels of an instrument."""

import click

from starsmith.cli.shared.command import (
    Command,
    echo_json,
    echo_notice,
    json_option,
    out_option,
)
from starsmith.cli.shared.options import bank_options
from starsmith.data_contract.text_tables import text_tree

__all__ = ["bank"]


@click.command(
    cls=Command,
    examples=(
        "specsim bank --grid demo --instrument pfs_mr --out bank.zarr",
        "specsim bank --grid bosz.zarr --velocity-step 10 --out moving.zarr",
        "specsim bank --bank bank.zarr --compress 1e-4 --out small.zarr",
    ),
)
@bank_options
@click.option(
    "--velocity-step",
    type=click.FloatRange(0.1, 100.0),
    help="Also keep what shifting in radial velocity takes, on steps of so many km/s (10).",
)
@click.option(
    "--interpolation", type=click.Choice(["cubic", "linear"]), help="Splines.  [default: cubic]"
)
@click.option(
    "--reddening",
    is_flag=True,
    default=None,
    help="Also keep what seeing stars through dust takes.",
)
@click.option(
    "--compress",
    type=click.FloatRange(1e-5, 0.1),
    help="Keep principal components only, to within this relative error (1e-4).",
)
@out_option("Where to write the bank.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@json_option()
def bank(source, out, overwrite, as_json, compress, **rendering):
    """Render a stellar grid to an instrument's pixels, once and for all."""
    from starsmith.data_contract.files.atomic import refuse_existing

    refuse_existing(out, overwrite)
    rendered = source.rendering(rendering).open()
    if compress:
        from starsmith.simulator.rendering.compress import compress_bank

        rendered = compress_bank(rendered, compress)
    rendered.save(out)
    report = {
        "out": str(out),
        "digest": rendered.digest,
        "n_node": len(rendered.coef),
        "n_wave": rendered.wave.size,
        "info": rendered.info,
        "notice": rendered.notice,
    }
    if as_json:
        echo_json("specsim.bank", report)
    else:
        click.echo(f"{report['n_node']} models at {report['n_wave']} pixels in {out}")
        if rendered.info:
            click.echo(text_tree(rendered.info))
        echo_notice(rendered.notice)
