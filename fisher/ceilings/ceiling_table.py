"""The ceiling table: one row per signal-to-noise bin, six statistics, every assumption named."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from starsmith.data_contract.described import described
from starsmith.data_contract.files.atomic import json_safe, staged_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FEW_STARS", "CeilingRow", "CeilingTable", "StarCeiling"]

FEW_STARS = 30  # a bin of fewer says little: its label variance alone is uncertain by a quarter

MEANING = {
    "paper_median": "median over grid nodes of clip(1 - CRLB/Var_nodes, 0, 1); not a bound",
    "mean_clip": "1 - E[min(CRLB, Var)]/Var; not a bound either way",
    "unbiased_mean": "1 - E[CRLB]/Var: ceiling of unbiased estimators, may be below 0",
    "bayes_gauss": "1 - E[((I + Lambda)^-1)_gg]/Var: Gaussian prior, linearised spectra; proxy",
    "posterior_mean": "1 - E[Var(label | spectrum)]/Var: no estimator does better",
    "van_trees": "1 - weighted van Trees bound/Var: rigorous, loose",
}


@dataclass(frozen=True, kw_only=True)
class CeilingRow:
    """Ceilings of the stars of one bin.

    Attributes
    ----------
    name : str
        ``all``, the bin's edges, or ``mag 21``.
    low, high : float
        Stars with low <= S/N (or magnitude) < high.
    n : int
    snr : float
        Median over the bin's stars [per pixel].
    variance : float
        Of the target among the bin's stars [label²].
    sigma : tuple of three floats
        10th, 50th and 90th percentile of the Cramér-Rao bound on σ [label].
    rho : float
        Median share of the target's information that the nuisances leave.
    cond : float
        Median condition number of the unit-diagonal information matrix.
    r2 : dict of str to (float, float)
        Statistic -> R² and its standard error.
    paper_spread : tuple of two floats
        10th and 90th percentile over nodes that go with ``paper_median``.
    realised : (float, float)
        R² the posterior mean itself attains on these stars, and its standard error; must
        agree with ``posterior_mean``.
    halving : float
        R² from half the templates less R² from all: the Monte Carlo bias is below it.
    ess : tuple of two floats
        5th and 50th percentile of the effective number of templates.
    flags : tuple of str
    step_error : (float, float)
        At the nodes behind ``paper_median``: median of σ by differences over σ by the spline,
        and the share of nodes where they differ by over 10 %.
    noise_gain : float
        Median of σ without over σ with what the variance itself tells; 1 unless that counts.
    arm : str
        The only arm that sees the stars; empty where all do.
    unseen : (float, float)
        Of stars from a table: R² that an estimate without the star's own row attains, and its
        standard error. The ceiling of the population lies between it and ``posterior_mean``.
    """

    name: str
    low: float
    high: float
    n: int
    snr: float
    variance: float
    sigma: tuple[float, float, float]
    rho: float
    cond: float
    r2: dict[str, tuple[float, float]]
    paper_spread: tuple[float, float]
    realised: tuple[float, float]
    halving: float
    ess: tuple[float, float]
    flags: tuple[str, ...] = ()
    step_error: tuple[float, float] = (float("nan"), float("nan"))
    noise_gain: float = 1.0
    arm: str = ""
    unseen: tuple[float, float] = (float("nan"), float("nan"))

    def score(self, statistic: str) -> str:
        """R² as a text: with its standard error, or for ``paper_median`` its p10 and p90."""
        text = _with_error(*self.r2[statistic])
        if statistic != "paper_median" or not math.isfinite(self.r2[statistic][0]):
            return text
        low, high = self.paper_spread
        return f"{text} ({low:.3f} to {high:.3f})"

    def flat(self) -> dict:
        """One level of columns, for tables."""
        out = {
            "bin": self.name,
            "arm": self.arm,
            "n": self.n,
            "snr": self.snr,
            "variance": self.variance,
        }
        out |= dict(zip(("sigma_p10", "sigma_p50", "sigma_p90"), self.sigma, strict=True))
        out["rho"] = self.rho
        for name, (value, error) in self.r2.items():
            out[name] = value
            out[f"{name}_se"] = error
        out["paper_p10"], out["paper_p90"] = self.paper_spread
        out["realised"], out["realised_se"] = self.realised
        out["step_ratio"], out["step_share"] = self.step_error
        out["noise_gain"] = self.noise_gain
        out["unseen"], out["unseen_se"] = self.unseen
        out["ess_p05"], out["ess_p50"] = self.ess
        out["flags"] = " ".join(self.flags)
        return out


@dataclass(frozen=True, kw_only=True)
class StarCeiling:
    """What the table was made from, star by star; arrays of shape (n_spec,).

    ``index`` is the draw key within ``split`` of ``seed``; ``label`` the true label, ``mean``,
    ``var`` and ``ess`` those of the posterior (NaN if it was not asked for).
    """

    seed: int
    split: str
    index: np.ndarray
    snr: np.ndarray
    mag: np.ndarray
    label: np.ndarray
    sigma2: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    ess: np.ndarray


@described
@dataclass(frozen=True, kw_only=True)
class CeilingTable:
    """Ceilings pooled and per signal-to-noise bin.

    Attributes
    ----------
    target : str
    unit : str
    header : dict
        Every assumption: what is known, what is marginalised, the noise, the population.
    rows : tuple of CeilingRow
        The pooled row first, or one row per magnitude.
    stars : StarCeiling
        Not written to files.
    notice : str
        Label of a demonstration grid, else empty.
    """

    target: str
    unit: str
    header: dict
    rows: tuple[CeilingRow, ...]
    stars: StarCeiling = field(repr=False)
    notice: str = ""

    def _facts(self) -> dict[str, object]:
        return {
            "target": self.target,
            "rows": " ".join(row.name for row in self.rows),
            "stars": len(self.stars.index),
            "notice": self.notice,
        }

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the statistics in the table."""
        return tuple(self.rows[0].r2)

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms that have rows by themselves."""
        return tuple(dict.fromkeys(row.arm for row in self.rows if row.arm))

    def row(self, name: str, arm: str = "") -> CeilingRow:
        """Return the row of a bin, e.g. ``all`` or ``5-7``, of all arms or of one."""
        return next(row for row in self.rows if (row.name, row.arm) == (name, arm))

    def plot(self, models: Mapping[str, Mapping[str, Sequence[float]]] | None = None) -> "Figure":
        """Draw R² against S/N, every ceiling, and models beneath them; see `ceiling_figure`."""
        drawn = import_module("starsmith.fisher.figures").ceiling_figure(self, models)
        return cast("Figure", drawn)

    def pooled(self) -> "CeilingTable":
        """Return the table without its bins."""
        return replace(self, rows=tuple(row for row in self.rows if row.name == "all"))

    def arm_scores(self) -> dict[str, dict[str, tuple[float, float, float]]]:
        """R² of the posterior mean, and two standard errors below and above, arm by arm and bin."""
        scores: dict[str, dict[str, tuple[float, float, float]]] = {}
        for row in self.rows:
            if row.arm:
                value, error = row.r2.get("posterior_mean", (np.nan, np.nan))
                curve = scores.setdefault(f"arm {row.arm} alone: posterior mean", {})
                curve[row.name] = (value, value - 2.0 * error, value + 2.0 * error)
        return scores

    def to_dict(self) -> dict:
        """Plain types only; NaN and infinity as None."""
        meaning = {name: MEANING[name] for name in self.statistics}
        content = {
            "schema": "starsmith.ceiling",
            "schema_version": 1,
            "target": self.target,
            "unit": self.unit,
            "notice": self.notice,
            "header": self.header,
            "statistics": meaning,
            "rows": [asdict(row) for row in self.rows],
        }
        return json_safe(content)

    def to_json(self) -> str:
        """Return the table as JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_ecsv(self) -> str:
        """Return the table as ECSV text, header in its metadata."""
        from astropy.table import Table

        flat = [row.flat() for row in self.rows]
        table = Table({name: [row[name] for row in flat] for name in flat[0]})
        for name in ("sigma_p10", "sigma_p50", "sigma_p90"):
            table[name].description = f"Cramér-Rao bound on the standard deviation [{self.unit}]"
        table.meta = {k: v for k, v in self.to_dict().items() if k != "rows"}
        text = io.StringIO()
        table.write(text, format="ascii.ecsv")
        return text.getvalue()

    def to_markdown(self) -> str:
        """Return the table as Markdown, assumptions above it."""
        said = "R² ± standard error; of paper_median p10 to p90 over nodes"
        lines = [f"**Ceilings for {self.target}** ({said})", ""]
        lines += [f"> {self.notice}", ""] if self.notice else []
        lines += [f"- {name.replace('_', ' ')}: {value}" for name, value in self.header.items()]
        head = ["arm"] if self.arms else []
        head += ["S/N", "n", "median S/N", "Var", "σ p10", "σ p50", "σ p90", "ρ"]
        head += [*self.statistics, "flags"]
        lines += ["", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
        for row in self.rows:
            cells = [row.arm or "all"] if self.arms else []
            cells += [row.name, str(row.n), f"{row.snr:.1f}", f"{row.variance:.3f}"]
            cells += [f"{value:.3g}" for value in row.sigma] + [f"{row.rho:.2f}"]
            cells += [row.score(name) for name in self.statistics]
            lines.append("| " + " | ".join([*cells, ", ".join(row.flags)]) + " |")
        lines += _notes(self.rows)
        lines += ["", *(f"- `{name}`: {MEANING[name]}" for name in self.statistics)]
        return "\n".join(lines) + "\n"

    def write(self, path: Path | str) -> None:
        """Write JSON, ECSV or Markdown, as the suffix of ``path`` says."""
        path = Path(path)
        writers = {".json": self.to_json, ".ecsv": self.to_ecsv, ".md": self.to_markdown}
        text = writers[path.suffix]()
        with staged_file(path) as partial:
            partial.write_text(text, encoding="utf-8")


def _with_error(value: float, error: float) -> str:
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "-inf"
    return f"{value:.3f}" + (f" ± {error:.3f}" if math.isfinite(error) else "")


def _notes(rows: tuple[CeilingRow, ...]) -> list[str]:
    """What grid steps do to bounds at nodes, and what the variance tells; empty if unknown."""
    notes = []
    ratios = [row.step_error for row in rows if math.isfinite(row.step_error[0])]
    if ratios:
        low, high = min(r[0] for r in ratios), max(r[0] for r in ratios)
        worst = max(r[1] for r in ratios)
        notes += [
            "",
            f"σ at nodes by differences over σ by the spline: median {low:.3f} to {high:.3f}; off "
            f"by over 10 % at {worst:.1%} of the nodes or fewer.",
        ]
    unseen = [row for row in rows if math.isfinite(row.unseen[0])]
    if unseen:
        values = ", ".join(
            f"{' '.join((row.arm, row.name)).strip()} {_with_error(*row.unseen)}" for row in unseen
        )
        notes += [
            "",
            "`posterior_mean` knows every row of the table. What can be said of a star that is not "
            f"in it reaches R² {values}; the ceiling of the population that the table samples lies "
            "between the two.",
        ]
    gains = [row.noise_gain for row in rows if row.noise_gain != 1.0]
    if gains:
        notes += ["", f"What the variance itself tells divides σ by {max(gains):.3f} at most."]
    return notes
