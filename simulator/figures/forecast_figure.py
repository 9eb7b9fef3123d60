"""Figure of a forecast: signal-to-noise over the budget of the noise, a column per arm."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from starsmith.data_contract.figure_kit import (
    COLOURS,
    PAGE,
    WAVE_AXIS,
    new_figure,
    save_figure,
    styled,
    thicken,
)
from starsmith.data_contract.noise.budget import CALCULATOR_TERMS
from starsmith.simulator.planning.forecast import SnrForecast

__all__ = ["plot_forecast"]

MAX_CURVES = 5
TERM_COLOURS = dict(
    zip(
        CALCULATOR_TERMS,
        (*(COLOURS[k] for k in (4, 5, 9, 1, 3)), "0.2", "0.75"),
        strict=True,
    )
)
LEGEND = {"loc": "upper left", "bbox_to_anchor": (1, 1)}


@styled
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
    figure = new_figure(PAGE, 4.6)
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
            ratio.plot(wave, forecast.snr[k, arm.pixels], lw=0.4, color=colour, label=label)
        medians = ", ".join(f"{np.median(forecast.snr[k, arm.pixels]):.3g}" for k in shown)
        ratio.set_title(f"{arm.name}\nmedians {medians}" if n_arm > 1 else "")
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
    shown_lines = panels[0, -1].legend(title="AB mag" if n_arm > 1 else "AB mag: median", **LEGEND)
    thicken(shown_lines)
    panels[1, -1].legend(title=f"AB mag {forecast.mag[middle]:.4g}", reverse=True, **LEGEND)
    dark = conditions["moon_phase"] % 1 == 0
    settings = ", ".join(
        f"{name.replace('_', ' ')} {value:g}"
        for name, value in conditions.items()
        if not (dark and name.startswith("moon"))
    )
    moon = ", no moon" if dark else ""
    figure.suptitle(f"{instrument}, source {sed}\n{settings}{moon}")
    save_figure(figure, path)


def _with_median(forecast: SnrForecast, k: int) -> str:
    return f"{forecast.mag[k]:.4g}: {np.median(forecast.snr[k]):.3g}"
