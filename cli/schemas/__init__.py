"""JSON Schemas of what commands print with ``--json``, one file for each document."""
