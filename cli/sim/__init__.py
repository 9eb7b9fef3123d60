"""Commands of specsim: grids, instruments, plans, data sets, single spectra, cache."""
