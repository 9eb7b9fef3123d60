"""``specdata ingest``: files of any survey into a data set of observed spectra."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from starsmith.cli.shared.command import (
    Command,
    echo_json,
    json_option,
    out_option,
    overwrite_option,
)
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.cli.shared.option_types import Shares
from starsmith.cli.shared.options import seed_option
from starsmith.cli.shared.progress import progress_bar

if TYPE_CHECKING:
    from starsmith.data_contract.surveys.scan import Scan, Source
    from starsmith.data_contract.surveys.standardise.preparation import Standardiser

__all__ = ["IngestOptions", "ingest"]


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """Options of ``specdata ingest``."""

    survey: str = argument()
    files: tuple[Path, ...] = argument(nargs=-1, required=True, type=EXISTING)
    out: Path = out_option("Folder of the data set, e.g. desi.zarr.")
    catalogue: Path | None = option(
        type=EXISTING, help="Table of ids with labels, velocities, splits (ECSV, CSV, FITS)."
    )
    label_source: str = option(
        default="", help="Who says what the catalogue's labels are.  [default: its file name]"
    )
    labels: str | None = option(
        help="Labels that every spectrum must have, such as teff,logg,m_h, or none.  "
        "[default: those that half of the spectra have]"
    )
    wave: str = option(
        default="",
        help="Bring spectra to wavelengths start:stop:step [Å], or 'start:stop:step log10' [dex], "
        "by straight lines or as --standardise says.  [default: native pixels]",
    )
    standardise: str = option(
        default="",
        metavar="RECIPE",
        help="Spikes, rest frame, continuum, line width, pixels, median: a packaged recipe "
        "(plain, lamost_lrs, desi_as_printed) or a TOML file.",
    )
    splits: tuple[float, ...] = option(
        type=Shares(),
        default="0.8,0.1,0.1",
        help="Shares of stars in train, val and test; or folders: as train/dataset.h5, "
        "train_200k_0/dataset.h5, val.h5, ... are named.",
    )
    split_by: str = option(
        default="source_id",
        help="Column of the catalogue whose values stay together; train, val, test are taken at "
        "their word.",
    )
    stratify: str = option(default="", help="Label whose values every split has alike.")
    seed: int = seed_option()
    report: Path | None = option(
        type=PATH, help="Refused spectra, a line each.  [default: OUT.refused.txt]"
    )
    overwrite: bool = overwrite_option("Replace a data set that is there.")
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "specdata ingest desi coadd-*.fits --catalogue labels.ecsv --out desi.zarr",
        "specdata ingest auto spectra/ --out stars.zarr --labels none",
        "specdata ingest published authors/ --splits folders --out theirs.zarr",
        "specdata ingest lamost spectra/ --catalogue apogee.csv --standardise lamost_lrs --out "
        "l.zarr",
    ),
    resume="shards already written are kept; run the same command again",
)
@takes(IngestOptions)
def ingest(options: IngestOptions) -> None:
    """Bring the spectra of FILES (or all files of folders) into one data set.

    SURVEY is a name that `specdata info` tells of a file, or `auto`. Pixels stay as they are, and
    must be those of one grid unless --wave or --standardise is given. Spectra without an error
    make a data set without one. Refused spectra are listed, one per line.
    """
    from starsmith.data_contract.files.disk_errors import told_of_disk
    from starsmith.data_contract.surveys.catalogues.star_splits import SPLIT_SHARES
    from starsmith.data_contract.surveys.ingest import Ingest, ingest_files

    request = Ingest(
        source=_source(options),
        shares=options.splits or SPLIT_SHARES,
        stratify=options.stratify,
        seed=options.seed,
    )
    report = options.report or options.out.with_name(f"{options.out.name}.refused.txt")
    with (
        told_of_disk(options.out, "shards that are written are kept"),
        progress_bar("files") as files,
        progress_bar("spectra") as spectra,
    ):
        tell = {"files": files, "spectra": spectra}
        manifest, scan = ingest_files(
            request, options.out, report, lambda what, k, n: tell[what](k, n), options.overwrite
        )
    _say(options, scan, report, manifest.digest)


def _source(options: IngestOptions) -> "Source":
    from starsmith.data_contract.errors import ConfigError
    from starsmith.data_contract.quantities import LABELS
    from starsmith.data_contract.surveys.catalogues.catalogue import read_catalogue
    from starsmith.data_contract.surveys.registry import survey
    from starsmith.data_contract.surveys.scan import FOLDER, Source, files_of

    if options.survey != "auto":
        survey(options.survey)
    labels = None
    if options.labels is not None:
        labels = tuple(n for n in options.labels.replace("none", "").split(",") if n.strip())
        if unknown := sorted(set(labels) - set(LABELS)):
            raise ConfigError(f"--labels {', '.join(unknown)}: expected some of {LABELS}, or none")
    if not options.splits and options.split_by != "source_id":
        raise ConfigError("--splits folders and --split-by: choose one")
    if options.split_by != "source_id" and options.catalogue is None:
        raise ConfigError("--split-by names a column of a catalogue; give --catalogue")
    return Source(
        files=files_of(options.files),
        survey=None if options.survey == "auto" else options.survey,
        catalogue=options.catalogue and read_catalogue(options.catalogue, options.label_source),
        labels=labels,
        split_by=options.split_by if options.splits else FOLDER,
        prepare=_standardiser(options),
    )


def _standardiser(options: IngestOptions) -> "Standardiser | None":
    from starsmith.data_contract.surveys.standardise.preparation import Standardiser, wave_of_text
    from starsmith.data_contract.surveys.standardise.recipe import StandardRecipe, load_standard

    if not options.standardise and not options.wave:
        return None
    straight = StandardRecipe(spikes="", rest=False, resample="linear")
    recipe = load_standard(options.standardise) if options.standardise else straight
    return Standardiser(recipe, wave_of_text(options.wave) if options.wave else None)


def _say(options: IngestOptions, scan: "Scan", report: Path, digest: str) -> None:
    result = {
        "path": str(options.out),
        "spectra": scan.size,
        "refused": scan.n_refused,
        "report": str(report) if scan.n_refused else None,
        "labels": list(scan.labels),
        "has_error": scan.has_error,
        "digest": digest,
    }
    if options.as_json:
        echo_json("specdata.ingest", result)
        return
    refused = f", {scan.n_refused} refused (why: {report})" if scan.n_refused else ""
    labels = ", ".join(scan.labels) or "no labels"
    error = "" if scan.has_error else "; no errors: no learner that needs them takes it"
    click.echo(f"{options.out}: {scan.size} spectra{refused}; {labels}{error}")
