"""From a grid node to an observed spectrum."""

from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.generation.generate import Crew, Settings, split_counts, write_dataset
from starsmith.simulator.grids import StellarGrid
from starsmith.simulator.instruments import Instrument, list_instruments, load_instrument
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.compress import compress_bank
from starsmith.simulator.rendering.interpolate import interpolate
from starsmith.simulator.rendering.render import render_bank

__all__ = [
    "Crew",
    "Instrument",
    "Prior",
    "Settings",
    "StellarGrid",
    "cached_bank",
    "compress_bank",
    "draw_stars",
    "interpolate",
    "list_instruments",
    "load_instrument",
    "observe",
    "render_bank",
    "split_counts",
    "write_dataset",
]
