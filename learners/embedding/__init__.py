"""Spectra as vectors: of pretrained and of trained networks, kept, compared and searched."""
