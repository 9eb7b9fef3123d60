"""Compiled kernels of the data contract: arrays in, arrays out."""
