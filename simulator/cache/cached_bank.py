"""Rendered banks kept in the user's cache, so that every command starts at once."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.errors import GridError
from starsmith.data_contract.files.outside import MOST_JSON, one_line, read_file
from starsmith.data_contract.files.user_cache import cache_folder, kept_or_made
from starsmith.simulator.grids import StellarGrid
from starsmith.simulator.grids.cached_demo import named_grid_key
from starsmith.simulator.grids.demo_ranges import DEMO_RANGES
from starsmith.simulator.grids.known_maps import with_maps
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.instruments.instrument import with_extinction
from starsmith.simulator.rendering.render import render_bank

__all__ = ["bank_digest", "cached_bank"]

DEFAULTS = {
    "mag_band": "hsc2017-i",
    "interpolation": "cubic",
    "velocity_step_km_s": None,
    "reddening": False,
}
"""Of `render_bank`; the name of a kept bank tells only of others."""

RENDER_VERSION = 3  # raised whenever rendering or noise tables change


def cached_bank(
    grid: str | Path = "demo",
    instrument: str | Path = "pfs_mr",
    progress: Callable[[int, int], None] | None = None,
    *,
    mag_band: str = "hsc2017-i",
    interpolation: str = "cubic",
    velocity_step_km_s: float | None = None,
    reddening: bool = False,
    extinction: str = "",
) -> Bank:
    """Bank of a grid at an instrument's pixels, rendered on first use.

    Parameters
    ----------
    grid : str or path
        A grid of `DEMO_RANGES` (built on first use), as ``demo``, or a grid file.
    instrument : str or path
        Built-in name or instrument file.
    progress : callable, optional
        Called with (nodes done, nodes in all) while the demo grid is built.
    mag_band, interpolation, velocity_step_km_s, reddening
        As in `render_bank`.
    extinction : str
        Law of the dust, as ``F19`` or ``F19:2.5``; the instrument's own by default.

    Returns
    -------
    bank : Bank

    Raises
    ------
    GridError, ConfigError
        If the grid or instrument cannot be used.

    Examples
    --------
    >>> starsmith.cached_bank("demo", "pfs_mr").wave.size == bank.wave.size
    True
    """
    loaded = with_extinction(load_instrument(instrument), extinction)
    chosen = {
        "mag_band": mag_band,
        "interpolation": interpolation,
        "velocity_step_km_s": velocity_step_km_s,
        "reddening": reddening,
    }
    rendering = {name: value for name, value in chosen.items() if value != DEFAULTS[name]}
    named = str(grid) in DEMO_RANGES
    of_grid = named_grid_key(str(grid)) if named else _fingerprint(Path(grid))
    digest = bank_digest(of_grid, loaded.resolved(), rendering)
    path = cache_folder() / "banks" / f"{digest}.zarr"

    def make() -> Bank:
        return render_bank(StellarGrid.open(grid, progress=progress), loaded, **rendering)

    return with_maps(kept_or_made(path, load_bank, make, Bank.save), grid)


def bank_digest(
    grid: str | list, instrument: Mapping, rendering: Mapping[str, object] | None = None
) -> str:
    """Name of a cached bank: a hash of grid, resolved instrument and options of rendering."""
    key = {
        "grid": grid,
        "instrument": instrument,
        "render": RENDER_VERSION,
        **({"options": rendering} if rendering else {}),
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]


def _fingerprint(path: Path) -> list:
    """What identifies a grid file without reading its spectra."""
    files = sorted(
        file
        for file in path.glob("**/zarr.json")
        if not file.relative_to(path).parts[0].startswith("error_map")  # changes no spectrum
    )
    try:
        found = [
            (read_file(file, MOST_JSON).decode(errors="replace"), file.stat().st_mtime_ns)
            for file in files
        ]
    except OSError as problem:
        raise GridError(f"{path} cannot be read ({one_line(problem)}); copy it again") from None
    return [str(path.resolve()), found]
