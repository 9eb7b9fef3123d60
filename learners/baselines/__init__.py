"""Estimators that are no networks: ridge, trees, templates and their posterior mean."""
