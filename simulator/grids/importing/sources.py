"""Which spectra lie in a folder or a file, and in which layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starsmith.data_contract.errors import GridError, InputError
from starsmith.data_contract.tables.user_table import is_readable, read_table
from starsmith.simulator.grids.importing.layout import Layout, SpectraFile
from starsmith.simulator.grids.importing.layouts.kurucz import KURUCZ
from starsmith.simulator.grids.importing.layouts.newera import NEWERA
from starsmith.simulator.grids.importing.layouts.phoenix import PHOENIX, WAVE_FILE
from starsmith.simulator.grids.importing.layouts.spectra_arrays import SPECTRA_ARRAYS
from starsmith.simulator.grids.importing.layouts.spectra_table import (
    SPECTRA_TABLE,
    file_column,
    listed_files,
)
from starsmith.simulator.grids.importing.layouts.stsci_atlas import STSCI_ATLAS
from starsmith.simulator.grids.importing.statement import NOTHING_SAID, Statement

__all__ = ["BOSZ", "LAYOUTS", "Source", "find_layout", "find_source"]

PUBLISHED = (PHOENIX, NEWERA, STSCI_ATLAS, KURUCZ)
LAYOUTS = {layout.name: layout for layout in (*PUBLISHED, SPECTRA_TABLE, SPECTRA_ARRAYS)}
BOSZ = "bosz"
BOSZ_BEGINS = ("bosz2024_", "amm", "amp")
BOSZ_ENDS = (".fits", ".asc.bz2", ".asc", ".txt.gz")
ARRAYS = (".npz", ".h5", ".hdf5")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Spectra that were found.

    Attributes
    ----------
    layout : Layout
    files : tuple of SpectraFile
    says : Statement
        Of a table that lists them.
    refused : tuple of (str, str)
        Names that are not read, and why.
    ignored : tuple of str
        Other files of the folder.
    """

    layout: Layout
    files: tuple[SpectraFile, ...]
    says: Statement = NOTHING_SAID
    refused: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()


def find_layout(source: Path, labels: Path | None = None) -> str:
    """Name of the layout of what lies in a folder or file: `BOSZ` or one of `LAYOUTS`.

    Raises
    ------
    GridError
        If it is none, or several lie in one folder.
    """
    if labels is not None:
        return SPECTRA_TABLE.name
    if source.is_dir():
        return _folder_layout(source)
    if source.suffix.lower() in ARRAYS and not NEWERA.owns(source.name):
        return SPECTRA_ARRAYS.name
    for layout in PUBLISHED:
        if layout.owns(source.name):
            return layout.name
    if not is_readable(source):
        raise GridError(
            f"{source} is no layout that is known; give a folder, a table (.csv, .ecsv, .fits, "
            ".npz, .h5) or a flux table of Kurucz (.flx, .pck)"
        )
    table = read_table(source, ("teff", "logg", "m_h"), GridError, "list of spectra")
    return SPECTRA_TABLE.name if file_column(table) else SPECTRA_ARRAYS.name


def _folder_layout(folder: Path) -> str:
    names = _names(folder)
    held = {layout.name: sum(layout.owns(n.name) for n in names) for layout in PUBLISHED}
    held[BOSZ] = sum(n.name.startswith(BOSZ_BEGINS) for n in names)
    found = [name for name, count in held.items() if count]
    if len(found) > 1:
        counts = ", ".join(f"{held[name]} {name}" for name in found)
        raise GridError(
            f"{folder} holds several grids ({counts}); choose one: --layout "
            f"{' or --layout '.join(found)}"
        )
    if found:
        return found[0]
    if _tables(folder):
        return SPECTRA_TABLE.name
    if any(path.name.endswith(BOSZ_ENDS) for path in names):
        return BOSZ
    raise GridError(
        f"{folder} holds no spectra of a known layout ({', '.join((BOSZ, *LAYOUTS))}), nor a table "
        "(.csv, .ecsv) that lists them with columns file, teff, logg, m_h; write one"
    )


def _tables(folder: Path) -> list[Path]:
    """Tables at the top of a folder that list spectra."""
    found = []
    for path in sorted(folder.iterdir()):
        if is_readable(path) and path.is_file() and ".fit" not in path.name.lower():
            try:
                table = read_table(path, error=GridError)
                if file_column(table) is not None and table.find("teff") is not None:
                    found.append(path)
            except InputError:
                continue
    return found


def _names(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def find_source(source: Path, layout: str, labels: Path | None = None) -> Source:
    """Files of a layout below a folder, in a table, or one file.

    Raises
    ------
    InputError
        If there are none, or the table that lists them cannot be used.
    """
    if layout == SPECTRA_TABLE.name:
        return _listed(source, labels)
    chosen = LAYOUTS[layout]
    if source.is_file():
        return Source(layout=chosen, files=(SpectraFile(source, source.name),))
    files, ignored, refused = [], [], []
    for path in _names(source):
        name = path.relative_to(source).as_posix()
        if not chosen.owns(path.name):
            if path.name != WAVE_FILE:
                ignored.append(name)
            continue
        try:
            files.append(SpectraFile(path, name, chosen.labels_of(path.name)))
        except GridError as problem:
            refused.append((name, str(problem)))
    if not files:
        shown = f": {refused[0][0]}: {refused[0][1]}" if refused else ""
        raise GridError(f"{source}: no file of layout {layout}{shown}; try another --layout")
    return Source(layout=chosen, files=tuple(files), refused=tuple(refused), ignored=tuple(ignored))


def _listed(source: Path, labels: Path | None) -> Source:
    table = labels if labels is not None else source
    if table.is_dir():
        tables = _tables(table)
        if len(tables) != 1:
            raise GridError(
                f"{source} holds {_counted(tables)}; name the one that lists the spectra: --labels"
            )
        table = tables[0]
    folder = source if source.is_dir() else table.parent
    files, says, refused = listed_files(table, folder)
    if not files:
        raise GridError(f"{table}: no file it names can be read: {refused[0][0]}: {refused[0][1]}")
    return Source(layout=SPECTRA_TABLE, files=tuple(files), says=says, refused=tuple(refused))


def _counted(tables: Sequence[Path]) -> str:
    return ", ".join(path.name for path in tables) or "no table of labels (file, teff, logg, m_h)"
