"""Instruments: figures with their sources, and the noise tables made from them."""

from starsmith.simulator.instruments.config import list_instruments, load_instrument
from starsmith.simulator.instruments.instrument import (
    Instrument,
    JoinedInstrument,
    with_source,
)
from starsmith.simulator.instruments.instrument_summary import (
    instrument_summary,
    resolution_element,
)
from starsmith.simulator.instruments.instrument_tables import noise_tables
from starsmith.simulator.instruments.light.dust import attenuation, extinction_per_reddening
from starsmith.simulator.instruments.pfs_etc.validate import EtcComparison, compare_with_etc
from starsmith.simulator.instruments.pfs_etc.write_instrument import import_calculator

__all__ = [
    "EtcComparison",
    "Instrument",
    "JoinedInstrument",
    "attenuation",
    "compare_with_etc",
    "extinction_per_reddening",
    "import_calculator",
    "instrument_summary",
    "list_instruments",
    "load_instrument",
    "noise_tables",
    "resolution_element",
    "with_source",
]
