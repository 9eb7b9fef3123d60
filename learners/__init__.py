"""The attempt: estimators trained on simulated spectra."""
