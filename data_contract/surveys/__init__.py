"""Observed spectra of any survey: what they are, and a reader for each kind of file."""
