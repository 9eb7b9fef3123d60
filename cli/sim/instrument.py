"""``specsim instrument``: built-in and imported instruments, checked against the calculator."""

from pathlib import Path

import click

from starsmith.cli.shared.command import CommandGroup, echo_json, json_option, out_option
from starsmith.cli.sim.planning_options import (
    condition_options,
    instrument_option,
    plot_option,
    source_options,
)
from starsmith.data_contract.text_tables import text_table, text_tree

__all__ = ["instrument"]


@click.group(cls=CommandGroup)
def instrument():
    """Look at instruments, and check them against the exposure-time calculator."""


@instrument.command("list", examples=("specsim instrument list",))
@json_option()
def list_command(as_json):
    """List the built-in instruments."""
    from starsmith.simulator.instruments import (
        instrument_summary,
        list_instruments,
        load_instrument,
    )

    found = [instrument_summary(load_instrument(name)) for name in list_instruments()]
    if as_json:
        echo_json("specsim.instrument.list", {"instruments": found})
    else:
        click.echo(text_table([{k: row[k] for k in ("name", "description")} for row in found]))


@instrument.command(
    "show",
    examples=("specsim instrument show pfs_mr", "specsim instrument show mine.toml --json"),
)
@click.argument("name")
@json_option()
def show(name, as_json):
    """Show every figure of an instrument, built in or an instrument file.

    Lists of the summary are at the blue end, the middle and the red end of the arm.
    """
    from starsmith.simulator.instruments import instrument_summary, load_instrument

    opened = load_instrument(name)
    figures = opened.resolved()
    for part in (figures, *figures.get("members", ())):
        part["arms"] = {arm["name"]: arm for arm in part["arms"]}
    if "members" in figures:
        figures["members"] = {member["name"]: member for member in figures["members"]}
    report = {**instrument_summary(opened), "figures": figures}
    if as_json:
        echo_json("specsim.instrument.show", report)
    else:
        click.echo(text_tree(report))


@instrument.command(
    "import",
    examples=(
        "specsim instrument import spt_ExposureTimeCalculator/ --out mine.toml",
        "specsim instrument import etc/ --mode lr --out lr.toml",
        "specsim instrument import etc/ --arms b+m+n --out all.toml",
    ),
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@out_option("Instrument file to write (.toml); its tables lie beside it.")
@click.option(
    "--mode", type=click.Choice(["mr", "lr"]), default="mr", show_default=True,
    help="Resolution of the red arm: PFS.redMR.<date>.dat or PFS.<date>.dat.",
)  # fmt: skip
@click.option("--arms", help="Which, joined by +.  [default: m in mode mr, b+r+n in mode lr]")
@click.option("--config", "config", help="Name of one configuration, instead of the newest.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@json_option()
def import_command(folder, out, as_json, **choices):
    """Read the official exposure-time calculator's own configuration and tables in FOLDER.

    FOLDER is a copy of Subaru-PFS/spt_ExposureTimeCalculator, or holds its PFS.*.dat and
    modeldata.npz. The instrument then agrees with the calculator in every pixel.
    """
    from starsmith.simulator.instruments import import_calculator

    imported, written = import_calculator(folder, out, **choices)
    report = {
        "out": str(out),
        "files": [str(path) for path in written],
        "arms": [arm.name for arm in imported.arms],
    }
    if as_json:
        echo_json("specsim.instrument.import", report)
    else:
        click.echo(f"{imported.description}\n" + "\n".join(report["files"]))


@instrument.command(
    "validate",
    examples=(
        "specsim instrument validate --against etc.csv --plot etc.png",
        "specsim instrument validate --instrument mine.toml --against etc.csv --seeing 1.2",
    ),
)
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV table of the exposure-time calculator's output.",
)
@instrument_option
@click.option("--mag", type=float, help="AB magnitude of the flat source.")
@condition_options(defaults=False)
@source_options
@click.option("--ebv", type=click.FloatRange(min=0), help="Reddening E(B-V) [mag].")
@plot_option
@json_option()
def validate(against, name, plot, as_json, **settings):
    """Compare S/N, signal and noise with those of the exposure-time calculator.

    All are ours over the calculator's, for the star and the conditions its file states; an
    option stands before the file. `signal_worst` and `noise_worst` are the greatest relative
    deviations of a pixel's electrons and of its variance without the star.
    """
    from starsmith.data_contract.figure_kit import check_suffix
    from starsmith.simulator.figures.instrument_figure import plot_comparison
    from starsmith.simulator.instruments import compare_with_etc, load_instrument

    check_suffix(plot)
    given = {setting: value for setting, value in settings.items() if value is not None}
    comparison = compare_with_etc(load_instrument(name), against, given)
    if plot:
        plot_comparison(plot, comparison)
    report = {
        "instrument": name,
        "arm": comparison.arm,
        "settings": comparison.settings,
        **comparison.summary(),
        "agreement": comparison.agreement,
    }
    if as_json:
        echo_json("specsim.instrument.validate", report)
    else:
        click.echo(text_tree(report))
