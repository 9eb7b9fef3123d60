"""Closed forms the ceilings must reproduce; each check is a line of `run_selftest`."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from starsmith.fisher.information.bounds import van_trees
from starsmith.fisher.information.crlb import crlb, crlb_batch, information_density
from starsmith.fisher.information.jacobian import derivative_matrix
from starsmith.fisher.kernels.posterior import accumulate

__all__ = ["UNIFORM_PRIOR", "Check", "run_selftest", "uniform_prior_mmse"]

UNIFORM_PRIOR = {
    0.05: (0.950, 0.952, 0.956),
    0.1: (0.900, 0.909, 0.917),
    0.2: (0.800, 0.833, 0.847),
    0.3: (0.700, 0.769, 0.786),
    0.5: (0.500, 0.667, 0.684),
    0.735: (0.265, 0.576, 0.592),
    1.0: (0.0, 0.500, 0.512),
    2.0: (0.0, 0.333, 0.338),
    3.0: (0.0, 0.250, 0.252),
}
"""CRLB / Var -> R² clipped, under a Gaussian prior, exact: one label, uniform prior."""

VAN_TREES = {0.01: 0.9906, 0.1: 0.9195, 0.3: 0.7985, 1.0: 0.555, 3.0: 0.299}
"""CRLB / Var -> a van Trees ceiling of R² for one label and a uniform prior; with the taper's
width searched ours must be at least as tight."""

SPEED_OF_LIGHT = 299792.458  # km/s


@dataclass(frozen=True)
class Check:
    """One closed form: ``name``, whether it holds, and the numbers."""

    name: str
    ok: bool
    detail: str

    def __iter__(self):
        return iter((self.name, self.ok, self.detail))


def _check(name: str, found, expected, tolerance: float) -> Check:
    found, expected = np.atleast_1d(found), np.atleast_1d(expected)
    error = float(np.max(np.abs(found - expected) / np.maximum(1.0, np.abs(expected))))
    return Check(name, error <= tolerance, f"largest error {error:.1e}, allowed {tolerance:.0e}")


def uniform_prior_mmse(c: float) -> float:
    """Least mean squared error of a label uniform on -√3..√3 (Var 1), noise variance ``c``.

    The posterior is a truncated normal; its mean's square is integrated over the data.
    """
    half, sigma = math.sqrt(3.0), math.sqrt(c)
    reach = half + 10.0 * sigma
    y = np.linspace(-reach, reach, 40_001)
    low, high = (-half - y) / sigma, (half - y) / sigma
    # reflect so that the difference of normal integrals keeps its digits in both tails
    mirror = low > 0.0
    mass = np.where(mirror, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
    slope = (np.exp(-0.5 * low**2) - np.exp(-0.5 * high**2)) / math.sqrt(2.0 * math.pi)
    seen = mass > 1e-300
    mean = y[seen] + sigma * slope[seen] / mass[seen]
    density = mass[seen] / (2.0 * half)
    return 1.0 - float(np.sum(density * mean**2) * (y[1] - y[0]))


def _gaussian_line() -> list[Check]:
    """T1: a Gaussian absorption line of depth d and width s on fine pixels."""
    s, d, noise, centre = 0.9, 0.4, 0.02, 8500.0
    pixel = s / 6.8
    x = np.arange(-14.0 * s, 14.0 * s, pixel)
    g = np.exp(-0.5 * (x / s) ** 2)
    jacobian = np.column_stack([-g, -d * g * x**2 / s**3, -d * g * x / s**2])  # d, s, x0
    variance = np.full(x.size, noise**2)
    root = math.sqrt(math.pi)
    depth, width, place = (crlb(jacobian, variance, k) for k in range(3))
    expected = [
        3.0 * noise**2 * pixel / (2.0 * root * s),
        2.0 * noise**2 * pixel * s / (root * d**2),
        2.0 * s * noise**2 * pixel / (root * d**2),
    ]
    found = [depth.sigma2, width.sigma2, place.sigma2]
    velocity = crlb(jacobian[:, 2:] * centre / SPEED_OF_LIGHT, variance, 0).sigma
    return [
        _check("T1 line depth, width, position", np.divide(found, expected), 1.0, 1e-10),
        _check("T1 depth and width share 1/3", [depth.rho, width.rho], 2.0 / 3.0, 1e-10),
        _check(
            "T1 radial velocity",
            velocity / (SPEED_OF_LIGHT / centre * math.sqrt(expected[2])),
            1.0,
            1e-10,
        ),
    ]


def _amplitude() -> list[Check]:
    """T2: a line below a continuum of unknown level, in a window W."""
    s, d, noise = 0.9, 0.4, 0.02
    pixel = s / 6.8
    x = (np.arange(-120, 121)) * pixel
    g = np.exp(-0.5 * (x / s) ** 2)
    variance = np.full(x.size, noise**2)
    k, root = 1.0 / (noise**2 * pixel), math.sqrt(math.pi)
    window = x.size * pixel
    level = k * (window - 2.0 * d * math.sqrt(2.0 * math.pi) * s + d**2 * root * s)
    cross = -k * (math.sqrt(2.0 * math.pi) * s - d * root * s)
    depth = k * root * s
    found = crlb(np.column_stack([1.0 - d * g, -g]), variance, 1)
    expected = 1.0 - cross**2 / (level * depth)
    return [_check("T2 free amplitude", [found.rho, found.fixed * depth], [expected, 1.0], 1e-10)]


def _projection() -> list[Check]:
    """T3: QR, Gram and explicit Schur complement agree; density adds up; units cancel."""
    rng = np.random.default_rng(3)
    jacobian, variance = rng.normal(size=(200, 4)), rng.uniform(0.5, 2.0, 200)
    single = crlb(jacobian, variance, 2)
    units = np.array([1e3, 0.1, 7.0, 1e-4])
    order = [3, 2, 0, 1]
    shuffled = crlb((jacobian * units)[:, order], variance, order.index(2))
    fisher = (jacobian / variance[:, None]).T @ jacobian
    rest = [0, 1, 3]
    schur = fisher[2, 2] - fisher[2, rest] @ np.linalg.solve(
        fisher[np.ix_(rest, rest)], fisher[rest, 2]
    )
    batch = crlb_batch(jacobian.T[None], variance[None], 2)
    density = information_density(single, 200).sum()
    found = np.array([single.sigma2 * schur, density * single.sigma2, batch.sigma2[0] * schur])
    return [
        _check("T3 Schur complement", found, 1.0, 1e-10),
        _check(
            "T3 order and units",
            [shuffled.sigma2 * units[2] ** 2 / single.sigma2, shuffled.rho / single.rho],
            1.0,
            1e-10,
        ),
    ]


def _noise_information() -> list[Check]:
    """T4: mean θ, σ = θ / S: information n (S² + 2) / θ²."""
    n, theta, snr = 25, 2.0, 5.0
    jacobian, variance = np.ones((n, 1)), np.full(n, (theta / snr) ** 2)
    log_slope = np.full((n, 1), 2.0 / theta)
    full = crlb(jacobian, variance, 0, log_variance_jacobian=log_slope)
    plain = crlb(jacobian, variance, 0)
    scale = n / theta**2
    found = [1.0 / full.sigma2 / scale, 1.0 / plain.sigma2 / scale]
    return [_check("T4 what the noise tells", found, [snr**2 + 2.0, snr**2], 1e-10)]


def _derivatives() -> list[Check]:
    """T5: parabola and cubic are differentiated exactly; orders 2 and 4 otherwise."""
    x = np.array([0.0, 0.5, 1.25, 2.0, 3.5, 4.0, 5.5])
    parabola = derivative_matrix(x, "grid") @ (2.0 - x + 3.0 * x**2)
    cubic = derivative_matrix(x, "spline") @ (1.0 + x**2 - 2.0 * x**3)
    error = []
    for n in (21, 41):
        nodes = np.linspace(0.0, 2.0, n)
        pair = [derivative_matrix(nodes, kind) @ np.sin(3.0 * nodes) for kind in ("grid", "spline")]
        inner = slice(n // 4, -(n // 4))
        error.append([np.abs(p - 3.0 * np.cos(3.0 * nodes))[inner].max() for p in pair])
    order = np.log2(np.divide(error[0], error[1]))
    return [
        _check("T5 parabola exact on any steps", parabola, 6.0 * x - 1.0, 1e-10),
        _check("T5 cubic exact for the spline", cubic, 2.0 * x - 6.0 * x**2, 1e-10),
        _check("T5 orders 2 and 4", order, [2.0, 4.0], 0.1),
    ]


def sampled_mmse(c: float, n_star: int = 4000, n_template: int = 4000) -> float:
    """Mean posterior variance of the same world by the Monte Carlo kernel itself."""
    half = math.sqrt(3.0)
    truth = half * (2.0 * (np.arange(n_star) + 0.5) / n_star - 1.0)
    grid = half * (2.0 * (np.arange(n_template) + 0.5) / n_template - 1.0)
    noise = np.random.default_rng(6).standard_normal(n_star)
    y = truth + math.sqrt(c) * noise
    sums, peak = np.zeros((n_star, 5, 2)), np.full(n_star, -np.inf)
    amplitude = np.full((n_star, 3), 1.0)
    cross = np.outer(y, grid) / c
    square = np.broadcast_to(grid**2 / c, cross.shape).copy()
    best = np.zeros(n_star, dtype=np.int64)
    standard = np.vstack([np.zeros(n_template), grid])
    accumulate(sums, peak, best, cross, square, standard, amplitude, 0)
    total = sums.sum(axis=2)
    return float(np.mean(total[:, 4] / total[:, 0] - (total[:, 3] / total[:, 0]) ** 2))


def _uniform_prior() -> list[Check]:
    """T6: one label, uniform prior: clip, Gaussian and exact R² for nine noise levels."""
    c = np.array(list(UNIFORM_PRIOR))
    table = np.array(list(UNIFORM_PRIOR.values()))
    found = np.column_stack(
        [np.maximum(0.0, 1.0 - c), 1.0 / (1.0 + c), [1.0 - uniform_prior_mmse(x) for x in c]]
    )
    few = (0.1, 0.5, 2.0)
    kernel = [1.0 - sampled_mmse(x) for x in few]
    return [
        _check("T6 table", found, table, 6e-4),  # printed to three digits
        # 4 standard errors of the mean over 4,000 stars
        _check("T6 posterior kernel", kernel, [1.0 - uniform_prior_mmse(x) for x in few], 2e-2),
    ]


def _singular() -> list[Check]:
    """T7: what cannot be told is infinite; what tells little is not thereby known."""
    rng = np.random.default_rng(7)
    column = rng.normal(size=60)
    twins = np.column_stack([column, rng.normal(size=60), column])
    variance = np.ones(60)
    one, batch = crlb(twins, variance, 0), crlb_batch(twins.T[None], variance[None], 0)
    weak = np.column_stack([column, column + 1e-5 * rng.normal(size=60)])
    free, fixed = crlb(weak, variance, 0), crlb(weak, variance, 0, nuisances=[])
    known = crlb(twins, variance, 0, priors={2: 0.0})
    alone = crlb(twins, variance, 0, nuisances=[1])
    target = crlb(twins, variance, 0, priors={0: 0.0})
    infinite = math.isinf(one.sigma2) and math.isinf(batch.sigma2[0])
    return [
        Check("T7 identical columns", infinite, f"{one.sigma2}, batch {batch.sigma2[0]}"),
        Check(
            "T7 a weak label is not fixed",
            free.sigma2 > 1e8 * fixed.sigma2,
            f"{free.sigma2:.3g} against {fixed.sigma2:.3g}",
        ),
        _check("T7 prior of width 0", [known.sigma2 / alone.sigma2, target.sigma2], [1, 0], 1e-10),
    ]


def _scaling() -> list[Check]:
    """T8: noise scales the bound; arms add; fewer pixels never help."""
    rng = np.random.default_rng(8)
    jacobian, variance = rng.normal(size=(120, 3)), rng.uniform(0.5, 2.0, 120)
    whole, noisy = crlb(jacobian, variance, 1), crlb(jacobian, 7.0 * variance, 1)
    batch = crlb_batch(jacobian.T[None], variance[None], 1)
    parts = [
        (jacobian[rows] / variance[rows, None]).T @ jacobian[rows]
        for rows in (slice(0, 50), slice(50, None))
    ]
    total = np.linalg.solve(sum(parts), np.eye(3))[1, 1]
    half = crlb(jacobian[::2], variance[::2], 1)
    found = [noisy.sigma2 / whole.sigma2, noisy.rho / whole.rho, total / batch.sigma2[0]]
    return [
        _check("T8 noise and arms", found, [7.0, 1.0, 1.0], 1e-10),
        Check("T8 fewer pixels", half.sigma2 >= whole.sigma2, f"{half.sigma2 / whole.sigma2:.3f}"),
    ]


def _estimators() -> list[Check]:
    """T9: least squares attains the bound; van Trees stays below the exact error."""
    rng = np.random.default_rng(9)
    jacobian, sigma = rng.normal(size=(40, 3)), rng.uniform(1.0, 3.0, 40)
    n_star = 20_000
    noise = (rng.normal(size=(n_star, 40)) * sigma) / sigma
    fit = np.linalg.lstsq(jacobian / sigma[:, None], noise.T, rcond=None)[0]
    ratio = np.mean(fit[1] ** 2) / crlb(jacobian, sigma**2, 1).sigma2
    half = math.sqrt(3.0)
    label = (half * (2.0 * (np.arange(20_000) + 0.5) / 20_000 - 1.0))[:, None]
    edge = np.array([half])
    found = [
        van_trees(np.full((len(label), 1, 1), 1.0 / c), label, -edge, edge, 0) for c in VAN_TREES
    ]
    exact = [uniform_prior_mmse(c) for c in VAN_TREES]
    return [
        _check("T9 least squares", ratio, 1.0, 4.0 * math.sqrt(2.0 / n_star)),
        Check(
            "T9 van Trees at least as tight as the listed values",
            bool(np.all(1.0 - np.array(found) <= np.array(list(VAN_TREES.values())) + 5e-5)),
            ", ".join(
                f"{1.0 - a:.4f} <= {b}" for a, b in zip(found, VAN_TREES.values(), strict=True)
            ),
        ),
        Check(
            "T9 van Trees below exact",
            bool(np.all(np.array(found) <= np.array(exact))),
            ", ".join(f"{a:.4f} <= {b:.4f}" for a, b in zip(found, exact, strict=True)),
        ),
    ]


def run_selftest() -> list[Check]:
    """Run every closed form; each check unpacks to (name, ok, detail)."""
    groups: tuple[Callable[[], list[Check]], ...] = (
        _gaussian_line,
        _amplitude,
        _projection,
        _noise_information,
        _derivatives,
        _uniform_prior,
        _singular,
        _scaling,
        _estimators,
    )
    return [check for group in groups for check in group()]
