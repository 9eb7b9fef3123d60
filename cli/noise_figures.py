"""The figure of the noise of one spectrum: its terms, and what each of them does to it."""

from pathlib import Path

import numpy as np

from starsmith.cli.figures import COLOURS, FLUX_AXIS, WAVE_AXIS, new_figure, save_figure
from starsmith.data_contract.bank import Bank
from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.noise import NoiseModel
from starsmith.data_contract.noise_budget import error_budget

__all__ = ["plot_noise"]

TERMS = {
    "photons_and_detector": "photons, detector",
    "floor": "sky floor",
    "telluric": "telluric residual",
    "flux_calibration": "flux calibration",
}
LEAST = 0.02  # of the photons' and detector's: what is drawn at all


def _drawn_terms(terms: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Terms of the first spectrum by label, both parts of the floor as one."""
    floor = [np.square(terms[name]) for name in terms if name.startswith("floor")]
    if floor:
        terms = {**terms, "floor": np.sqrt(sum(floor))}
    labels = dict(TERMS)
    if "floor_correlated" in terms:
        parts = (np.square(terms[name][0]).sum() for name in ("floor_correlated", "floor"))
        share = next(parts) / next(parts)
        labels["floor"] += f" ({100 * share:.0f} % of its variance correlated)"
    return {label: terms[name][0] for name, label in labels.items() if name in terms}


def plot_noise(path: Path, batch: SpectrumBatch, bank: Bank, noise: NoiseModel) -> None:
    """Draw σ of every term against wavelength, and the residual of one spectrum below."""
    draws = batch.draws
    terms = error_budget(bank.noise, batch.flux_model, draws.conditions, noise, draws.key)
    figure, ((above,), (below,)) = new_figure(2, 1, (9.0, 5.6), sharex=True)
    least = LEAST * np.median(terms["photons_and_detector"])
    for colour, (label, values) in zip(COLOURS, _drawn_terms(terms).items(), strict=False):
        sigma = np.where(values > least, values, np.nan)
        for k, arm in enumerate(bank.noise.arms):
            name = label if k == 0 else None
            at = arm.pixels
            above.plot(batch.wave[at], sigma[at], lw=0.7, color=colour, label=name)
    above.set(yscale="log", ylabel=FLUX_AXIS.replace("flux", r"1$\sigma$"))
    above.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=4, fontsize=7, frameon=False)
    residual = batch.flux[0].astype(np.float64) - batch.flux_model[0]
    below.plot(batch.wave, residual, ".", ms=1.6, color="0.35", label="observed - noiseless")
    hit = batch.mask[0] != 0
    if hit.any():
        below.plot(batch.wave[hit], residual[hit], "x", ms=4, color=COLOURS[1], label="masked")
    reach = np.percentile(np.abs(residual), 99)
    below.set(ylim=(-1.6 * reach, 1.6 * reach), xlabel=WAVE_AXIS, ylabel="residual")
    below.legend(loc="upper left", fontsize=7)
    save_figure(figure, path, bank.notice)
