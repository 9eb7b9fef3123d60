"""Figure of a forecast: signal-to-noise over the budget of the noise, a column per arm."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from starsmith.data_contract.figure_kit import COLOURS, WAVE_AXIS, new_figure, save_figure
from starsmith.data_contract.noise.budget import CALCULATOR_TERMS
from starsmith.simulator.planning.forecast import SnrForecast

__all__ = ["plot_forecast"]

MAX_CURVES = 5
SINGLE_WIDTH, ARM_WIDTH = 9.0, 4.2  # inches
TERM_COLOURS = dict(
    zip(
        CALCULATOR_TERMS,
        ("#E69F00", "#56B4E9", "#F0E442", "#D55E00", "#CC79A7", "0.2", "0.75"),
        strict=True,
    )
)
LEGEND = {"loc": "upper left", "bbox_to_anchor": (1, 1), "fontsize": 8}


def plot_forecast(
    path: Path, forecast: SnrForecast, instrument: str, sed: str, conditions: Mapping[str, float]
) -> None:
    """Draw S/N per pixel for up to five magnitudes, and the variance of the middle one by cause.

    Parameters
    ----------
    path : Path
    forecast : SnrForecast
    instrument, sed : str
        Names of the instrument and the source, and the ``conditions`` by name: the title.
    """
    n_arm = len(forecast.arms)
    width = SINGLE_WIDTH if n_arm == 1 else 1.4 + ARM_WIDTH * n_arm
    figure = new_figure(width, 6.0)
    panels = figure.subplots(
        2, n_arm, sharex="col", sharey="row", squeeze=False, height_ratios=(3, 2)
    )
    n_mag = forecast.mag.size
    shown = np.unique(np.linspace(0, n_mag - 1, min(n_mag, MAX_CURVES)).round().astype(int))
    middle = n_mag // 2
    for column, arm in enumerate(forecast.arms):
        ratio, budget = panels[:, column]
        wave = forecast.wave[arm.pixels]
        for k, colour in zip(shown, COLOURS, strict=False):
            label = f"{forecast.mag[k]:.4g}" if n_arm > 1 else _with_median(forecast, k)
            ratio.plot(wave, forecast.snr[k, arm.pixels], lw=0.5, color=colour, label=label)
        medians = ", ".join(f"{np.median(forecast.snr[k, arm.pixels]):.3g}" for k in shown)
        ratio.set_title(f"{arm.name}: medians {medians}" if n_arm > 1 else "", fontsize=8)
        ratio.set_xlim(wave[0], wave[-1])
        budget.stackplot(
            wave,
            [forecast.fractions[term][middle, arm.pixels] for term in CALCULATOR_TERMS],
            colors=[TERM_COLOURS[term] for term in CALCULATOR_TERMS],
            labels=CALCULATOR_TERMS,
            linewidth=0,
        )
        budget.set_xlabel(WAVE_AXIS)
    panels[0, 0].set(ylabel="S/N per pixel", ylim=(0, 1.05 * forecast.snr[shown].max()))
    panels[1, 0].set(ylabel="fraction of variance", ylim=(0, 1))
    panels[0, -1].legend(title="AB mag" if n_arm > 1 else "AB mag: median", **LEGEND)
    panels[1, -1].legend(title=f"AB mag {forecast.mag[middle]:.4g}", reverse=True, **LEGEND)
    dark = conditions["moon_phase"] % 1 == 0
    settings = ", ".join(
        f"{name.replace('_', ' ')} {value:g}"
        for name, value in conditions.items()
        if not (dark and name.startswith("moon"))
    )
    moon = ", no moon" if dark else ""
    figure.suptitle(f"{instrument}, source {sed}\n{settings}{moon}", fontsize=8)
    save_figure(figure, path)


def _with_median(forecast: SnrForecast, k: int) -> str:
    return f"{forecast.mag[k]:.4g}: {np.median(forecast.snr[k]):.3g}"
