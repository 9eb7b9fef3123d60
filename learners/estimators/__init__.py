"""Estimators that are no networks: ridge, trees, templates, the posterior mean."""
