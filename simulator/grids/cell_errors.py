"""Error of interpolation in the middle of every cell of a grid, and what it does to labels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from starsmith.data_contract.bank.splines import spline_degree, spline_knots
from starsmith.data_contract.errors import GridError
from starsmith.data_contract.grid.error_map import GridErrorMap
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.data_contract.kernels.spline import basis_rows
from starsmith.data_contract.quality_map import QualityMap
from starsmith.simulator.grids.demo import build_demo_grid
from starsmith.simulator.instruments import Instrument, JoinedInstrument, load_instrument
from starsmith.simulator.rendering.interpolate import prefilter
from starsmith.simulator.rendering.pixels import pixel_operator
from starsmith.simulator.synthesis import PHYSICS_VERSION, Sampling, table_digest

__all__ = [
    "about_middles",
    "error_at_middles",
    "inferred_map",
    "interpolation_map",
    "is_synthetic",
    "usual_instrument",
]

SNR = 100.0  # per pixel, at which biases are told
MIDDLE_OF_SPLINE = 1.7  # error in the middle of a cell over that inferred at nodes

Progress = Callable[[int, int], None]


def is_synthetic(grid: GridData) -> bool:
    """Whether this version of the synthesizer made a grid, and can make more of its nodes."""
    said = grid.provenance
    return (
        said.get("release") == f"physics version {PHYSICS_VERSION}"
        and said.get("tables_sha256") == table_digest()
        and bool(grid.valid.all())
    )


def usual_instrument(
    grid: GridData, name: str | None = None
) -> Instrument | JoinedInstrument | None:
    """Instrument of that name; without one ``pfs_mr`` where the grid covers it, else None."""
    instrument = load_instrument(name or "pfs_mr")
    covered = grid.wave[0] < instrument.wave[0] and instrument.wave[-1] < grid.wave[-1]
    return instrument if name or covered else None


def about_middles(instrument: Instrument | JoinedInstrument | None) -> str:
    """How a map of `error_at_middles` was measured."""
    name = "the grid's own samples" if instrument is None else instrument.resolved()["name"]
    return f"synthesis in the middle of every cell, at the pixels of: {name}"


def interpolation_map(
    grid: GridData,
    instrument: Instrument | JoinedInstrument | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
    cache_dir: Path | str | None = None,
) -> QualityMap:
    """Synthesize the middle of every cell, and compare it with what the grid's spline gives.

    Parameters
    ----------
    grid : GridData
        Made by this version of the synthesizer.
    instrument : Instrument or JoinedInstrument, optional
        Whose pixels are compared; the grid's own samples by default.
    progress : callable, optional
        Called with (models done, models in all).
    workers, cache_dir
        As in `build_demo_grid`: an interrupted run goes on.

    Returns
    -------
    QualityMap
        ``error`` and ``bias``, see `error_at_middles`.

    Raises
    ------
    GridError
        If the grid is not the synthesizer's, or does not cover the instrument.
    """
    if not is_synthetic(grid):
        raise GridError(
            f"grid {grid.name!r} was not made by this version of the synthesizer (physics "
            f"{PHYSICS_VERSION}): its cells can only be judged by 'specsim grid check'"
        )
    _renderer(grid, instrument)  # refuse pixels that the grid does not cover, before the work
    sampling = Sampling(**grid.provenance["sampling"])
    middles = {name: _middles(nodes) for name, nodes in grid.axes.items()}
    truth = build_demo_grid(
        axes=middles, workers=workers, progress=progress, cache_dir=cache_dir, sampling=sampling
    )
    return error_at_middles(grid, truth, instrument)


def _middles(nodes: np.ndarray) -> np.ndarray:
    return 0.5 * (nodes[1:] + nodes[:-1]) if nodes.size > 1 else nodes


def error_at_middles(
    grid: GridData, truth: GridData, instrument: Instrument | JoinedInstrument | None = None
) -> QualityMap:
    """Compare the spline through a grid's nodes with spectra in the middle of its cells.

    With e = interpolated / true - 1, J the derivatives of ln flux by the labels and by a free
    amplitude, and C = 1 / `SNR`² in every pixel, a fit that believes the grid errs by
    I⁻¹ Jᵀ C⁻¹ e, where I = Jᵀ C⁻¹ J. The bound is (I⁻¹)½ on the diagonal.

    Parameters
    ----------
    grid : GridData
        Without holes.
    truth : GridData
        Its nodes are the middles of the cells.
    instrument : Instrument or JoinedInstrument, optional
        Whose pixels are compared; the grid's own samples by default.

    Returns
    -------
    QualityMap
        ``error``: mean over pixels of abs(e) after its mean was taken off; ``bias``: largest
        over the labels of abs(bias) / bound.
    """
    render = _renderer(grid, instrument)
    nodes = render(grid.flux)
    shape = tuple(max(axis.size - 1, 1) for axis in grid.axes.values())
    error, bias = np.empty(shape), np.empty(shape)
    for i, stars in enumerate(_slabs(tuple(grid.axes.values()), nodes)):
        true = render(truth.flux[i])
        relative = stars.flux / true - 1.0
        level = relative.mean(axis=-1, keepdims=True)
        error[i] = np.abs(relative - level).mean(axis=-1)
        bias[i] = _largest_bias(stars, true, relative)
    return QualityMap(
        edges=dict(grid.axes),
        values={"error": error, "bias": bias},
        about=about_middles(instrument),
    )


@dataclass(frozen=True)
class _Interpolated:
    """Flux in the middle of cells, (n_2, ..., n_pixel), and its slopes along each label."""

    flux: np.ndarray
    slopes: list[np.ndarray]


def _renderer(
    grid: GridData, instrument: Instrument | JoinedInstrument | None
) -> Callable[[np.ndarray], np.ndarray]:
    """Function from spectra (..., n_wave) to float64 pixels (..., n_pixel)."""
    if instrument is None:
        return lambda flux: np.asarray(flux, dtype=np.float64)
    operator = pixel_operator(grid.wave, grid.resolution, instrument)

    def render(flux: np.ndarray) -> np.ndarray:
        flat = flux.reshape(-1, flux.shape[-1])
        found = np.stack([operator @ one.astype(np.float64) for one in flat])
        return found.reshape(*flux.shape[:-1], -1)

    return render


def _slabs(axes: tuple[np.ndarray, ...], nodes: np.ndarray) -> Iterator[_Interpolated]:
    """Middles of the cells, those of one cell along the first axis after the other."""
    values = [_spline_matrix(axis, slope=False) for axis in axes]
    slopes = [_spline_matrix(axis, slope=True) for axis in axes]
    for i in range(len(values[0])):

        def along(matrices: list[np.ndarray], i: int = i) -> np.ndarray:
            found = np.tensordot(matrices[0][i], nodes, axes=1)
            for axis, matrix in enumerate(matrices[1:]):
                found = np.moveaxis(np.tensordot(matrix, found, axes=(1, axis)), 0, axis)
            return found

        yield _Interpolated(
            flux=along(values),
            slopes=[
                along([*values[:k], slopes[k], *values[k + 1 :]])
                for k in range(len(axes))
                if axes[k].size > 1
            ],
        )


def _spline_matrix(nodes: np.ndarray, *, slope: bool) -> np.ndarray:
    """Weights of node values in the spline, or its slope, at the middles: (n_cell, n_node)."""
    middles, degree = _middles(nodes), spline_degree(nodes.size)
    first = np.empty(middles.size, dtype=np.int64)
    along = np.empty((middles.size, degree + 1))
    basis_rows(spline_knots(nodes), degree, middles, slope, first, along)
    columns = prefilter(np.eye(nodes.size), (nodes,))  # coefficients of a unit value at each node
    rows = first[:, None] + np.arange(degree + 1)
    return np.einsum("cd,cdn->cn", along, columns[rows])


def _largest_bias(stars: _Interpolated, true: np.ndarray, relative: np.ndarray) -> np.ndarray:
    """Largest bias of a label over its bound, shape (n_2, ...)."""
    jacobian = np.stack([*(slope / true for slope in stars.slopes), np.ones_like(true)], axis=-2)
    scale = np.linalg.norm(jacobian, axis=-1, keepdims=True)  # well-conditioned information
    jacobian /= scale
    inverse = np.linalg.inv(jacobian @ np.swapaxes(jacobian, -1, -2))
    bias = np.einsum("...ab,...bp,...p->...a", inverse, jacobian, relative, optimize=True)
    bound = np.sqrt(np.diagonal(inverse, axis1=-2, axis2=-1)) / SNR
    return np.abs(bias / bound)[..., :-1].max(axis=-1)


def inferred_map(grid: GridData, checked: GridErrorMap) -> QualityMap:
    """Map of ``error`` inferred from nodes left out, for grids that no synthesizer continues.

    Root of the sum over labels of the square of 1.7 times the error at the cell's worst corner,
    at the grid's own spacing; NaN where no corner could be predicted.
    """
    total = np.zeros(tuple(max(axis.size - 1, 1) for axis in grid.axes.values()))
    for label, at_nodes in checked.nodes.items():
        native = at_nodes * 2.0 ** -checked.order[label] * MIDDLE_OF_SPLINE
        total = total + _worst_corner(native) ** 2
    return QualityMap(
        edges=dict(grid.axes),
        values={"error": np.sqrt(total)},
        about="inferred from every node predicted by the others ('specsim grid check')",
    )


def _worst_corner(values: np.ndarray) -> np.ndarray:
    """Largest known value at the corners of each cell; NaN where none is known."""
    spans = [
        (slice(None, -1), slice(1, None)) if size > 1 else (slice(None),) for size in values.shape
    ]
    corners = np.array([values[place] for place in product(*spans)])
    known = np.isfinite(corners).any(axis=0)
    return np.where(known, np.nanmax(np.where(known, corners, 0.0), axis=0), np.nan)
