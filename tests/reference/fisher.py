"""Slow twins of the ceilings, written from the formulae."""

import math

import numpy as np


def schur_dense(gram, target):
    """Information on one column less what the others imitate, and its share, one matrix."""
    rest = [k for k in range(len(gram)) if k != target]
    left = gram[target, target]
    left -= gram[target, rest] @ np.linalg.inv(gram[np.ix_(rest, rest)]) @ gram[rest, target]
    return left, left / gram[target, target]


def log_marginal_by_grid(cross, square, low, high, n=200_001):
    """Ln of the integral over the amplitude A of exp(A S1 - A² S2 / 2) / A."""
    a = np.linspace(low, high, n)
    exponent = a * cross - 0.5 * a**2 * square - np.log(a)
    return exponent.max() + np.log(np.sum(np.exp(exponent - exponent.max())) * (a[1] - a[0]))


def moments_dense(log_weight, values):
    """Weighted mean, variance and effective number, one star; values (n, n_label)."""
    weight = np.exp(log_weight - log_weight.max())
    total = weight.sum()
    mean = weight @ values / total
    var = weight @ (values - mean) ** 2 / total
    return mean, var, total**2 / np.sum(weight**2)


def posterior_on_grid(flux, variance, spectra, values, low, high, n_amplitude=400):
    """Posterior moments of one star by brute force: every template at every amplitude.

    ``spectra`` (n, n_wave) at unit amplitude, ``values`` (n, n_label); the amplitude has a
    density proportional to 1/A, so equal steps of ln A weigh the same.
    """
    amplitude = np.exp(np.linspace(math.log(low), math.log(high), n_amplitude))
    chi_square = np.stack(
        [np.sum((flux - a * spectra) ** 2 / variance, axis=1) for a in amplitude], axis=1
    )
    weight = np.exp(-0.5 * (chi_square - chi_square.min()))
    return moments_dense(np.log(np.maximum(weight.sum(axis=1), 1e-300)), values)


def posterior_over_rows(flux, variance, spectra, values, weight):
    """Posterior moments of stars that are rows of a table: Bayes' theorem, every pixel.

    ``spectra`` (n_row, n_wave) at the rows' own magnitudes, ``values`` (n_row, n_label),
    ``weight`` (n_row,) their prior probabilities. Mean, variance and effective number of rows.
    """
    spectra = spectra.astype(np.float64)
    chi_square = (1.0 / variance) @ (spectra**2).T - 2.0 * (flux / variance) @ spectra.T
    log_weight = np.log(weight) - 0.5 * chi_square
    found = [moments_dense(row, values) for row in log_weight]
    return tuple(np.array(part) for part in zip(*found, strict=True))


def three_point_slope(x, f, i):
    """Three-point derivative on unequal steps, textbook form, interior nodes only."""
    back, ahead = x[i] - x[i - 1], x[i + 1] - x[i]
    return (
        -ahead / (back * (back + ahead)) * f[i - 1]
        + (ahead - back) / (back * ahead) * f[i]
        + back / (ahead * (back + ahead)) * f[i + 1]
    )


def gram_plain(flux, nodes, neighbours, weights, scale, floor, slope, block=64):
    """Information matrices of nodes in plain numpy, float64, a block of nodes at a time.

    Arguments as in the kernel ``fill_gram``; also the baseline its speed is told against.
    """
    n_column = weights.shape[1]
    gram = np.empty((len(scale), len(nodes), n_column, n_column))
    for start in range(0, len(nodes), block):
        rows = slice(start, start + block)
        columns = np.zeros((len(nodes[rows]), n_column, flux.shape[1]))
        for k in range(neighbours.shape[2]):
            if weights[rows, :, k].any():
                columns += weights[rows, :, k, None] * flux[neighbours[rows, :, k]]
        seen = flux[nodes[rows]].astype(np.float64)
        for m, unit in enumerate(scale[:, rows]):
            unit = unit.astype(np.float64)[:, None]
            noise = np.sqrt(floor + slope * np.maximum(unit * seen, 0.0))
            whitened = columns * (unit / noise)[:, None, :]
            gram[m, rows] = whitened @ whitened.transpose(0, 2, 1)
    return gram


def posterior_plain(flux, variance, spectra, values, low, high):
    """Posterior moments over templates in plain numpy, every pixel of every template.

    Arguments as in `posterior_on_grid`, for many stars; the amplitude is integrated in closed
    form, edges ignored. The baseline the short basis is told against.
    """
    spectra = spectra.astype(np.float64)
    cross = (flux / variance) @ spectra.T
    square = (1.0 / variance) @ (spectra**2).T
    half = 0.5 * cross**2 / square
    best = cross / square
    log_weight = np.where((best > low) & (best < high), half - 0.5 * np.log(2.0 * half), -np.inf)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    mean = weight @ values
    return mean, weight @ values**2 - mean**2


def points_on_lines(nodes, ranges, n_point):
    """Labels and prior weights of evenly spaced points on every line of the published prior.

    ``nodes`` and ``ranges``: for each label its nodes, and (low, high). One label is free; each
    of the others takes the node nearest to a uniform draw.
    """
    labels, weights = [], []
    shares = []
    for values, (low, high) in zip(nodes, ranges, strict=True):
        fine = np.linspace(low, high, 20_001)[1::2]
        nearest = np.abs(fine[:, None] - values).argmin(axis=1)
        shares.append(np.bincount(nearest, minlength=len(values)) / len(fine))
    for free, (low, high) in enumerate(ranges):
        inside = low + (high - low) * (np.arange(n_point) + 0.5) / n_point
        choices = [inside if k == free else v for k, v in enumerate(nodes)]
        each = [
            np.full(n_point, 1.0 / n_point) if k == free else shares[k] for k in range(len(nodes))
        ]
        labels.append(
            np.stack(np.meshgrid(*choices, indexing="ij"), axis=-1).reshape(-1, len(nodes))
        )
        grid = np.meshgrid(*each, indexing="ij")
        weights.append(np.prod(grid, axis=0).reshape(-1) / len(nodes))
    return np.concatenate(labels), np.concatenate(weights)
