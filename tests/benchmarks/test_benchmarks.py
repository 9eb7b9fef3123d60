"""Benchmarks run, so that they cannot rot; nothing is timed against a bound."""

from benchmarks.generate import report


def test_generate_report_covers_every_stage(toy_bank):
    """A tiny run fills both tables."""
    text = report(toy_bank, 40, 1, n_plain=2)
    for row in ("plain numpy/scipy", "noiseless store", "frozen store", "interpolate", "normals"):
        assert row in text
