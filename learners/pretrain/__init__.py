"""Spectra that teach without labels: masked transformers, autoencoders, aligned pairs."""
