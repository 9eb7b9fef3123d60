"""Stellar grids: the demo grid and the BOSZ archive."""
