"""Vectors of spectra judged by what readers find in them, beside the ceiling."""
