"""One network for spectra of any instrument: native pixels as tokens, read where they lie."""
