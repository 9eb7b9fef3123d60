"""A small LTE spectrum synthesizer for 640-900 nm, behind the demo grid."""

from starsmith.simulator.synthesis.spectrum import (
    PHYSICS_VERSION,
    Sampling,
    Spectrum,
    synthesize,
    wavelength_grid,
)
from starsmith.simulator.synthesis.tables import table_digest

__all__ = [
    "PHYSICS_VERSION",
    "Sampling",
    "Spectrum",
    "synthesize",
    "table_digest",
    "wavelength_grid",
]
