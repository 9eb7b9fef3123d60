"""Published values beside ours, and why they differ."""

import tomllib
from functools import cache
from importlib.resources import files

from starsmith.learners.benchmark.results import Outcome, Results
from starsmith.learners.estimators.registry import kind_of
from starsmith.learners.scores.metrics import Interval

__all__ = ["published", "reading", "remark", "with_error"]

AGREE = 3.0  # standard errors
PUBLISHED_SPECTRA = 200_000


@cache
def published() -> dict:
    """Every value of the SpecViT paper's tables that the reports cite."""
    return tomllib.loads((files("starsmith.learners.benchmark") / "published.toml").read_text())


def remark(table: str) -> str:
    """Return what must be known to read a published table."""
    return published()["remarks"].get(table, "")


def with_error(score: Interval | None, digits: int = 3) -> str:
    """A score with its standard error."""
    return "-" if score is None else f"{score.value:.{digits}f} ± {score.error:.{digits}f}"


def reading(results: Results, outcome: Outcome, ours: Interval, theirs: float | None) -> str:
    """Say why our number is not the published one, as far as that is known.

    Differences of population, size and budget are named. What is left without such a reason
    is called open.
    """
    if theirs is None:
        return ""
    same = abs(ours.value - theirs) <= AGREE * ours.error
    reasons = []
    if results.notice:
        reasons.append("another grid")
    if outcome.run.model.endswith("_tiny"):
        reasons.append("tiny network")
    trained = not kind_of(outcome.run.model).needs_forward
    if trained and not outcome.run.online and outcome.record["n_train"] < PUBLISHED_SPECTRA:
        reasons.append(f"{outcome.record['n_train']:,} spectra")
    verdict = results.verdicts.get(outcome.run.id)
    if verdict and verdict.share > 0.98:
        reasons.append("at our ceiling")
    if same:
        return f"equal, but for {', '.join(reasons)}" if reasons else "agrees"
    return ", ".join(reasons) if reasons else "open"
