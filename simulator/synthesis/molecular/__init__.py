"""Molecular bands: levels and lines of CN and TiO."""
