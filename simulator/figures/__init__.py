"""Figures of spectra, grids, instruments, forecasts and data sets."""
