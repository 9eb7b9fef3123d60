"""Nodes that were read become a grid file, with a report of what became of every file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.files.zarr_groups import schema_of
from starsmith.data_contract.grid.grid_file import GRID_SCHEMA, grid_writer
from starsmith.simulator.grids.importing.node_labels import NodeLabels
from starsmith.simulator.grids.importing.staging import Staging

__all__ = ["ImportReport", "check_out", "node_axes", "verified", "write_nodes"]

CUBIC_NODES = 4
ALWAYS_AXES = ("teff", "logg", "m_h")


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What became of every file of an import.

    Attributes
    ----------
    path : Path
        The grid file.
    imported : tuple of str
        Files whose spectra are in it.
    refused : tuple of (str, str)
        File and the reason it was left out.
    merged : tuple of (str, str)
        File left out because another, named second, holds the same spectrum.
    ignored : tuple of str
        Files that are no archive files by their suffix.
    holes : tuple of dict
        Labels of the nodes the axes span and no file filled.
    axes : dict of str to float64 array
    thin : tuple of str
        Labels with fewer nodes than a cubic needs, in words.
    provenance : dict
        As written into the grid.
    """

    path: Path
    imported: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    merged: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    holes: tuple[dict[str, float], ...]
    axes: dict[str, np.ndarray]
    provenance: dict
    thin: tuple[str, ...] = ()


def check_out(out: Path, overwrite: bool) -> None:
    """Refuse to write where something lies that is not to be replaced; raises GridError."""
    if out.exists() and not overwrite:
        raise GridError(f"{out} exists; choose another --out or add --overwrite")
    if out.exists() and schema_of(out) != GRID_SCHEMA:
        raise GridError(f"{out} is no grid file and is not replaced; choose another --out")


def node_axes(nodes: Iterable[NodeLabels]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Labels that vary, with their nodes, and the value of those that do not."""
    axes, fixed = {}, {}
    for name, column in zip(NodeLabels._fields, zip(*nodes, strict=True), strict=True):
        values = np.unique(np.array(column, dtype=np.float64))
        if values.size > 1 or name in ALWAYS_AXES:
            axes[name] = values
        else:
            fixed[name] = float(values[0])
    return axes, fixed


def _holes(axes: dict[str, np.ndarray], nodes: Iterable[NodeLabels]) -> tuple[dict, ...]:
    present = {tuple(getattr(labels, name) for name in axes) for labels in nodes}
    spanned = product(*(values.tolist() for values in axes.values()))
    return tuple(
        dict(zip(axes, values, strict=True)) for values in spanned if values not in present
    )


def verified(checks: Iterable[bool], how: str) -> str:
    """How many of some checks said yes; ``unverified`` where none did."""
    checks = list(checks)
    return f"{how} in {sum(checks)} of {len(checks)} spectra" if any(checks) else "unverified"


def write_nodes(
    out: Path,
    staging: Staging,
    attributes: Mapping[str, object],
    ignored: tuple[str, ...],
) -> ImportReport:
    """Write what was staged as a grid file, and report.

    Parameters
    ----------
    out : Path
    staging : Staging
    attributes : mapping
        Scalars of the grid, as `grid_writer` takes them; ``provenance`` gains what the nodes say.
    ignored : tuple of str
        For the report.
    """
    nodes = dict(sorted(staging.nodes.items()))
    axes, fixed = node_axes(nodes)
    staged = nodes.values()
    provenance = {
        **attributes["provenance"],  # type: ignore[dict-item]
        "fixed_labels": fixed,
        "files": {node.file: node.sha256 for node in staged},
        "refused": [list(refusal) for refusal in staging.refused],
        "merged": [list(pair) for pair in staging.merged],
    }
    wave = staging.wave(next(iter(staged)))
    continuum = staging.has_continuum
    attributes = {**attributes, "provenance": provenance}
    with grid_writer(out, axes, wave, attributes, continuum) as writer:
        for labels, node in nodes.items():
            position = tuple(
                int(np.searchsorted(values, getattr(labels, label)))
                for label, values in axes.items()
            )
            writer.write_node(position, *staging.spectrum(node)[: 1 + continuum])
    return ImportReport(
        path=out,
        imported=tuple(node.file for node in staged),
        refused=tuple(staging.refused),
        merged=tuple(staging.merged),
        ignored=ignored,
        holes=_holes(axes, nodes),
        axes=axes,
        provenance=provenance,
        thin=_thin(axes),
    )


def _thin(axes: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """What cannot be interpolated as usual, in words."""
    few = {name: values.size for name, values in axes.items() if values.size < CUBIC_NODES}
    return tuple(
        f"{name} has {n} node{'s' * (n > 1)}: "
        + (f"interpolated with degree {n - 1}, not 3" if n > 1 else "it cannot be varied")
        for name, n in few.items()
    )
