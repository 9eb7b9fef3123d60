"""Compiled kernels of the simulator: arrays in, arrays out."""
