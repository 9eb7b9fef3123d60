"""``specdata``: what a file is, whether it is intact, and conversion."""

from dataclasses import asdict
from pathlib import Path

import click

from starsmith.cli.shared.command import CommandGroup, echo_json, json_option, version_option
from starsmith.cli.shared.options import bank_options
from starsmith.cli.shared.progress import progress_bar

__all__ = ["main"]


@click.group(cls=CommandGroup, name="specdata")
@version_option()
def main():
    """Look at, verify and convert starsmith data sets."""


path_argument = click.argument("path", type=click.Path(exists=True, path_type=Path))


@main.command(
    examples=(
        "specdata info data.zarr",
        "specdata info data.zarr --plot data.png",
        "specdata info bank.zarr --json",
    )
)
@path_argument
@click.option(
    "--plot", type=click.Path(path_type=Path), help="Figure of labels and S/N (png, ...)."
)
@json_option()
def info(path, plot, as_json):
    """Say what PATH is (data set, bank, grid or published HDF5) and what is in it."""
    from starsmith.cli.data.dataset_pages import page_of
    from starsmith.data_contract.checks.summary import describe
    from starsmith.data_contract.figure_kit import check_suffix

    check_suffix(plot)
    summary = describe(path)
    if plot:
        if "card" not in summary:
            raise click.UsageError("--plot draws finished data sets; specsim grid info has its own")
        from starsmith.simulator.figures.dataset_figure import plot_dataset

        plot_dataset(plot, summary)
    if as_json:
        echo_json("specdata.info", summary)
    else:
        click.echo(page_of(summary))


remake_option = click.option(
    "--remake", is_flag=True, help="Also make every row again from its key and compare."
)


@main.command(
    examples=(
        "specdata verify data.zarr",
        "specdata verify data.zarr --json",
        "specdata verify data.zarr --remake",
    )
)
@path_argument
@remake_option
@json_option()
@bank_options
def verify(path, remake, as_json, source):
    """Check every byte and every promise of the data set at PATH; exit code 3 if one is broken.

    --remake finds even what was changed before it was hashed; it takes as long as `specsim
    generate`, and the bank recorded in PATH unless another is named.
    """
    from starsmith.cli.shared import datasets
    from starsmith.data_contract.checks.verify import verify_dataset
    from starsmith.data_contract.errors import ContractError

    report = verify_dataset(path)
    remade = []
    if remake and report.ok:
        with progress_bar("remake", "shards") as progress:
            remade = datasets.compare_with_keys(path, named_bank(source), progress)
    if as_json:
        content = {
            "path": str(path),
            "ok": report.ok and not remade,
            "problems": report.problems + remade,
            "n_files": report.n_files,
            "n_bytes": report.n_bytes,
            "remade": remake and report.ok,
        }
        echo_json("specdata.verify", content)
    elif report.ok and not remade:
        again = ", every row what its key makes" if remake else ""
        size = f"{report.n_files} files, {report.n_bytes / 1e6:.1f} MB"
        click.echo(f"{path}: {size}, all intact{again}")
    report.require()
    if remade:
        raise ContractError(
            f"{path}: {'; '.join(remade[:5])}; {len(remade)} shard(s) in all: `specdata repair "
            f"{path} --remake` puts them back"
        )


def named_bank(source):
    """The bank named on the command line; None where the recorded one is meant."""
    from starsmith.cli.shared.options import BANK_OPTIONS, typed_on_command_line

    return source if typed_on_command_line(*BANK_OPTIONS) else None


@main.command(
    "check-leakage",
    examples=(
        "specdata check-leakage data.zarr other.zarr",
        "specdata check-leakage published/train.h5 published/test.h5 survey.ecsv",
    ),
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@json_option()
def check_leakage(paths, as_json):
    """Look for spectra that the files at PATHS share; exit code 3 where training meets test.

    Compares draw keys and contents of data sets, and identifiers (targetid, source_id, ...) of
    tables and HDF5 files.
    """
    from starsmith.cli.shared.datasets import require_apart
    from starsmith.data_contract.checks.leakage import find_shared

    if len(paths) < 2:
        raise click.UsageError("name two files or more to compare")
    shared = find_shared(paths)
    if as_json:
        echo_json("specdata.check-leakage", {"shared": [asdict(entry) for entry in shared]})
    else:
        for entry in shared:
            click.echo(f"{'LEAK: ' if entry.leak else ''}{entry}")
        if not shared:
            click.echo("nothing in common")
    require_apart(shared)


@main.command(examples=("specdata finish data.zarr",))
@path_argument
@json_option()
def finish(path, as_json):
    """Complete the data set at PATH once all shards are written by `generate --shards`.

    Refuses with the list of those that are missing.
    """
    from starsmith.data_contract.dataset.shards import finish_dataset, writer_lock
    from starsmith.data_contract.files.disk_errors import told_of_disk

    with told_of_disk(path, "all shards are kept"), writer_lock(path):
        manifest = finish_dataset(path)
    if as_json:
        echo_json("specdata.finish", {"path": str(path), "digest": manifest.digest})
    else:
        click.echo(f"{path}: complete, {manifest.n_bytes / 1e6:.1f} MB")


@main.command(
    examples=("specdata repair data.zarr", "specdata repair data.zarr --bank bank.zarr --json"),
    resume="shards made again are kept; run the same command again",
)
@path_argument
@remake_option
@json_option()
@bank_options
def repair(path, remake, as_json, source):
    """Make the damaged shards and files of the data set at PATH again.

    Spectra come from the bank recorded in PATH unless one is named. Exit code 0 means that
    everything verifies afterwards.
    """
    from starsmith.cli.shared import datasets

    with progress_bar("repair", "shards") as progress:
        report = datasets.repair(path, named_bank(source), progress, thorough=remake)
    if as_json:
        echo_json("specdata.repair", report)
        return
    for text in report["findings"]:
        click.echo(text, err=True)
    click.echo(repaired(report))


def repaired(report: dict) -> str:
    """One line on what was made again."""
    shards = report["shards"]
    other = [entry["shard"] for entry in shards if not entry["same_bits"]]
    if not (report["findings"] or shards or report["files"] or report["removed"]):
        return f"{report['path']}: nothing to repair"
    parts = [f"{len(shards)} shard(s)", f"{len(report['files'])} other file(s) made again"]
    removed = f", {len(report['removed'])} removed" if report["removed"] else ""
    bits = "the bits that were recorded"
    if other:
        bits = f"the recorded values to 1e-6, but other bits, in {', '.join(other)}"
    return f"{report['path']}: {' and '.join(parts)}{removed}; {bits}; all verified"


@main.command(
    examples=(
        "specdata convert data.zarr published/ --format hdf5",
        "specdata convert published/ back.zarr --format zarr",
        "specdata convert data.zarr frozen.zarr --store frozen",
    ),
    resume="files and shards already written are kept; run the same command again",
)
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "layout",
    type=click.Choice(["hdf5", "zarr"]),
    help="hdf5: the layout of the published networks, noiseless and median-normalised.  "
    "[default: the other one, or zarr with --store]",
)
@click.option(
    "--store",
    type=click.Choice(["noiseless", "frozen", "keys"]),
    help="Write a data set that stores something else.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@json_option()
def convert(source, target, as_json, **choices):
    """Convert a data set: to or from HDF5 files, one per split, or to another store.

    Nothing is lost: back from hdf5, or through another store, it is the same data set.
    """
    from starsmith.cli.data.conversions import convert as convert_any

    report = convert_any(source, target, **choices)
    if as_json:
        echo_json("specdata.convert", report)
    else:
        for file in report["written"]:
            click.echo(file)


if __name__ == "__main__":
    main()
