"""Using a trained model: spectra brought to it, labels, posteriors, and what is doubtful."""
