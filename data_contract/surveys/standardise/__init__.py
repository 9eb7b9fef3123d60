"""Observed spectra brought to common pixels, step by step, each recorded."""
