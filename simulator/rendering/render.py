"""Render a stellar grid to an instrument's pixels: line profile, pixels, band, spline bank.

Line profile, pixel integration and interpolation between nodes are all linear in flux, so
they commute: each node is rendered once and spectra are interpolated at the pixels.
"""

import logging

import numpy as np
import scipy

from starsmith.data_contract.bank.bank_file import DEGREES, Bank
from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.simulator.constants import FLUX_UNIT_CGS
from starsmith.simulator.instruments import Instrument, JoinedInstrument, noise_tables
from starsmith.simulator.rendering.band import Maggies, band_maggies
from starsmith.simulator.rendering.holes import filled_leakage
from starsmith.simulator.rendering.interpolate import prefilter
from starsmith.simulator.rendering.pixels import pixel_operator
from starsmith.simulator.rendering.reddened import reddened_maggies, reddening_tables
from starsmith.simulator.rendering.velocity_shift import VelocityGrid

__all__ = ["nearest_nodes", "pixel_operator", "render_bank"]

log = logging.getLogger(__name__)

NODES_AT_ONCE = 64  # bounds the float64 copy of grid spectra


def nearest_nodes(axes: tuple[np.ndarray, ...], valid: np.ndarray) -> np.ndarray:
    """Which valid node stands in for each node of a grid with holes.

    Along the first axis every hole takes the nearest valid node; holes left over are
    filled along the second axis from what is then known, and so on. Of two nodes equally
    near, the lower is taken. Nothing is extrapolated or averaged.

    Parameters
    ----------
    axes : tuple of float64 arrays
        Nodes along each label.
    valid : bool array, shape (n_1, n_2, ...)

    Returns
    -------
    source : int64 array, shape (n_1, n_2, ...)
        C-order index of the node to use; its own where valid.

    Raises
    ------
    GridError
        If no node is valid.
    """
    if not valid.any():
        raise GridError("the grid has no valid node; import it again")
    known = valid.copy()
    source = np.arange(valid.size).reshape(valid.shape)  # node whose spectrum stands in each place
    for axis, nodes in enumerate(axes):
        lines = np.moveaxis(known, axis, -1)
        distance = np.abs(nodes[:, None] - nodes)  # (hole, candidate)
        blocked = np.where(lines[..., None, :], distance, np.inf)  # only nodes that exist can lend
        nearest = np.moveaxis(np.argmin(blocked, axis=-1), -1, axis)
        found = np.broadcast_to(known.any(axis=axis, keepdims=True), known.shape)
        source = np.where(found & ~known, np.take_along_axis(source, nearest, axis), source)
        known = known | found
    return source


def render_bank(
    grid: GridData,
    instrument: Instrument | JoinedInstrument,
    mag_band: str = "hsc2017-i",
    *,
    interpolation: str = "cubic",
    velocity_step_km_s: float | None = None,
    reddening: bool = False,
) -> Bank:
    """Render every node of a grid and prefilter the result for interpolation.

    Parameters
    ----------
    grid : GridData
    instrument : Instrument or JoinedInstrument
        Its arms follow each other along the pixels.
    mag_band : str
        What magnitudes are given in, see `band_maggies`: a speclite filter, or a wavelength as
        ``ab8000``. The grid must cover it.
    interpolation : str
        ``cubic``, or ``linear`` between neighbouring nodes: an eighth of the work and, on BOSZ,
        errors of 1e-3 at twice its spacing.
    velocity_step_km_s : float, optional
        Also keep spectra on samples of this step, so that they can be shifted in radial
        velocity; 10 suits PFS.
    reddening : bool
        Also keep what seeing stars through dust takes, see
        `starsmith.simulator.rendering.reddened`.

    Returns
    -------
    bank : Bank
        Holes hold the spectrum of a neighbour, see `nearest_nodes`, and are flagged.

    Raises
    ------
    GridError
        If the grid does not cover the instrument and band, or is too coarse.
    ConfigError
        If the band or interpolation is not known.

    Examples
    --------
    >>> bank = starsmith.render_bank(
    ...     starsmith.StellarGrid.open("demo"), starsmith.load_instrument("pfs_mr")
    ... )
    >>> bank.label_names
    ('teff', 'logg', 'm_h')
    """
    if interpolation not in DEGREES:
        raise ConfigError(f"interpolation {interpolation!r} is not one of {list(DEGREES)}")
    degree = DEGREES[interpolation]
    axes = tuple(np.asarray(nodes, dtype=np.float64) for nodes in grid.axes.values())
    operators = [pixel_operator(grid.wave, grid.resolution, instrument)]
    if velocity_step_km_s is not None:
        shiftable = VelocityGrid(grid.wave, grid.resolution, instrument, velocity_step_km_s)
        operators.append(shiftable.operator)
    dust = instrument.dust_curve
    through_dust = reddened_maggies(band_maggies(mag_band, grid), grid.wave, reddening, dust)
    # pixels, then samples of moving stars; band flux per node
    (flux, *samples), maggies = _render_nodes(grid, operators, through_dust)

    source = nearest_nodes(axes, grid.valid).ravel()
    scale = np.median(flux[grid.valid.ravel()])  # fluxes of order one: float32 keeps their digits

    def coefficients(values: np.ndarray) -> np.ndarray:
        # holes lent by neighbours before the spline is solved
        filled = (values[source] / scale).reshape(*grid.valid.shape, -1)
        return prefilter(filled, axes, degree).reshape(source.size, -1)

    band_coefs = [coefficients(m * FLUX_UNIT_CGS).ravel() for m in maggies.T]
    return Bank(
        grid={
            "name": grid.name,
            "resolution": float(grid.resolution),
            "provenance": grid.provenance,
        },
        instrument=instrument.resolved(),
        label_names=grid.label_names,
        axes=axes,
        wave=instrument.wave,
        coef=coefficients(flux).astype(np.float32),
        band_coef=band_coefs[0],
        filled=~grid.valid.ravel(),
        mag_band=mag_band,
        noise=noise_tables(instrument),
        notice=grid.notice,
        velocity=shiftable.tables(coefficients(samples[0]).astype(np.float32)) if samples else None,
        interpolation=interpolation,
        reddening=reddening_tables(instrument.wave, band_coefs, dust) if reddening else None,
        info=_holes_info(axes, grid, degree),
    )


def _render_nodes(
    grid: GridData, operators: "list[scipy.sparse.csr_array]", to_maggies: list[Maggies]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Apply operators to the valid nodes: float64 (n_node, n_row) each.

    Band maggies come as float64 (n_node, n_band), a column per way to measure them.
    """
    spectra = grid.flux.reshape(-1, grid.wave.size)
    nodes = np.flatnonzero(grid.valid)
    rendered = [np.full((len(spectra), operator.shape[0]), np.nan) for operator in operators]
    maggies = np.full((len(spectra), len(to_maggies)), np.nan)
    for start in range(0, len(nodes), NODES_AT_ONCE):
        some = nodes[start : start + NODES_AT_ONCE]
        at_grid = spectra[some].astype(np.float64)
        if not np.all(np.isfinite(at_grid)):
            raise GridError(f"grid {grid.name!r}: a valid node holds NaN; import the grid again")
        for values, operator in zip(rendered, operators, strict=True):
            values[some] = (operator @ at_grid.T).T
        maggies[some] = np.stack([measure(at_grid) for measure in to_maggies], axis=1)
        log.debug("rendered %d of %d nodes", start + len(some), len(nodes))
    return rendered, maggies


def _holes_info(axes: tuple[np.ndarray, ...], grid: GridData, degree: int) -> dict:
    """Number of filled nodes and what they leave in accepted spectra; empty without holes."""
    n_filled = int(np.count_nonzero(~grid.valid))
    if not n_filled:
        return {}
    leakage = filled_leakage(axes, ~grid.valid, degree)
    log.info(
        "grid %s: %d holes filled; a filled node has a weight of at most %.3f in the "
        "coefficients that accepted draws use",
        grid.name,
        n_filled,
        leakage,
    )
    return {"n_filled": n_filled, "filled_leakage": leakage}
