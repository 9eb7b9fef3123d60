"""Suites of trainings and the report they end in."""
