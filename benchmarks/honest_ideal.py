"""What the best possible estimator of log g gains from being told the noise of a spectrum.

The posterior mean of `starsmith.fisher`, given each star's flux with

* the error under its own sky, as `smooth` has it: flux and conditions;
* the error under the sky that its own scatter fits best: flux alone;
* the error under one average sky for all: flux alone, its scatter not looked at.

The second is what can be done without conditions, so the first gains at least as much over an
ideal reader of flux alone as the truth: the difference bounds what conditions tell.

    python -m benchmarks.honest_ideal [-n 2000] [--templates 40000]
"""

import argparse

import numpy as np

from benchmarks.timing import machine
from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.noise.view import honest_error
from starsmith.fisher.posterior.posterior_mean import PosteriorOptions, posterior_mean
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import interpolate
from tests.learners.noise_inputs import average_sky, r2

N_SKY = 400  # candidates for the sky of a star
SEED, SEED_OF_SKIES = 21, 22


def fitted_flux(bank: Bank, labels: np.ndarray, flux: np.ndarray, error: np.ndarray):
    """Spectra of given labels, scaled to the observed ones, float64 (n_spec, n_wave)."""
    shape = interpolate(bank, labels, np.full(len(labels), 21.5)).astype(np.float64)
    weight = error.astype(np.float64) ** -2
    scale = (flux * shape * weight).sum(axis=1) / (shape**2 * weight).sum(axis=1)
    return scale[:, None] * shape


def error_by_scatter(bank: Bank, flux: np.ndarray, residual: np.ndarray, skies: np.ndarray):
    """Error under the candidate skies, weighted by how well they explain the residuals."""
    found = np.empty_like(flux)
    for i in range(len(flux)):
        same = np.repeat(flux[i : i + 1], len(skies), axis=0)
        error = honest_error(bank.noise, same, skies, "smooth").astype(np.float64)
        fit = -0.5 * ((residual[i] / error) ** 2).sum(axis=1) - np.log(error).sum(axis=1)
        weight = np.exp(fit - fit.max())
        found[i] = np.sqrt((weight[:, None] * error**2).sum(axis=0) / weight.sum())
    return found


def report(bank: Bank, n: int, n_template: int) -> str:
    """Table in markdown."""
    prior, options = Prior.default(), PosteriorOptions(n_template=n_template)
    draws = draw_stars(bank, prior, SEED, "test", np.arange(n))
    batch = observe(bank, draws, error="smooth")
    middling = honest_error(bank.noise, batch.flux, average_sky(prior, n), "smooth")

    def mean_of(error, conditions=None):
        return posterior_mean(bank, prior, batch.flux, error, conditions, options=options).mean

    rough = mean_of(middling)
    residual = batch.flux - fitted_flux(bank, rough, batch.flux, middling)
    skies = draw_stars(bank, prior, SEED_OF_SKIES, "train", np.arange(N_SKY)).conditions
    guessed = error_by_scatter(bank, batch.flux, residual, skies)
    means = {
        "its own sky, refined once (the ceiling)": mean_of(batch.error, draws.conditions),
        "its own sky": mean_of(batch.error),
        "the sky its scatter fits: flux alone": mean_of(guessed),
        "one average sky: flux alone": rough,
    }
    k, truth = bank.label_names.index("logg"), draws.label("logg")
    squares = {name: (mean[:, k] - truth) ** 2 / truth.var() for name, mean in means.items()}
    base = squares["the sky its scatter fits: flux alone"]
    lines = [
        f"{machine()}; {n} test stars of seed {SEED}, {n_template} templates, {N_SKY} skies",
        "",
        "| error under | R2 of log g | gain over flux alone |",
        "|---|---:|---:|",
    ]
    for name, square in squares.items():
        gained = base - square
        gain = f"{gained.mean():+.4f} ± {gained.std() / np.sqrt(n):.4f}"
        lines.append(f"| {name} | {r2(truth, means[name][:, k]):.4f} | {gain} |")
    wrong = np.median(guessed / batch.error, axis=1)
    lines += ["", f"Noise level read off the scatter: within {100 * np.std(wrong):.1f} % (rms)."]
    return "\n".join(lines)


def main() -> None:
    """Print the report for the demo bank."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", help="bank file; the demo grid at PFS MR pixels by default")
    parser.add_argument("-n", type=int, default=2000)
    parser.add_argument("--templates", type=int, default=40_000)
    options = parser.parse_args()
    bank = load_bank(options.bank) if options.bank else cached_bank("demo", "pfs_mr")
    print(report(bank, options.n, options.templates))


if __name__ == "__main__":
    main()
