"""The exact posterior mean of stars of a laboratory's domain: nobody does better in that target.

Data are flux before any standardising, of noise and errors of calibration and sky whose law is
known. Labels are drawn from a Student t about the best fit, or about two where both sides of the
box fit, and weighed by prior and likelihood;
those errors are marginalised exactly, being linear and Gaussian. A second ceiling leaves the
continuum free.
"""

from dataclasses import dataclass

import numpy as np

from starsmith.simulator.domains.domain import Domain, Stars

__all__ = ["DomainCeiling", "domain_ceiling"]

N_TEMPLATE = 2000
N_BASIS, N_BASIS_OF = 32, 400  # components of templates, and templates behind those
N_ALIKE = 16  # templates whose likelihood is compared
N_DRAW = 200
ROUNDS = 3
TAILS = 5.0  # degrees of freedom of the proposal
INFLATION = 1.3
LOOSE = 0.03  # of the box: where a label is known worse, half of the draws reach farther
AWAY = 0.25  # of the box, at least, from the first
BELOW = 15.0  # in log likelihood: a lower maximum does not count
BROAD = 9.0  # times the covariance, of draws where there is none
FREE = 1.0  # standard deviation of coefficients of a free continuum
FEW = 20.0  # draws that count: below, a star is told apart


@dataclass(frozen=True, kw_only=True)
class DomainCeiling:
    """Posterior means of stars.

    Attributes
    ----------
    mean, variance : float64 arrays, shape (n_spec, n_label)
    ess : float64 array, shape (n_spec,)
        Draws that carry the weight.
    continuum_free : bool
    """

    mean: np.ndarray
    variance: np.ndarray
    ess: np.ndarray
    continuum_free: bool

    @property
    def n_few(self) -> int:
        """Stars whose posterior rests on few draws."""
        return int((self.ess < FEW).sum())


Peak = tuple[np.ndarray, np.ndarray]
"""Labels, and a covariance about them."""


class _Likelihood:
    """Log likelihood of one star's labels."""

    def __init__(self, domain: Domain, seen: np.ndarray, snr: float, modes: np.ndarray):
        self.domain, self.seen, self.snr = domain, seen.astype(np.float64), snr
        self.modes, sky = modes, domain.sky_modes
        self.sky = np.empty((0, self.seen.size)) if sky is None else sky / snr
        mixing = domain.mixing
        self.whiten = None if mixing is None else np.linalg.inv(mixing)

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Of labels (n_draw, n_label); float64 (n_draw,)."""
        model = self.domain.spectra(labels, alone=False)
        sigma = self.domain.sigma_of(model, np.full(len(model), self.snr))
        left = (self.seen - model) / sigma
        if self.whiten is not None:
            left = left @ self.whiten.T
        total = -0.5 * np.einsum("ij,ij->i", left, left) - np.log(sigma).sum(axis=1)
        n_mode = len(self.modes) + len(self.sky)
        if not n_mode:
            return total
        inner, pull = self._levers(model, sigma, left)
        factor = np.linalg.cholesky(inner + np.eye(n_mode))
        solved = np.linalg.solve(factor, pull[:, :, None])[:, :, 0]
        log_det = np.log(np.einsum("ikk->ik", factor)).sum(axis=1)
        return total + 0.5 * np.square(solved).sum(axis=1) - log_det

    def _levers(
        self, model: np.ndarray, sigma: np.ndarray, left: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Products of whitened error modes: with each other, and with what is left.

        Shapes (n_draw, n_mode, n_mode) and (n_draw, n_mode).
        """
        modes, signal = self.modes, model / sigma
        if self.whiten is None and not len(self.sky):
            products = (modes[:, None, :] * modes).reshape(-1, modes.shape[1])
            inner = np.square(signal) @ products.T
            return inner.reshape(-1, len(modes), len(modes)), (signal * left) @ modes.T
        lever = np.concatenate(
            [signal[:, None, :] * modes, self.sky / sigma[:, None, :]], axis=1
        )  # (n_draw, n_mode, n_wave)
        if self.whiten is not None:
            lever = lever @ self.whiten.T
        return lever @ lever.transpose(0, 2, 1), np.einsum("ikj,ij->ik", lever, left)


class _Templates:
    """Spectra all over the box, as few numbers each: where to begin a star's search.

    Parameters
    ----------
    domain : Domain
    modes : float64 array, shape (n_mode, n_wave)
        Of calibration errors; they and those of the sky are left out of the comparison.
    generator : Generator
        Of the templates' labels.
    """

    def __init__(self, domain: Domain, modes: np.ndarray, generator: np.random.Generator):
        low, high = domain.box
        self.places = generator.uniform(low, high, (N_TEMPLATE, low.size))
        spectra = domain.spectra(self.places, alone=False) / domain.survey.shape
        self.weight, self.middle = 1.0 / domain.survey.shape, spectra.mean(axis=0)
        spectra -= self.middle
        errors = [modes * self.middle]
        if (sky := domain.sky_modes) is not None:
            errors.append(sky * self.weight)
        known = np.linalg.qr(np.concatenate(errors).T)[0]
        spectra -= (spectra @ known) @ known.T
        self.basis = np.linalg.svd(spectra[:N_BASIS_OF], full_matrices=False)[2][:N_BASIS]
        self.short = spectra @ self.basis.T

    def alike(self, seen: np.ndarray) -> np.ndarray:
        """Labels of the templates that resemble a star most, (N_ALIKE, n_label)."""
        star = self.basis @ (seen * self.weight - self.middle)
        misfit = np.square(self.short - star).sum(axis=1)
        return self.places[np.argpartition(misfit, N_ALIKE)[:N_ALIKE]]


def domain_ceiling(domain: Domain, stars: Stars, continuum_free: bool = False) -> DomainCeiling:
    """Posterior mean of every star under its draw of record.

    Parameters
    ----------
    domain : Domain
        That the stars are of.
    stars : Stars
    continuum_free : bool
        Let five Legendre polynomials multiply the flux, whatever the calibration error is.

    Returns
    -------
    DomainCeiling
    """
    spread = FREE if continuum_free else domain.knobs.flux_calibration
    modes = domain.modes[: None if spread else 0] * spread
    templates = _Templates(domain, modes, np.random.default_rng([stars.seed, 43]))
    seen = stars.observe()
    mean, variance = np.empty(stars.labels.shape), np.empty(stars.labels.shape)
    ess = np.empty(len(stars))
    for k in range(len(stars)):
        likelihood = _Likelihood(domain, seen[k], float(stars.snr[k]), modes)
        alike = templates.alike(likelihood.seen)
        maxima = _maxima(domain, likelihood, alike)
        draw = np.random.default_rng([stars.seed, 44, k])
        mean[k], variance[k], ess[k] = _weighed(domain, likelihood, maxima, draw)
    return DomainCeiling(mean=mean, variance=variance, ess=ess, continuum_free=continuum_free)


def _maxima(domain: Domain, likelihood: _Likelihood, alike: np.ndarray) -> list[Peak]:
    """The best fit, and the best of those on another side of the box, if it counts.

    A metal-poor star of low S/N may be a giant or a dwarf. Where there is no second maximum and a
    label is loose, half of the draws reach farther.
    """
    low, high = domain.box

    def best_of(starts: np.ndarray) -> tuple[Peak, float]:
        height = likelihood(starts) + domain.log_prior(starts)
        start = starts[np.argmax(height)]
        place, width = _best(likelihood, start, low, high)
        found = float((likelihood(place[None]) + domain.log_prior(place[None]))[0])
        if found < height.max():  # steps went astray, where the likelihood is no parabola
            return (start, width), float(height.max())
        return (place, width), found

    first, height = best_of(alike)
    (centre, width), span = first, high - low
    others = []
    for k in range(low.size):
        side = 0.15 if centre[k] > low[k] + 0.5 * span[k] else 0.85
        along = (low[k] + side * span[k] - centre[k]) * width[:, k] / width[k, k]
        mirrored = np.where(np.arange(low.size) == k, low + high - centre, centre)
        far = alike[np.abs(alike[:, k] - centre[k]) > AWAY * span[k]]
        second, other = best_of(np.clip(np.vstack([centre + along, mirrored, far]), low, high))
        if np.any(np.abs(second[0] - centre) > AWAY * span):
            others.append((other, second))
    if others and (best := max(others, key=lambda pair: pair[0]))[0] > height - BELOW:
        return [first, best[1]]
    loose = np.any(np.sqrt(np.diag(width)) > LOOSE * span)
    return [first, (centre, BROAD * width)] if loose else [first]


def _log_density(labels: np.ndarray, peaks: list[Peak]) -> np.ndarray:
    """Log density of equal parts of Student t about some peaks, but for a constant."""
    total = np.full(len(labels), -np.inf)
    for centre, width in peaks:
        factor = INFLATION * np.linalg.cholesky(width)
        z = np.linalg.solve(factor, (labels - centre).T)
        power = -0.5 * (TAILS + centre.size)
        own = power * np.log1p(np.square(z).sum(axis=0) / TAILS) - np.log(np.diag(factor)).sum()
        total = np.logaddexp(total, own)
    return total


def _weighed(
    domain: Domain, likelihood: _Likelihood, maxima: list[Peak], draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean, variance and effective draws of a star's posterior."""
    low, high = domain.box
    centre, width = maxima[0]
    several = maxima if any(place is not centre for place, _ in maxima) else []
    n_draw = N_DRAW * len(maxima)
    rounds: list[tuple[float, np.ndarray, np.ndarray]] = []
    for n_done in range(ROUNDS):
        peaks = maxima if not n_done else [*several, (centre, width)]
        normal = draw.standard_normal((n_draw, low.size))
        stretch = np.sqrt(TAILS / draw.chisquare(TAILS, n_draw))[:, None]
        labels = INFLATION * normal * stretch
        for k, (middle, spread) in enumerate(peaks):
            own = slice(k, None, len(peaks))
            labels[own] = middle + labels[own] @ np.linalg.cholesky(spread).T
        inside = ((labels >= low) & (labels <= high)).all(axis=1)
        if not inside.any():
            width = width * 4.0
            continue
        some = labels[inside]
        log_weight = likelihood(some) + domain.log_prior(some) - _log_density(some, peaks)
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        centre = weight @ some
        away = some - centre
        cover = (weight[:, None] * away).T @ away
        ess = float(1.0 / np.square(weight).sum())
        rounds.append((ess, centre, np.diag(cover)))
        if ess > low.size + 2:
            width = cover + 1e-8 * np.diag(np.square(high - low))
        else:
            width = width * 2.0
    if not rounds:
        return np.clip(centre, low, high), np.diag(width), 0.0
    return _pooled(rounds)


def _pooled(
    rounds: list[tuple[float, np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, float]:
    """Rounds together, each by the draws that carry its weight."""
    draws, means, variances = (np.array(column) for column in zip(*rounds, strict=True))
    share = draws / draws.sum()
    mean = share @ means
    return mean, share @ (variances + np.square(means - mean)), float(draws.sum())


def _best(
    likelihood: _Likelihood, start: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Best labels by damped Newton steps on a quadratic fit, and the inverse of its curvature."""
    span = high - low
    place, size = start.copy(), 0.02
    n = place.size
    stencil = np.concatenate([np.zeros((1, n)), np.eye(n), -np.eye(n)])
    pairs = [(i, j) for i in range(n) for j in range(i)]
    stencil = np.concatenate([stencil, *[[np.eye(n)[i] + np.eye(n)[j]] for i, j in pairs]])
    width = np.diag(np.square(0.05 * span))
    for _ in range(8):
        room = np.clip(place, low + size * span, high - size * span)
        value = likelihood(np.clip(room + size * span * stencil, low, high))  # of rounding
        gradient, curvature = _quadratic(value, n, pairs)
        eigen, vectors = np.linalg.eigh(-curvature)
        eigen = np.maximum(eigen, 1e-3)
        step = vectors @ ((vectors.T @ gradient) / eigen)
        step *= min(1.0, 3.0 / max(np.abs(step).max(), 1e-9))
        place = np.clip(room + size * span * step, low, high)
        width = (vectors / eigen) @ vectors.T * np.outer(size * span, size * span)
        scale = np.sqrt(np.diag(width) / np.square(span)).min()
        size = float(np.clip(min(size, 1.5 * scale), 1e-5, 0.02))
    return place, width + 1e-12 * np.diag(np.square(span))


def _quadratic(
    value: np.ndarray, n: int, pairs: list[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and curvature from values at the centre, on either side, and in the corners."""
    up, down = value[1 : n + 1], value[n + 1 : 2 * n + 1]
    gradient = 0.5 * (up - down)
    curvature = np.diag(up + down - 2.0 * value[0])
    for k, (i, j) in enumerate(pairs):
        mixed = value[2 * n + 1 + k] - up[i] - up[j] + value[0]
        curvature[i, j] = curvature[j, i] = mixed
    return gradient, curvature
