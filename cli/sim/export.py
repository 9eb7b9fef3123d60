"""``specsim export``: spectra of a data set as files that other programs read."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from starsmith.cli.shared.command import Command, echo_json, json_option, overwrite_option
from starsmith.cli.shared.option_table import PATH, argument, option, takes
from starsmith.cli.shared.option_types import SPLIT_NAMES, Named
from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.quantities import SNR_STATISTICS, STAR

if TYPE_CHECKING:
    import numpy as np
    from astropy.table import Table

    from starsmith.data_contract.dataset.split import Split

__all__ = ["ExportOptions", "export"]


class Rows(click.ParamType):
    """Rows ``a:b`` of a split, as of a Python slice without step, or one row."""

    name = "a:b"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> slice:
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


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of ``specsim export``."""

    data: Path = argument(type=click.Path(exists=True, file_okay=False, path_type=Path))
    layout: str = option(
        "--format",
        type=Named(["pfs", "hats"]),
        default="pfs",
        help="pfs: a pfsObject FITS file per spectrum, in nm and nJy.  hats: a catalogue of "
        "parquet files by place on the sky, with its Croissant description.",
    )
    split: str = option(type=Named(SPLIT_NAMES), default="test")
    rows: slice | None = option(
        type=Rows(), help="Rows of the split.  [default: 0:10; hats: all]", show_default=False
    )
    out: Path = option(type=PATH, required=True, help="Folder for the files.")
    truth: bool = option(
        is_flag=True, help="Also write labels, and for pfs noiseless pfsSimObject files."
    )
    synthetic_places: bool = option(
        is_flag=True, help="hats: simulated stars get places made up evenly over the sphere."
    )
    overwrite: bool = overwrite_option("Replace files that are there.")
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "specsim export data.zarr --format pfs --split test --rows 0:100 --out pfs/",
        "specsim export data.zarr --format pfs --rows 7 --truth --out pfs/",
        "specsim export data.zarr --format hats --synthetic-places --out catalog",
    ),
)
@takes(ExportOptions)
def export(options: ExportOptions) -> None:
    """Write spectra of the data set DATA as files of another format, for other programs."""
    from starsmith.simulator.generation.recorded import open_recorded

    chosen = open_recorded(options.data).split(options.split)
    rows = _rows(options, chosen)
    files = (_hats if options.layout == "hats" else _pfs)(options, chosen, rows)
    if options.as_json:
        names = [file.name for file in files]
        echo_json(
            "specsim.export", {"out": str(options.out), "n_spectra": rows.size, "files": names}
        )
    else:
        click.echo(f"{rows.size} spectra, {len(files)} files in {options.out}")


def _rows(options: ExportOptions, split: "Split") -> "np.ndarray":
    """Rows that are asked for; DataError where the split has not all of them."""
    import numpy as np

    from starsmith.data_contract.errors import DataError

    rows = options.rows or (slice(0, None) if options.layout == "hats" else slice(0, 10))
    stop = len(split) if rows.stop is None else rows.stop
    if not rows.start < stop <= len(split):
        raise DataError(
            f"--rows {rows.start}:{stop}: split {options.split!r} of {options.data} has rows "
            f"0:{len(split)}; ask for rows among them"
        )
    return np.arange(rows.start, stop)


def _hats(options: ExportOptions, split: "Split", rows: "np.ndarray") -> list[Path]:
    from starsmith.data_contract.exchange.hats_catalog import export_hats

    folder = export_hats(
        split, rows, options.out, options.truth, options.synthetic_places, options.overwrite
    )
    return sorted(folder.rglob("Npix=*.parquet"))


def _pfs(options: ExportOptions, split: "Split", rows: "np.ndarray") -> list[Path]:
    from starsmith.data_contract.errors import DataError
    from starsmith.data_contract.exchange.export_pfs import export_pfs
    from starsmith.data_contract.files.atomic import refuse_existing
    from starsmith.data_contract.tables.table_files import write_table

    if options.synthetic_places:
        raise DataError("--synthetic-places: pfs files need no places; pass --format hats")
    labels = options.out / "truth.ecsv"
    if options.truth:
        refuse_existing(labels, options.overwrite)
    with progress_bar("export", "spectra") as progress:
        files = export_pfs(split, rows, options.out, options.truth, options.overwrite, progress)
    if options.truth:
        write_table(labels, _truth_table(split, rows))
        files.append(labels)
    return files


def _truth_table(split: "Split", rows: "np.ndarray") -> "Table":
    """Labels and S/N of exported spectra, by objId."""
    from astropy.table import Table

    draws = split.draws.take(rows)
    star = {name: values for name, values in draws.columns.items() if name in STAR}
    snr = {name: getattr(split, name) for name in SNR_STATISTICS}
    known = {name: values[rows] for name, values in snr.items() if values is not None}
    return Table({"objId": draws.index, **star, **known})
