"""CO and OH in 1500-1700 nm, main isotopes, line by line.

``wide/h_band.npz`` holds wavelengths in vacuum [mÅ], lower levels [0.2 meV] and log gf [mdex] of
the list of Shetrone+ (2015, ApJS 221, 24), read in the package pymoog 0.0.3 (PyPI): CO after
Goorvitch (1994, ApJS 95, 535), OH after Goldman+ (1998, JQSRT 59, 453).
"""

from starsmith.data_contract import fixed_math as fixed
from starsmith.simulator.synthesis.molecular.rotational import RotationalLines
from starsmith.simulator.synthesis.wide.wide_lines import (
    E_LOW_UNIT,
    LOG_GF_UNIT,
    WAVE_UNIT,
    packed,
)

__all__ = ["h_band_lines"]


def h_band_lines(molecule: str) -> RotationalLines:
    """Lines of ``CO`` or ``OH`` in 1500-1700 nm."""
    table = packed("h_band.npz")
    return RotationalLines(
        wavenumber=1e8 / (WAVE_UNIT * table[f"{molecule}_wave"]),
        gf=fixed.power(10.0, LOG_GF_UNIT * table[f"{molecule}_log_gf"]),
        energy=E_LOW_UNIT * table[f"{molecule}_e_low"],
    )
