"""Compiled kernels of the ceilings: arrays in, arrays out."""
