"""The figure of the noise of one spectrum: its terms, and what each of them does to it."""

from pathlib import Path

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.figure_kit import (
    FLUX_AXIS,
    PAGE,
    WAVE_AXIS,
    colour_of,
    legend_above,
    new_figure,
    save_figure,
    styled,
)
from starsmith.data_contract.noise.budget import CALCULATOR_TERMS, noise_budget
from starsmith.data_contract.noise.terms import TERMS
from starsmith.data_contract.noise.view import NoiseModel
from starsmith.data_contract.spectrum_figure import star_words

__all__ = ["plot_noise"]

PLAIN = "photons, detector"
CURVES = {
    PLAIN: tuple(name for name in CALCULATOR_TERMS if name != "floor"),
    **{
        term.curve: ("floor", term.budget) if term.modes else (term.budget,)
        for term in TERMS
        if term.curve
    },
}
"""Terms of the noise that make one curve."""

LEAST = 0.02  # of the photons' and detector's: what is drawn at all


def _curves(sigma: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Standard deviations of the first spectrum by label, those of one curve together."""
    square = {name: np.square(values[0]) for name, values in sigma.items()}
    curves = {}
    for label, names in CURVES.items():
        together = sum(square[name] for name in names if name in square)
        if not np.any(together):
            continue
        if len(names) == 2 and names[1] in square:
            share = square[names[1]].sum() / together.sum()
            label += f" ({100 * share:.0f} % of its variance correlated)"
        curves[label] = np.sqrt(together)
    return curves


@styled
def plot_noise(path: Path, batch: SpectrumBatch, bank: Bank, noise: NoiseModel) -> None:
    """Draw σ of every term against wavelength, and the residual of one spectrum below."""
    draws = batch.draws
    budget = noise_budget(bank.noise, batch.flux_model, draws.conditions, noise, draws.key)
    curves = _curves(budget.sigma())
    figure = new_figure(PAGE, 4.4)
    above, below = figure.subplots(2, 1, sharex=True)
    least = LEAST * np.median(curves[PLAIN])
    for row, (label, values) in enumerate(curves.items()):
        sigma = np.where(values > least, values, np.nan)
        for k, arm in enumerate(bank.noise.arms):
            name = label if k == 0 else None
            at = arm.pixels
            above.plot(batch.wave[at], sigma[at], lw=0.6, color=colour_of(row), label=name)
    above.set(yscale="log", ylabel=FLUX_AXIS.replace("flux", r"1$\sigma$"))
    residual = batch.flux[0].astype(np.float64) - batch.flux_model[0]
    below.plot(batch.wave, residual, ".", ms=1.6, color="0.35", label="observed - noiseless")
    hit = batch.mask[0] != 0
    if hit.any():
        below.plot(batch.wave[hit], residual[hit], "x", ms=3, color=colour_of(1), label="masked")
    reach = np.percentile(np.abs(residual), 99)
    below.set(
        xlim=(batch.wave.min(), batch.wave.max()),
        ylim=(-1.6 * reach, 1.6 * reach),
        xlabel=WAVE_AXIS,
        ylabel="residual",
    )
    above.set_title(star_words(batch))
    legend_above(figure, [above, below], 3)
    save_figure(figure, path, bank.notice)
