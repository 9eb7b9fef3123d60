"""Slow twin of the likelihood of moving stars: every pixel, every velocity, every magnitude."""

import numpy as np
from scipy.special import logsumexp

from starsmith.simulator.rendering.interpolate import interpolate


def log_likelihood_plainly(bank, flux, error, labels, velocities, mags):
    """Log-likelihood (n_draw,) of labels of one star, summed over velocities and magnitudes.

    Spectra are rendered in full for every label and velocity.
    """
    middle = 0.5 * sum(mags)
    amplitude = 10.0 ** (-0.4 * (np.linspace(*mags, 2001) - middle))
    n_node, found = len(velocities), np.empty(len(labels))
    for i, own in enumerate(labels):
        repeated = np.repeat(own[None], n_node, axis=0)
        models = interpolate(bank, repeated, np.full(n_node, middle), velocities)
        log = np.empty((n_node, len(amplitude)))
        for j, model in enumerate(models.astype(np.float64)):
            pull, power = np.sum(model * flux / error**2), np.sum(model**2 / error**2)
            log[j] = amplitude * pull - 0.5 * amplitude**2 * power
        found[i] = logsumexp(log)
    return found
