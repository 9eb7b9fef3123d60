"""Spectra of any model grid on their way into a grid file: layouts, statements, checks."""
