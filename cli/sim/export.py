"""``specsim export``: spectra of a data set as files that other programs read."""

from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_types import SPLIT_NAMES
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.quantities import STAR

__all__ = ["export"]


class Rows(click.ParamType):
    """Rows ``a:b`` of a split, as of a Python slice without step, or one row."""

    name = "a:b"

    def convert(self, value, param, ctx) -> slice:
        """Parse; fails on anything but whole numbers."""
        if isinstance(value, slice):
            return value
        first, colon, last = str(value).partition(":")
        try:
            start = int(first) if first else 0
            stop = (int(last) if last else None) if colon else start + 1
        except ValueError:
            self.fail(f"{value!r} is not a range of rows like 0:10", param, ctx)
        if start < 0 or (stop is not None and stop <= start):
            self.fail(f"{value!r} holds no rows; write first:last+1, like 0:10", param, ctx)
        return slice(start, stop)


@click.command(
    cls=Command,
    examples=(
        "specsim export data.zarr --format pfs --split test --rows 0:100 --out pfs/",
        "specsim export data.zarr --format pfs --rows 7 --truth --out pfs/",
    ),
)
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--format", "layout", type=click.Choice(["pfs"]), default="pfs", show_default=True,
    help="pfs: a pfsObject FITS file per spectrum, in nm and nJy.",
)  # fmt: skip
@click.option("--split", type=click.Choice(SPLIT_NAMES), default="test", show_default=True)
@click.option("--rows", type=Rows(), default="0:10", show_default=True, help="Rows of the split.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the files.")
@click.option("--truth", is_flag=True, help="Also write noiseless pfsSimObject files, and labels.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@json_option()
def export(data, layout, split, rows, out, truth, overwrite, as_json):
    """Write spectra of the data set DATA as files of another format, for other programs."""
    import numpy as np

    from starsmith.data_contract.errors import DataError
    from starsmith.data_contract.exchange.export_pfs import export_pfs
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.data_contract.tables.table_files import write_table
    from starsmith.simulator.generation.recorded import open_recorded

    chosen = open_recorded(data).split(split)
    stop = len(chosen) if rows.stop is None else rows.stop
    if not rows.start < stop <= len(chosen):
        raise DataError(
            f"--rows {rows.start}:{stop}: split {split!r} of {data} has rows 0:{len(chosen)}; "
            "ask for rows among them"
        )
    numbers = np.arange(rows.start, stop)
    labels = out / "truth.ecsv"
    if truth:
        refuse_existing(labels, overwrite)
    with progress_bar("export", "spectra") as progress:
        files = export_pfs(chosen, numbers, out, truth, overwrite, progress)
    if truth:
        write_table(labels, _truth_table(chosen, numbers))
        files.append(labels)
    if as_json:
        report = {"out": str(out), "n_spectra": numbers.size, "files": [f.name for f in files]}
        echo_json("specsim.export", report)
    else:
        click.echo(f"{numbers.size} spectra, {len(files)} files in {out}")


def _truth_table(split, rows):
    """Labels and S/N of exported spectra, by objId."""
    from astropy.table import Table

    draws = split.draws.take(rows)
    star = {name: values for name, values in draws.columns.items() if name in STAR}
    return Table({"objId": draws.index, **star, "snr": split.snr[rows]})
