"""BOSZ grids: names, formats and import of both releases."""
