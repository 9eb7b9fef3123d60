"""What inverse-variance weights do to a star's amplitude, by the error they are made from.

The noisy flux decides the observed error, so pixels that came out low count for more. The
amplitude of the true spectrum is fitted with each kind of weight: ``python -m
benchmarks.weighting_bias [BANK]``, the demo bank of pfs_mr by default.
"""

import sys

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.noise.view import true_error
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.observe import draw_stars, model_flux, observe
from starsmith.simulator.prior import Prior

N_STAR = 2000


def biases(bank: Bank, prior: Prior, n_star: int = N_STAR) -> dict[str, tuple[float, float, float]]:
    """By weight: mean pull per pixel, mean amplitude bias [σ of the amplitude] and its error."""
    draws = draw_stars(bank, prior, 1, "test", np.arange(n_star))
    model = model_flux(bank, draws).astype(np.float64)
    sigma = true_error(bank.noise, model.astype(np.float32), draws.conditions)
    found = {}
    for kind in ("true", "observed", "smooth"):
        seen = observe(bank, draws, error="smooth" if kind == "smooth" else "observed")
        error = sigma if kind == "true" else seen.error.astype(np.float64)
        away, weight = seen.flux - model, error**-2.0
        amplitude = (weight * model * away).sum(axis=1) / (weight * model**2).sum(axis=1)
        width = np.sqrt(((weight * model * sigma) ** 2).sum(axis=1))
        width /= (weight * model**2).sum(axis=1)
        bias = amplitude / width
        found[kind] = (
            float(np.mean(away / error)),
            float(bias.mean()),
            float(bias.std() / np.sqrt(n_star)),
        )
    return found


if __name__ == "__main__":
    chosen = load_bank(sys.argv[1]) if len(sys.argv) > 1 else cached_bank("demo", "pfs_mr")
    print("| weights from | pull per pixel [σ] | amplitude [its σ] |")
    print("| --- | ---: | ---: |")
    for name, (pull, shift, scatter) in biases(chosen, Prior.default()).items():
        print(f"| {name} error | {pull:+.4f} | {shift:+.2f} ± {scatter:.2f} |")
