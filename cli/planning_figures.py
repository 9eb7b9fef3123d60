"""Figure of a forecast: signal-to-noise over the budget of the noise."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from starsmith.cli.figures import COLOURS, WAVE_AXIS
from starsmith.cli.files import staged_file
from starsmith.simulator.planning import TERMS, SnrForecast

__all__ = ["plot_forecast"]

MAX_CURVES = 5
TERM_COLOURS = dict(
    zip(TERMS, ("#E69F00", "#56B4E9", "#F0E442", "#D55E00", "#CC79A7", "0.2", "0.75"), strict=True)
)


def plot_forecast(
    path: Path, forecast: SnrForecast, instrument: str, conditions: Mapping[str, float]
) -> None:
    """Draw S/N per pixel for up to five magnitudes, and the variance of the middle one by cause.

    Parameters
    ----------
    path : Path
    forecast : SnrForecast
    instrument : str
        Its name, and the ``conditions`` by name: the title.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    ratio, budget = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2]})
    n_mag = forecast.mag.size
    shown = np.unique(np.linspace(0, n_mag - 1, min(n_mag, MAX_CURVES)).round().astype(int))
    for k, colour in zip(shown, COLOURS, strict=False):
        label = f"{forecast.mag[k]:.4g}: {np.median(forecast.snr[k]):.3g}"
        ratio.plot(forecast.wave, forecast.snr[k], lw=0.5, color=colour, label=label)
    ratio.set(ylabel="S/N per pixel", ylim=(0, 1.05 * forecast.snr[shown].max()))
    ratio.set_xlim(forecast.wave[0], forecast.wave[-1])
    ratio.legend(title="AB mag: median", loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    settings = ", ".join(
        f"{name.replace('_', ' ')} {value:g}" for name, value in conditions.items()
    )
    figure.suptitle(f"{instrument}: {settings}", fontsize=8)

    middle = n_mag // 2
    budget.stackplot(
        forecast.wave,
        [forecast.fractions[term][middle] for term in TERMS],
        colors=[TERM_COLOURS[term] for term in TERMS],
        labels=TERMS,
        linewidth=0,
    )
    budget.set(xlabel=WAVE_AXIS, ylabel="fraction of variance", ylim=(0, 1))
    budget.legend(
        title=f"AB mag {forecast.mag[middle]:.4g}",
        loc="upper left",
        bbox_to_anchor=(1, 1),
        fontsize=8,
        reverse=True,
    )
    with staged_file(path) as partial:
        figure.savefig(partial, dpi=150)
