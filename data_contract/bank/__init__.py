"""Banks: a stellar grid rendered to an instrument's pixels, and what else it carries."""

from starsmith.data_contract.bank.bank_file import BANK_SCHEMA, DEGREES, Bank, load_bank

__all__ = ["BANK_SCHEMA", "DEGREES", "Bank", "load_bank"]
