"""Instruments: figures with their sources, and the noise tables made from them."""

from starsmith.simulator.instruments.config import Instrument, list_instruments, load_instrument
from starsmith.simulator.instruments.dust import attenuation, extinction_per_reddening
from starsmith.simulator.instruments.summary import instrument_summary, resolution_element
from starsmith.simulator.instruments.tables import noise_tables
from starsmith.simulator.instruments.validate import EtcComparison, compare_with_etc

__all__ = [
    "EtcComparison",
    "Instrument",
    "attenuation",
    "compare_with_etc",
    "extinction_per_reddening",
    "instrument_summary",
    "list_instruments",
    "load_instrument",
    "noise_tables",
    "resolution_element",
]
