"""Layouts of published model grids and of tables of spectra: names, files, statements."""
