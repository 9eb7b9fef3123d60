"""Transfer: a trained network made to serve other spectra, by strategies that change a part."""
