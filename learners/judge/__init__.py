"""Judging models: groups, paired differences, calibration, other populations, reports."""
