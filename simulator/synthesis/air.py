"""Wavelengths of standard air and vacuum, under the name that the synthesis knows them by."""

from starsmith.data_contract.air import air_to_vacuum, vacuum_to_air

__all__ = ["air_to_vacuum", "vacuum_to_air"]
