"""The benchmark of noise terms runs, so that it cannot rot; nothing is timed against a bound."""

from benchmarks.observe import TERMS, report


def test_report_covers_every_term(toy_bank):
    """A tiny run names the default and all noise terms."""
    text = report(toy_bank, n=4, rounds=1)
    for name in ("calculator (default)", *TERMS):
        assert f"| {name} |" in text
