"""Scores written star by star from their definitions."""

import math
import statistics

import numpy as np


def r2(truth, value):
    centre = math.fsum(truth) / len(truth)
    missed = math.fsum((v - t) ** 2 for t, v in zip(truth, value, strict=True))
    return 1.0 - missed / math.fsum((t - centre) ** 2 for t in truth)


def mae(truth, value):
    return math.fsum(abs(v - t) for t, v in zip(truth, value, strict=True)) / len(truth)


def rmse(truth, value):
    return math.sqrt(
        math.fsum((v - t) ** 2 for t, v in zip(truth, value, strict=True)) / len(truth)
    )


def bias(truth, value):
    return math.fsum(v - t for t, v in zip(truth, value, strict=True)) / len(truth)


def sigma_robust(truth, value):
    error = [v - t for t, v in zip(truth, value, strict=True)]
    centre = statistics.median(error)
    return 1.4826 * statistics.median([abs(e - centre) for e in error])


def sigma_robust_uncentred(truth, value):
    return 1.4826 * statistics.median([abs(v - t) for t, v in zip(truth, value, strict=True)])


def outlier_fraction(truth, value, threshold):
    return sum(abs(v - t) > threshold for t, v in zip(truth, value, strict=True)) / len(truth)


def bootstrap_r2(truth, value, n_resample, seed):
    """Resampled R2, one resample after the other."""
    generator = np.random.default_rng(seed)
    scores = []
    for _ in range(n_resample):
        rows = generator.integers(len(truth), size=len(truth))
        scores.append(r2(truth[rows], value[rows]))
    return np.array(scores)
