"""Compiled kernels of the data contract: arrays in, arrays out."""

from starsmith.data_contract.kernels.forked import guard_forks

guard_forks()
