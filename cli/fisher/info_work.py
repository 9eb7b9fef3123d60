"""What a single star could tell, as text and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from starsmith.data_contract.draws import Draws
from starsmith.data_contract.figure_kit import save_figure
from starsmith.data_contract.quantities import UNITS
from starsmith.data_contract.text_tables import text_table
from starsmith.fisher.figures import waterfall_figure
from starsmith.fisher.information.density import StarDensity
from starsmith.fisher.information.waterfall import WaterfallStep

__all__ = ["density_report", "describe_density", "draw_waterfall"]


def density_report(found: StarDensity, star: Draws, steps: Sequence[WaterfallStep]) -> dict:
    """Return the star, its bound, what its features and richest windows hold, and the waterfall."""
    labels = dict(zip(star.label_names, star.labels[0].tolist(), strict=True))
    return {
        "star": {**labels, "mag": float(star.mag[0])},
        "target": found.target,
        "fitted": list(found.names),
        "snr": found.snr,
        "sigma": found.sigma,
        "rho": found.rho,
        "features": [asdict(window) for window in found.features()],
        "windows": [asdict(window) for window in found.top()],
        "waterfall": [asdict(step) for step in steps],
    }


def describe_density(report: dict) -> str:
    """Lay the report out for a terminal."""
    head = (
        f"{_star_words(report)}: S/N {report['snr']:.1f}, sigma({report['target']}) >= "
        f"{report['sigma']:.3g} {UNITS[report['target']]}, fitting {', '.join(report['fitted'])} "
        f"(these leave {report['rho']:.0%} of the information)"
    )
    tables = [_shares(report[part], column) for part, column in COLUMNS.items()]
    steps = [
        {"unknown, one more per line": s["name"], "sigma": s["sigma"], "factor": s["factor"]}
        for s in report["waterfall"]
    ]
    return "\n\n".join((head, *tables, text_table(steps)))


def _star_words(report: dict) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in report["star"].items())


def draw_waterfall(path: Path | None, report: dict, notice: str) -> None:
    """Draw what each unknown costs where a figure was asked for."""
    if path is not None:
        steps = [WaterfallStep(**step) for step in report["waterfall"]]
        title = f"{_star_words(report)}; S/N {report['snr']:.1f} per pixel"
        save_figure(waterfall_figure(steps, report["target"], title, notice), path)


COLUMNS = {"features": "feature", "windows": "window [A]"}


def _shares(windows: list[dict], column: str) -> str:
    rows = [
        {
            column: window["name"],
            "width [A]": window["width"],
            "share": window["share"],
            "share if nuisances known": window["share_fixed"],
        }
        for window in windows
    ]
    return text_table(rows)
