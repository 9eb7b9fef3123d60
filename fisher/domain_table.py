"""Ceilings of a domain as a table: by label, group of stars and S/N, with two kinds of labels."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from starsmith.data_contract.star_groups import groups_of
from starsmith.fisher.ceilings.bins import bin_name, resampled_error
from starsmith.fisher.domain_ceiling import DomainCeiling, domain_ceiling
from starsmith.simulator.domains.domain import Domain, Stars

__all__ = ["domain_ceilings", "domain_rows"]

FEWEST = 20  # stars of a row


def domain_ceilings(domain: Domain, n_star: int) -> tuple[Stars, DomainCeiling, DomainCeiling]:
    """Test stars of a domain, their posterior means, and those with the continuum free."""
    stars = domain.draw(n_star, "test")
    known, free = (domain_ceiling(domain, stars, continuum_free=loose) for loose in (False, True))
    return stars, known, free


def domain_rows(
    names: Sequence[str],
    stars: Stars,
    known: DomainCeiling,
    free: DomainCeiling,
    edges: Sequence[float] = (),
) -> list[dict]:
    """A row for each label and group, or bin of S/N.

    Parameters
    ----------
    names : sequence of str
        Of the labels.
    stars : Stars
    known, free : DomainCeiling
        Of these stars; the second with the continuum free.
    edges : sequence of float
        Of bins of S/N, beside all stars, in place of groups.

    Returns
    -------
    rows : list of dict
        ``R2`` is that of the posterior mean on true labels, ``expected`` what its variances say,
        ``continuum free`` and ``pipeline labels`` R² of a free continuum and against the
        pipeline's labels; each has its standard error.
    """
    if edges:
        spans = {bin_name(*pair): (stars.snr >= pair[0]) & (stars.snr < pair[1])
                 for pair in pairwise(edges)}  # fmt: skip
        members = {"all": np.ones(len(stars), dtype=bool)} | spans
    else:
        members = groups_of(stars.labels, names)
    return [
        _row(name, k, group, np.flatnonzero(inside), stars, (known, free))
        for k, name in enumerate(names)
        for group, inside in members.items()
        if inside.sum() >= FEWEST
    ]


def _row(
    name: str,
    k: int,
    group: str,
    rows: np.ndarray,
    stars: Stars,
    ceilings: tuple[DomainCeiling, DomainCeiling],
) -> dict:
    truth, pipeline = stars.labels[rows, k], stars.pipeline[rows, k]
    best, free = (ceiling.mean[rows, k] for ceiling in ceilings)
    scores = {
        "R2": (truth, best),
        "continuum_free": (truth, free),
        "pipeline_labels": (pipeline, best),
    }
    row: dict[str, object] = {"label": name, "group": group, "n": len(rows)}
    row["snr"] = float(np.median(stars.snr[rows]))
    for score, (wanted, value) in scores.items():
        squared = np.square(value - wanted)
        row[score] = float(1.0 - squared.mean() / wanted.var())
        row[f"{score}_error"] = resampled_error(squared, wanted)
    row["expected"] = float(1.0 - ceilings[0].variance[rows, k].mean() / truth.var())
    row["rmse"] = float(np.sqrt(np.square(best - truth).mean()))
    return row
