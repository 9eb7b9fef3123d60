"""Figures of the surveys a domain can be, one TOML each."""
