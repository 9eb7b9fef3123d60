"""From grid nodes to a bank, and from a bank to noiseless spectra between the nodes."""
