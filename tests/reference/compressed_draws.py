"""Slow twin of stars drawn in a basis: every spectrum in full, observed and projected."""

from dataclasses import replace

import numpy as np

from starsmith.fisher.posterior.basis import template_draws
from starsmith.fisher.posterior.compressed_draws import CONDITIONS
from starsmith.simulator.observe import observe


def project_plainly(bank, prior, compression, rows, n_condition, seed=0, noise=None):
    """Coefficients (n, n_mode) and level (n,) of full spectra of the same stars.

    The stars, and the conditions they are observed under, are those of ``draw_compressed``;
    the noise is drawn pixel by pixel.
    """
    draws = template_draws(bank, prior, seed, rows.start, len(rows))
    pool = template_draws(bank, prior, seed, CONDITIONS, n_condition).conditions
    draws = replace(draws, conditions=pool[draws.index % n_condition])
    options = {} if noise is None else {"noise": noise}
    seen = observe(bank, draws, **options)
    coefficients = np.empty((len(rows), len(compression.modes)))
    level = np.empty(len(rows))
    for i in range(len(rows)):
        for k, mode in enumerate(compression.modes):
            coefficients[i, k] = np.sum(mode * compression.weight * seen.flux[i])
        level[i] = np.mean((compression.weight * seen.error[i]) ** 2)
    return coefficients, level
