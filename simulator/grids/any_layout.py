"""Import model spectra of any layout that is known: BOSZ, other published grids, tables."""

from collections.abc import Callable
from pathlib import Path

from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.simulator.grids.bosz.importer import import_bosz
from starsmith.simulator.grids.importing.node_grid import ImportReport
from starsmith.simulator.grids.importing.sources import BOSZ, LAYOUTS, find_layout, find_source
from starsmith.simulator.grids.importing.spectra_import import SpectraRequest, import_spectra
from starsmith.simulator.grids.importing.statement import Statement

__all__ = ["GRID_LAYOUTS", "import_grid"]

GRID_LAYOUTS = (BOSZ, *LAYOUTS)


def import_grid(
    source: Path | str,
    out: Path | str,
    request: SpectraRequest | None = None,
    layout: str | None = None,
    labels: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Read spectra of a folder, a table or a file into one grid file.

    Parameters
    ----------
    source, out : Path or str
        What holds the spectra, and the grid file to write.
    request : SpectraRequest, optional
        Range, resolution, what is stated of the spectra.
    layout : str, optional
        One of `GRID_LAYOUTS`; told from the files where not given.
    labels : Path, optional
        Table that names the files of ``source`` with their labels.
    progress : callable, optional
        Called with (files done, files to read).

    Raises
    ------
    GridError
        If the layout is unknown or not told, or nothing can be imported.
    """
    source, request = Path(source), request or SpectraRequest()
    if layout is not None and layout not in GRID_LAYOUTS:
        raise ConfigError(f"layout {layout!r} is not known; choose from {', '.join(GRID_LAYOUTS)}")
    if not source.exists():
        raise GridError(f"{source}: no such folder or file; give what holds the spectra")
    chosen = layout or find_layout(source, labels)
    if chosen == BOSZ:
        return _bosz(source, out, request, progress)
    return import_spectra(find_source(source, chosen, labels), out, request, progress)


def _bosz(
    source: Path,
    out: Path | str,
    request: SpectraRequest,
    progress: Callable[[int, int], None] | None,
) -> ImportReport:
    """Import of an archive that says itself what its spectra are."""
    said = request.statement
    stated = Statement(resolution=said.resolution)
    if said != stated or request.to_resolution is not None or request.instrument is not None:
        raise GridError(
            f"{source} holds BOSZ files, of known kind: drop --medium, --flux, --flux-unit, "
            "--wave-unit, --to-resolution and --instrument"
        )
    resolution = None if said.resolution is None else round(said.resolution)
    return import_bosz(
        source,
        out,
        request.wave_min,
        request.wave_max,
        resolution,
        request.workers,
        request.overwrite,
        progress,
    )
