"""Speed of ``specfisher``, as ratios to plain numpy.

Baselines: ``gram_plain`` and ``posterior_plain`` of ``tests/reference/fisher.py``, timed beside
the compiled code; the latter renders its templates but, unlike ours, draws none again around
sharp posteriors. Wall time needs a quiet machine; CPU time, of all threads, is printed too.

    python -m benchmarks.fisher [--nodes 11340] [--stars 10000] [--templates 100000]
"""

import argparse
import math
import resource
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.timing import machine
from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.fisher.information.stencils import build_stencils
from starsmith.fisher.kernels.gram import fill_gram
from starsmith.fisher.posterior.basis import Stars, build_basis, template_draws
from starsmith.fisher.posterior.importance_sampling import redraw
from starsmith.fisher.posterior.posterior_mean import (
    PosteriorOptions,
    amplitude_limits,
    posterior_mean,
)
from starsmith.fisher.posterior.template_sums import StarSums, weigh
from starsmith.fisher.posterior.templates import build_templates, in_basis
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import interpolate
from tests.reference.fisher import gram_plain, posterior_plain

SHAPE = (10, 9, 14, 3, 3)  # 11,340 nodes
N_MAG = 6
N_WAVE = 4096
PLAIN_STARS, PLAIN_TEMPLATES = 200, 4000


def timed(function: Callable, repeat: int = 3) -> tuple[float, float]:
    """Median wall and CPU time of a call [s]; the first call is not counted if repeated."""
    pairs = []
    for _ in range(repeat + (repeat > 1)):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        pairs.append((time.perf_counter() - wall, time.process_time() - cpu))
    kept = pairs[1:] if repeat > 1 else pairs
    return median(p[0] for p in kept), median(p[1] for p in kept)


def node_inputs(n_node: int, n_wave: int = N_WAVE) -> tuple:
    """Random spectra on a five-label grid of about ``n_node`` nodes, with their stencils."""
    scale = (n_node / math.prod(SHAPE)) ** 0.2
    shape = tuple(max(3, round(n * scale)) for n in SHAPE)
    axes = tuple(np.arange(float(n)) for n in shape)
    names = ("teff", "logg", "m_h", "a_m", "c_m")
    stencils = build_stencils(axes, names, np.ones(shape, dtype=bool), "grid")
    n_node = math.prod(shape)
    rng = np.random.default_rng(0)
    flux = 1.0 + 0.1 * rng.standard_normal((n_node, n_wave), dtype=np.float32)
    bright = (10.0 ** (-0.4 * np.linspace(-3.0, 2.0, N_MAG))).astype(np.float32)
    return (
        flux,
        np.arange(n_node, dtype=np.int32),
        stencils.neighbours,
        stencils.weights.astype(np.float32),
        np.repeat(bright[:, None], n_node, axis=1),
        np.full(n_wave, 0.1, dtype=np.float32),
        np.full(n_wave, 0.01, dtype=np.float32),
    )


def node_rows(n_node: int) -> list[str]:
    """Information at grid nodes: compiled against plain numpy."""
    inputs = node_inputs(n_node)
    count = len(inputs[1])
    gram = np.empty((N_MAG, count, 5, 5))
    fast = timed(lambda: fill_gram(gram, *inputs), 5)
    plain = timed(lambda: gram_plain(*inputs), 1)
    what = f"{count:,} nodes x {N_WAVE} pixels x 5 labels x {N_MAG} magnitudes"
    return [
        f"| {what}, plain numpy | {plain[0]:.2f} | {plain[1]:.2f} | 1 |",
        f"| the same, `fill_gram` | {fast[0]:.2f} | {fast[1]:.2f} | {plain[1] / fast[1]:.0f} |",
    ]


def posterior_rows(bank: Bank, prior: Prior, n_star: int, n_template: int) -> list[str]:
    """Posterior mean: the short basis against every pixel, by star and template."""
    draws = draw_stars(bank, prior, 0, "test", np.arange(n_star))
    stars = observe(bank, draws, error="smooth")

    def fast(count: int, templates: int):
        options = PosteriorOptions(n_template=templates)
        rows = slice(0, count)
        return posterior_mean(
            bank, prior, stars.flux[rows], stars.error[rows], draws.conditions[rows], None, options
        )

    fast(min(n_star, 60), min(n_template, 1000))
    rows = slice(0, min(PLAIN_STARS, n_star))
    labels = draw_stars(bank, prior, 1, "train", np.arange(min(PLAIN_TEMPLATES, n_template))).labels
    mag = np.full(len(labels), np.mean(prior.ranges["mag"]))
    flux, error = stars.flux[rows].astype(np.float64), stars.error[rows].astype(np.float64)

    def slow():
        return posterior_plain(flux, error**2, interpolate(bank, labels, mag), labels, 0.3, 3.0)

    plain = timed(slow, 3)
    pairs = len(flux) * len(labels)
    ours = timed(lambda: fast(n_star, n_template), 1)
    gain = (plain[1] / pairs) / (ours[1] / (n_star * n_template))
    n_label = sum(np.ptp(prior.ranges[name]) > 0 for name in bank.label_names)
    what = f"{n_label} labels, {n_star:,} stars x {n_template:,} templates"
    return [
        f"| {n_label} labels, {len(flux):,} stars x {len(labels):,} templates, plain numpy "
        f"| {plain[0]:.2f} | {plain[1]:.2f} | 1 |",
        f"| {what}, `posterior_mean` | {ours[0]:.1f} | {ours[1]:.1f} | {gain:.1f} |",
    ]


@threadpool_limits.wrap(limits=1, user_api="blas")  # as the posterior mean has it
def part_rows(bank: Bank, prior: Prior, n_star: int = 200, n_template: int = 10_000) -> list[str]:
    """What the posterior costs by itself for each pair, each template and each re-drawn star."""
    draws = draw_stars(bank, prior, 0, "test", np.arange(n_star))
    seen = observe(bank, draws, error="smooth")
    limits = amplitude_limits(prior, "free", None, n_star)
    stars = Stars(seen.flux.astype(np.float64), seen.error.astype(np.float64) ** 2, limits)
    basis = build_basis(bank, prior, stars)
    basis.square_modes  # noqa: B018  formed once for all stars
    labels = template_draws(bank, prior, 0, 0, n_template).labels
    templates = build_templates(bank, prior, basis, n_template)
    sums = StarSums.of(basis, stars)
    best = weigh(sums, templates).best_labels
    n_label = sum(np.ptp(prior.ranges[name]) > 0 for name in bank.label_names)
    what = f"| {n_label} labels, {len(basis.modes)} + {len(basis.squares)} coordinates"
    parts = {
        "weighing, per pair [ns]": (lambda: weigh(sums, templates), 1e9 / n_star / n_template),
        "projection, per template [µs]": (lambda: in_basis(basis, bank, labels), 1e6 / n_template),
        "drawing again, per star [ms]": (
            lambda: redraw(bank, prior, basis, stars, best, 512, 0),
            1e3 / n_star,
        ),
    }
    seconds = {name: unit * timed(work)[1] for name, (work, unit) in parts.items()}
    return [f"{what}, {name} | {value:.3g} |" for name, value in seconds.items()]


def report(bank: Bank, rich: Bank | None, options: argparse.Namespace) -> str:
    """Table in markdown."""
    lines = [
        f"{machine()}; bank {len(bank.coef)} nodes x {bank.wave.size} pixels",
        "",
        "| what | wall [s] | CPU [s] | ratio of CPU time, per node or per star and template |",
        "|---|---:|---:|---:|",
        *node_rows(options.nodes),
        *posterior_rows(bank, Prior.default(), options.stars, options.templates),
    ]
    if rich is not None:
        axes = dict(zip(rich.label_names, rich.axes, strict=True))
        wide = {name: (float(axes[name][0]), float(axes[name][-1])) for name in ("a_m", "c_m")}
        five = Prior.default().with_ranges(**wide)
        lines += posterior_rows(rich, five, 400, 20_000)
    lines += ["", "| parts of `posterior_mean` | CPU |", "|---|---:|"]
    lines += part_rows(bank, Prior.default())
    lines += part_rows(rich, five) if rich is not None else []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return "\n".join([*lines, "", f"Largest memory {peak:.1f} GB."])


def main() -> None:
    """Print the report for the demo bank."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=math.prod(SHAPE))
    parser.add_argument("--stars", type=int, default=10_000)
    parser.add_argument("--templates", type=int, default=100_000)
    parser.add_argument("--bank", help="bank file; the demo grid at PFS MR pixels by default")
    parser.add_argument("--five", help="a bank with five labels, for a row more")
    options = parser.parse_args()
    bank = load_bank(options.bank) if options.bank else cached_bank("demo", "pfs_mr")
    print(report(bank, load_bank(options.five) if options.five else None, options))


if __name__ == "__main__":
    main()
