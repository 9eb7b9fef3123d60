"""Cuts of published samples, as TOML files."""
