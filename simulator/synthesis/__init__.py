"""A small LTE spectrum synthesizer for 640-900 nm, behind the demo grid."""

from starsmith.simulator.synthesis.synthesis_tables import table_digest
from starsmith.simulator.synthesis.synthetic_spectrum import (
    PHYSICS_VERSION,
    Sampling,
    Spectrum,
    synthesize,
    wavelength_grid,
)

__all__ = [
    "PHYSICS_VERSION",
    "Sampling",
    "Spectrum",
    "synthesize",
    "table_digest",
    "wavelength_grid",
]
