"""Instruments: figures with their sources, and the noise tables made from them."""
