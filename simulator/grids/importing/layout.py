"""What a layout of model spectra is: how its files are told, and how they are read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from starsmith.data_contract.errors import GridError
from starsmith.simulator.grids.importing.node_labels import NodeLabels
from starsmith.simulator.grids.importing.statement import NOTHING_SAID, RawSpectrum, Statement

__all__ = ["FoundModel", "Layout", "SpectraFile", "check_labels"]

HOTTEST = 1e6  # K
STRONGEST_LOGG = 12.0
MOST_DEX = 12.0


class SpectraFile(NamedTuple):
    """One file to read.

    Attributes
    ----------
    path : Path
    name : str
        As reports call it.
    labels : NodeLabels or None
        Where its name or a table tells; None where it tells itself.
    """

    path: Path
    name: str
    labels: NodeLabels | None = None


class FoundModel(NamedTuple):
    """One model of a file; ``member`` tells it from the others, empty where it is alone."""

    labels: NodeLabels
    spectrum: RawSpectrum
    member: str = ""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A way in which model spectra are published.

    Attributes
    ----------
    name : str
        As ``--layout`` takes it.
    title : str
        Of the grid, for people.
    citation : str
    says : Statement
        What holds for every file.
    usual : Statement
        What holds where nobody says otherwise.
    owns : callable
        Whether a file of this name is one of the layout's.
    read : callable
        Models of a file; raises InputError where it cannot be read.
    labels_of : callable, optional
        Labels from a file's name, None where the file tells itself; GridError where the name is
        none of the layout's.
    sampled_resolution : bool
        Whether the samples alone limit the resolution: R = wave / (2 step) where none is stated.
    """

    name: str
    title: str
    citation: str
    says: Statement
    owns: Callable[[str], bool]
    read: Callable[[SpectraFile], Iterator[FoundModel]]
    usual: Statement = NOTHING_SAID
    labels_of: Callable[[str], NodeLabels | None] = lambda name: None
    sampled_resolution: bool = False


def check_labels(labels: NodeLabels) -> NodeLabels:
    """The labels, if a star can have them; GridError otherwise."""
    inside = 0 < labels.teff < HOTTEST and abs(labels.logg) < STRONGEST_LOGG
    if not (inside and all(abs(value) < MOST_DEX for value in labels[2:])):
        said = ", ".join(f"{name} = {value:g}" for name, value in labels._asdict().items())
        raise GridError(f"labels {said} are no star's; expected K and dex")
    return labels
