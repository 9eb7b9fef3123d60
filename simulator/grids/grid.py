"""Open a stellar grid by name or path, look at it, and cut it down."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.grid.grid_file import GridData, read_grid
from starsmith.data_contract.quality_map import QualityMap, recorded_maps
from starsmith.data_contract.structure_validity import node_counts
from starsmith.simulator.grids.cached_demo import demo_grid, demo_grid_path
from starsmith.simulator.grids.demo_ranges import DEMO_RANGES
from starsmith.simulator.grids.known_maps import with_maps

__all__ = ["StellarGrid", "crop", "grid_info", "grid_path", "holes", "subgrid"]


class StellarGrid:
    """Where stellar grids come from.

    Examples
    --------
    >>> grid = starsmith.StellarGrid.open("demo")
    >>> list(grid.axes)
    ['teff', 'logg', 'm_h']
    """

    @staticmethod
    def open(source: str | Path, progress: Callable[[int, int], None] | None = None) -> GridData:
        """Open the demo grid or a grid file.

        Parameters
        ----------
        source : str or Path
            ``"demo"``, ``"demo-optical"`` or ``"demo-h"``, built on first use and then cached, or
            the path of a grid file.
        progress : callable, optional
            Called with (nodes done, nodes in all) while the demo grid is built.

        Raises
        ------
        GridError
            If no grid is there.
        DataError
            If the file is not a grid file or is damaged.
        """
        if str(source) in DEMO_RANGES:
            return with_maps(demo_grid(progress, str(source)), source)
        path = Path(source)
        if not path.exists():
            raise GridError(
                f"grid {str(source)!r}: no such file, and the grids known by name are "
                f"{', '.join(map(repr, DEMO_RANGES))}; "
                f"{_grids_beside(path)}use --grid demo, or import an archive with "
                "'specsim grid import FOLDER --out grid.zarr'"
            )
        return with_maps(read_grid(path), path)


def grid_path(source: str | Path) -> Path:
    """File of the grid that `StellarGrid.open` gives for ``source``."""
    return demo_grid_path(str(source)) if str(source) in DEMO_RANGES else Path(source)


def _grids_beside(path: Path) -> str:
    found = sorted(other.name for other in path.parent.glob("*.zarr"))
    return f"{path.parent} holds {', '.join(found)}; " if found else ""


def holes(grid: GridData) -> list[dict[str, float]]:
    """Labels of the nodes that the axes span and the grid lacks."""
    spanned = product(*(nodes.tolist() for nodes in grid.axes.values()))
    return [
        dict(zip(grid.axes, labels, strict=True))
        for labels, valid in zip(spanned, grid.valid.ravel(), strict=True)
        if not valid
    ]


def grid_info(grid: GridData) -> dict:
    """Describe a grid in plain, JSON-able values.

    Returns
    -------
    info : dict
        ``name``, ``axes`` (label -> nodes), ``n_node``, ``n_valid``, ``holes``,
        ``wave_min`` and ``wave_max`` [Å], ``n_wave``, ``samples_per_fwhm``, ``resolution``,
        ``has_continuum``, ``size_bytes``, ``provenance`` (its file list counted as
        ``n_files``), ``structures`` (nodes by how far their model atmospheres are to be trusted,
        None where nobody told), ``trust`` (summary of each map of `QualityMap`), ``notice``.
    """
    middle = grid.wave.size // 2
    spacing = grid.wave[middle] - grid.wave[middle - 1]
    lists = ("files", "validity", "maps")  # counted instead
    provenance = {key: value for key, value in grid.provenance.items() if key not in lists}
    validity = grid.provenance.get("validity")
    maps = recorded_maps({"provenance": grid.provenance})
    continuum_bytes = 0 if grid.continuum is None else grid.continuum.nbytes
    return {
        "name": grid.name,
        "axes": {name: nodes.tolist() for name, nodes in grid.axes.items()},
        "n_node": grid.valid.size,
        "n_valid": int(np.count_nonzero(grid.valid)),
        "holes": holes(grid),
        "wave_min": float(grid.wave[0]),
        "wave_max": float(grid.wave[-1]),
        "n_wave": grid.wave.size,
        "samples_per_fwhm": float(grid.wave[middle] / grid.resolution / spacing),
        "resolution": float(grid.resolution),
        "has_continuum": grid.continuum is not None,
        "size_bytes": grid.flux.nbytes + continuum_bytes,
        "provenance": {**provenance, "n_files": len(grid.provenance.get("files", ()))},
        "structures": node_counts(validity) if validity else None,
        "trust": {
            name: {"about": record["about"], **QualityMap.of_record(record).summary()}
            for name, record in maps.items()
        },
        "notice": grid.notice,
    }


def crop(grid: GridData, wave_min: float, wave_max: float) -> GridData:
    """Keep the samples in a closed vacuum range [Å]; the spectra stay views.

    Raises
    ------
    GridError
        If the grid does not cover the range to within one sample.
    """
    before, after = grid.wave[1] - grid.wave[0], grid.wave[-1] - grid.wave[-2]
    if not (grid.wave[0] - before < wave_min < wave_max < grid.wave[-1] + after):
        raise GridError(
            f"grid {grid.name!r} covers {grid.wave[0]:.2f}..{grid.wave[-1]:.2f} Å, asked for "
            f"{wave_min:g}..{wave_max:g} Å; choose a range inside, or import more of the archive"
        )
    kept = slice(
        np.searchsorted(grid.wave, wave_min), np.searchsorted(grid.wave, wave_max, side="right")
    )
    continuum = None if grid.continuum is None else grid.continuum[..., kept]
    return replace(grid, wave=grid.wave[kept], flux=grid.flux[..., kept], continuum=continuum)


def subgrid(grid: GridData, ranges: Mapping[str, tuple[float, float]]) -> GridData:
    """Keep the nodes in a closed box of labels.

    Parameters
    ----------
    grid : GridData
    ranges : mapping of str to (min, max)
        Labels not named keep all their nodes.

    Raises
    ------
    GridError
        If a label is not an axis of the grid, or a range holds none of its nodes.
    """
    if unknown := [name for name in ranges if name not in grid.axes]:
        raise GridError(f"grid {grid.name!r} has no axis {unknown}; it has {list(grid.axes)}")
    kept, axes = [], {}
    for name, nodes in grid.axes.items():
        low, high = ranges.get(name, (-np.inf, np.inf))
        inside = slice(np.searchsorted(nodes, low), np.searchsorted(nodes, high, side="right"))
        if not nodes[inside].size:
            raise GridError(
                f"grid {grid.name!r} has no {name} node in {low:g}..{high:g}; "
                f"they are {' '.join(f'{node:g}' for node in nodes)}"
            )
        kept.append(inside)
        axes[name] = nodes[inside]
    box = tuple(kept)
    continuum = None if grid.continuum is None else grid.continuum[box]
    return replace(grid, axes=axes, flux=grid.flux[box], continuum=continuum, valid=grid.valid[box])
