"""Whether a bank is fit for ceilings: its grid, its derivatives, its information."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError
from starsmith.fisher.information.bounds import scaled_condition
from starsmith.fisher.information.crlb import crlb_from_gram
from starsmith.fisher.information.grid_nodes import (
    NodeSpectra,
    node_percentiles,
    node_spectra,
    step_error,
)
from starsmith.simulator.prior import Prior

__all__ = ["PUBLISHED", "Finding", "Published", "check_bank"]

SNR = 7.1  # of one of the logged magnitudes
STEP_SPAN = (0.9, 1.1)  # of sigma by differences over sigma by the spline
COARSE = 0.05  # share of nodes outside it
EVEN = 1e-6
MOST_CHANGE = 2.0  # of one step to the next along an axis whose steps only grow, or only shrink
MAX_COND = 1e8  # the Gram matrix then keeps half of float64's digits


@dataclass(frozen=True)
class Published:
    """Figures of the SpecViT author's run for log g on BOSZ 2017 and PFS MR.

    Attributes
    ----------
    product : float
        Median sigma times median S/N [dex].
    low, high : float
        Median over 10th percentile of sigma, and 90th over median.
    rho : float
        Share of the information that the other labels leave.
    """

    product: float
    low: float
    high: float
    rho: float


PUBLISHED = {3: Published(3.0, 2.35, 2.96, 0.69), 5: Published(3.25, 2.33, 2.87, 0.58)}
"""By number of labels, from logged quantiles: of sigma for three; for five of R², as sigma =
sqrt(1.6667 (1 - R²)), at S/N 7.1 and (upper spread, clipped below) 24."""

TOLERANCE = {"product": 0.10, "low": 0.15, "high": 0.15}  # relative
RHO_TOLERANCE = 0.05


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
    value : float
    expected : str
        Empty where any value is fine.
    ok : bool
    remark : str
        What it is, or what to do about it.
    """

    name: str
    value: float
    expected: str
    ok: bool
    remark: str


def _axes(bank: Bank) -> list[Finding]:
    findings = []
    for name, nodes in zip(bank.label_names, bank.axes, strict=True):
        steps = np.diff(nodes)
        growth = np.diff(np.log(steps))
        one_way = bool(np.all(growth >= -EVEN) or np.all(growth <= EVEN))
        change = np.exp(np.abs(growth)).max(initial=1.0)
        span = f"{nodes.size} nodes, {nodes[0]:g}..{nodes[-1]:g}"
        if change > 1.0 + EVEN:
            span += f", steps {steps.min():g}..{steps.max():g}: derivatives allow for it"
        step = float(steps.max()) if steps.size else 0.0
        graded = one_way and bool(change <= MOST_CHANGE + EVEN)
        expected = f"even or graded, x {MOST_CHANGE:g}"
        findings.append(Finding(f"largest step in {name}", step, expected, graded, span))
    return findings


def _missing(bank: Bank, inside: int) -> list[Finding]:
    missing = int(bank.filled.sum())
    remark = f"of {bank.filled.size} nodes; {inside} exist inside the prior"
    if missing:
        remark += "; derivatives beside holes lean on filled values: complete the grid"
    return [Finding("missing nodes", float(missing), "0", missing == 0, remark)]


def _hardest(nodes: NodeSpectra, sigma: np.ndarray) -> str:
    """Where the tenth of stars is that is hardest to tell: the middle of its labels."""
    worst = sigma >= node_percentiles(sigma, [90.0], nodes.weight)
    middle = np.median(nodes.labels[worst], axis=0)
    return ", ".join(f"{name} {value:g}" for name, value in zip(nodes.names, middle, strict=True))


def _published(
    nodes: NodeSpectra, target: str, product: float, sigma: np.ndarray, rho: float
) -> list[Finding]:
    """Set the spread of the bounds beside the published run, where that has such labels."""
    low, middle, high = node_percentiles(sigma, [10.0, 50.0, 90.0], nodes.weight)
    hard = _hardest(nodes, sigma)
    known = PUBLISHED.get(len(nodes.names)) if target == "logg" else None
    rows = (
        ("sigma x S/N", product, "product", f"median sigma of {target} x median S/N"),
        ("sigma: median / 10 %", middle / low, "low", "spread towards stars easy to tell"),
        ("sigma: 90 % / median", high / middle, "high", f"stars hard to tell: about {hard}"),
    )
    findings = []
    for name, value, key, remark in rows:
        expected, ok = "", True
        if known:
            wanted = getattr(known, key)
            expected = f"{wanted:g} ± {TOLERANCE[key]:.0%}"
            ok = bool(abs(value / wanted - 1.0) <= TOLERANCE[key])
        findings.append(Finding(name, float(value), expected, ok, remark))
    expected = f"{known.rho:g} ± {RHO_TOLERANCE:g}" if known else ""
    ok = bool(known is None or abs(rho - known.rho) <= RHO_TOLERANCE)
    remark = "median share of the information that the other labels leave"
    return [*findings, Finding("rho", float(rho), expected, ok, remark)]


def check_bank(
    bank: Bank, prior: Prior, target: str = "logg", snr: float = SNR
) -> tuple[Finding, ...]:
    """Look at a bank's grid, derivatives and information at its nodes.

    Bounds are those of the published definition (three-point differences, spectra divided by
    their noise-free median) at the magnitude that gives the median node this S/N.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        Only nodes inside it count; conditions are the middle of its ranges.
    target : str
    snr : float
        Median per pixel of the median node.

    Returns
    -------
    findings : tuple of Finding
    """
    nodes = node_spectra(bank, prior)
    if target not in nodes.names:
        raise ConfigError(f"--target {target!r} does not vary over the nodes: {list(nodes.names)}")
    mag = np.atleast_1d(nodes.magnitude_at(np.asarray(snr)))
    gram = nodes.gram(mag)[0]
    bounds = crlb_from_gram(gram, nodes.names.index(target))
    sigma = np.sqrt(bounds.sigma2)
    cond = scaled_condition(gram)
    blind = int(np.isinf(sigma).sum())
    ratio = step_error(bank, prior, target, snr)
    coarse = float(np.mean(~((ratio >= STEP_SPAN[0]) & (ratio <= STEP_SPAN[1]))))
    middle_sigma, middle_snr, rho = (
        float(node_percentiles(values, [50.0], nodes.weight)[0])
        for values in (sigma, nodes.snr(float(mag[0])), np.nan_to_num(bounds.rho))
    )
    return (
        *_axes(bank),
        *_missing(bank, len(sigma)),
        Finding(
            "derivative step error", coarse, f"<= {COARSE:g}", coarse <= COARSE,
            f"share of nodes where differences and spline disagree by over 10 % in sigma; "
            f"median ratio {np.nanmedian(ratio):.3f}",
        ),
        Finding(
            "condition number", float(cond.max()), f"< {MAX_COND:g}", bool(cond.max() < MAX_COND),
            f"largest of unit-diagonal information; median {np.median(cond):.3g}",
        ),
        Finding("blind nodes", float(blind), "0", blind == 0, f"nothing to be told on {target}"),
        *_published(nodes, target, middle_sigma * middle_snr, sigma, rho),
    )  # fmt: skip
