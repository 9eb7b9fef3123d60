"""Estimators that learn from compressed spectra: fresh stars, fresh noise, whole posteriors."""
