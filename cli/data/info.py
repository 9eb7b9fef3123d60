"""``specdata info``: what a file is and what is in it."""

from dataclasses import dataclass
from pathlib import Path

import click

from starsmith.cli.shared.command import Command, echo_json, json_option
from starsmith.cli.shared.option_table import EXISTING, PATH, argument, option, takes
from starsmith.data_contract.text_tables import text_tree

__all__ = ["InfoOptions", "info"]


@dataclass(frozen=True, kw_only=True)
class InfoOptions:
    """Options of ``specdata info``."""

    path: Path = argument(type=EXISTING)
    plot: Path | None = option(type=PATH, help="Figure of labels and S/N (png, ...).")
    as_json: bool = json_option()


@click.command(
    cls=Command,
    examples=(
        "specdata info data.zarr",
        "specdata info data.zarr --plot data.png",
        "specdata info bank.zarr --json",
    ),
)
@takes(InfoOptions)
def info(options: InfoOptions) -> None:
    """Say what PATH is and what is in it.

    A data set, bank, grid or published HDF5 file; or spectra of a survey, and how they are
    ingested.
    """
    from starsmith.data_contract.checks.summary import describe
    from starsmith.data_contract.figure_kit import check_suffix

    check_suffix(options.plot)
    summary = describe(options.path)
    if options.plot:
        if "card" not in summary:
            raise click.UsageError("--plot draws finished data sets; specsim grid info has its own")
        from starsmith.simulator.figures.dataset_figure import plot_dataset

        plot_dataset(options.plot, summary)
    if options.as_json:
        echo_json("specdata.info", summary)
    else:
        click.echo(page_of(summary))


def page_of(summary: dict) -> str:
    """What people read of a summary."""
    if "card" in summary:
        return dataset_page(summary)
    if summary["kind"] == "dataset":
        return unfinished_page(summary)
    return text_tree(_without_maps(summary))


def _without_maps(entry: dict) -> dict:
    """The entry without what has a character for every node: ``specsim grid info`` counts them."""
    return {
        name: _without_maps(value) if isinstance(value, dict) else value
        for name, value in entry.items()
        if name not in ("validity", "maps")
    }


def dataset_page(summary: dict) -> str:
    """The card of a data set, its instrument, and what it takes on disk."""
    shards = summary["shards"]
    return (
        f"{summary['card']['text']}\n{instrument_block(summary['instrument'])}"
        f"{summary['path']}: {summary['bytes'] / 1e6:.1f} MB, "
        f"{summary['bytes_per_spectrum'] / 1e3:.2f} kB per spectrum, {shards['written']} shards of "
        f"{shards['rows']} rows\ndigest {summary['digest']}"
    )


def unfinished_page(summary: dict) -> str:
    """How far a data set is, and how it is completed."""
    shards, path = summary["shards"], summary["path"]
    splits = ", ".join(f"{count} {split}" for split, count in summary["counts"].items())
    state = {
        "unfinished": f"{shards['written']} of {shards['planned']} shards of {shards['rows']} rows",
        "to hold": f"{splits} ({summary['store']} store, seed {summary['seed']})",
        "on disk": f"{summary['bytes'] / 1e6:.1f} MB",
        "grid": summary["grid"].get("name", ""),
        "bank": summary["bank_digest"],
        "prior": {name: _span(*bounds) for name, bounds in summary["prior"].items()},
        "noise": summary["noise_model"],
        "made with": ", ".join(f"{name} {v}" for name, v in summary["versions"].items()),
        "notice": summary["notice"],
    }
    return (
        f"# {path}\n\n{text_tree(state)}\n\n{instrument_block(summary['instrument'])}"
        f"Run the command that began it again (its configuration is in {path}/run.json): it\n"
        f"resumes. Parts made on other machines are completed by `specdata finish {path}`."
    )


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g}..{high:g}"


def instrument_block(instrument: dict) -> str:
    """An instrument and its arms, a line each; empty where nothing is known of arms."""
    arms = [arm for arm in instrument.get("arms", []) if isinstance(arm, dict)]
    if not arms:
        return ""
    name = instrument.get("name", "instrument")
    head = ": ".join(part for part in (name, instrument.get("description", "")) if part)
    return f"{head}\n" + "".join(f"  {_arm(arm)}\n" for arm in arms) + "\n"


def _arm(arm: dict) -> str:
    parts = [f"{arm.get('name', 'arm'):<8} {arm['wave_min_nm']:g}-{arm['wave_max_nm']:g} nm"]
    parts.append(f"{arm['n_pixel']} pixels")
    for key, text in (("lsf_fwhm_pixel", "LSF FWHM {} pixels"), ("throughput", "throughput {}")):
        if values := arm.get(key):
            span = f"{min(values):.3g}-{max(values):.3g}"
            parts.append(text.format(span))
    if "read_noise_electron" in arm:
        parts.append(f"read noise {arm['read_noise_electron']:g} electron")
    return ", ".join(parts)
