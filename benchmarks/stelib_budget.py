"""What moves [M/H] of STELIB stars read with the demo grid's physics, by term and by line.

    python -m benchmarks.stelib_budget STELIB [--stars even|odd|both]

STELIB is the .npz of `benchmarks.stelib`. Every star's spectrum, less the model of its library
labels, is read by least squares: labels, radial velocity and level, each pixel of the same weight.
The step in [M/H] is the star's bias (a first-order one, without a network between). Each term
changes one thing in the model, or in how spectra are compared, and the same stars are read again.
Lines: what each window of 20 Å adds to the mean step of the default. Where the library is absent
nothing is done.
"""

import argparse
import itertools
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.stelib import (
    CONTINUUM,
    FWHM,
    WAVE,
    broadened,
    fine_wave,
    normalised,
    real_stars,
    use_pixels,
)
from benchmarks.timing import machine
from starsmith.simulator.prior import alpha_of_metallicity
from starsmith.simulator.synthesis import PHYSICS_VERSION, Sampling, structures
from starsmith.simulator.synthesis.atmosphere import build_atmosphere
from starsmith.simulator.synthesis.line_list import LineList
from starsmith.simulator.synthesis.synthetic_spectrum import synthesize_atmosphere

STEPS = {"teff": 100.0, "logg": 0.2, "m_h": 0.1}  # of the derivatives, to either side
SPEED = 1e-4  # velocity of the derivative, over that of light
WINDOW = 20.0  # [Å]
STRONG = {8498: "Ca II", 8542: "Ca II", 8662: "Ca II", 6563: "H I", 7665: "K I", 7699: "K I",
          8183: "Na I", 8195: "Na I", 8807: "Mg I", 8468: "Ti I, Fe I", 8688: "Fe I",
          8751: "H I", 8863: "H I"}  # fmt: skip
MODEL_TERMS: dict[str, dict] = {
    "default": {},
    "structure: quadratic law": {"structure": "marcs_fit"},
    "microturbulence: 2 km/s": {"microturbulence": 2.0},
    "alpha: scaled solar": {"alpha": 0.0},
    "zero point: solar iron 7.67": {"shift": -structures.IRON_SHIFT},
    "lines: all 0.1 dex stronger": {"gf": 0.1},
    "lines: twice the damping": {"damping": 2.0},
}
SEEN_TERMS = {"resolution: 3.5 Å": {"fwhm": 3.5}, "continuum: 150 Å": {"continuum": 150.0}}


def spectrum(job: tuple[tuple[float, float, float], Mapping]) -> np.ndarray:
    """Flux of a star on `fine_wave` at the library's resolution."""
    (teff, logg, m_h), term = job
    m_h += term.get("shift", 0.0)
    alpha = term.get("alpha", float(alpha_of_metallicity(m_h)))
    speed = term.get("microturbulence")
    atmosphere = build_atmosphere(
        teff, logg, m_h, alpha, 0.0, term.get("structure", "atlas9"), speed
    )
    sampling = Sampling(step_km_s=2.0, stride=3, resolution=15000.0)

    def changed(lines: LineList) -> LineList:
        return with_physics(lines, term.get("gf", 0.0), term.get("damping", 1.0))

    star = synthesize_atmosphere(atmosphere, sampling, changed)
    return broadened(star.wave, star.flux, star.resolution, term.get("fwhm", FWHM))


def with_physics(lines: LineList, gf: float, damping: float) -> LineList:
    """Lines with other strengths [dex] and damping [factor]."""
    widths = ("gamma_rad", "gamma_stark", "gamma_vdw", "abo_sigma")
    return replace(
        lines,
        gf=lines.gf * 10.0**gf,
        **{name: getattr(lines, name) * damping for name in widths},
    )


def seen(flux: np.ndarray, speed: float = 0.0, continuum: float = CONTINUUM) -> np.ndarray:
    """Models on `fine_wave` as the library's spectra are compared."""
    moved = [np.interp(WAVE, fine_wave() * (1.0 + speed), one) for one in np.atleast_2d(flux)]
    return normalised(np.array(moved), continuum)


def jobs_of(labels: np.ndarray) -> list[tuple]:
    """Everything to synthesize for one star: terms, both sides of each label, wider lines."""
    star = tuple(float(value) for value in labels)
    jobs = [(star, term) for term in MODEL_TERMS.values()]
    for (k, step), sign in itertools.product(enumerate(STEPS.values()), (-1.0, 1.0)):
        moved = tuple(v + sign * step * (i == k) for i, v in enumerate(star))
        # alpha follows the trend of the star itself: labels are not coupled
        jobs.append((moved, {"alpha": float(alpha_of_metallicity(star[2]))}))
    return [*jobs, (star, {"fwhm": SEEN_TERMS["resolution: 3.5 Å"]["fwhm"]})]


def reading(star: np.ndarray, made: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps in labels of one star under a term, (3,), and what each pixel adds to that in [M/H]."""
    n_model = len(MODEL_TERMS)
    continuum = SEEN_TERMS.get(name, {}).get("continuum", CONTINUUM)
    model = made[list(MODEL_TERMS).index(name)] if name in MODEL_TERMS else made[0]
    if name.startswith("resolution"):
        model = made[-1]
    sides = seen(made[n_model:-1], continuum=continuum).reshape(3, 2, -1)
    columns = [(b - a) / (2.0 * step) for (a, b), step in zip(sides, STEPS.values(), strict=True)]
    middle = seen(model, continuum=continuum)[0]
    moved = [seen(made[0], sign * SPEED, continuum)[0] for sign in (-1.0, 1.0)]
    jacobian = np.stack([*columns, (moved[1] - moved[0]) / (2.0 * SPEED), middle], axis=1)
    residual = normalised(star[None], continuum)[0] - middle
    solve = np.linalg.pinv(jacobian / np.linalg.norm(jacobian, axis=0))
    solve /= np.linalg.norm(jacobian, axis=0)[:, None]
    return (solve @ residual)[:3], solve[2] * residual


def by_window(pixels: np.ndarray) -> list[tuple[float, float, float]]:
    """Windows of `WINDOW`: centre [Å], median over stars of what it adds to [M/H], its error."""
    wave = WAVE[use_pixels()]
    number = ((wave - WAVE[0]) // WINDOW).astype(int)
    rows = []
    for n in np.unique(number):
        added = pixels[:, number == n].sum(axis=1)
        error = 1.25 * added.std() / np.sqrt(len(added))  # of a median
        rows.append((float(wave[number == n].mean()), float(np.median(added)), float(error)))
    return sorted(rows, key=lambda row: -abs(row[1]))


def main() -> None:
    """Print the budget and the windows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("--stars", choices=("even", "odd", "both"), default="even")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    if not options.library.exists():
        print(f"{options.library} is not there: nothing is measured")
        return
    flux, labels, _ = real_stars(str(options.library), options.stars)
    jobs = [job for star in labels for job in jobs_of(star)]
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        made = np.array(list(pool.map(spectrum, jobs, chunksize=14)))
    made = made.reshape(len(labels), -1, made.shape[1])
    print(f"{machine()}; physics version {PHYSICS_VERSION}; {len(labels)} {options.stars} stars\n")
    print("| term | [M/H] | Teff | log g | change in [M/H] |\n|---|---|---|---|---|")
    default = None
    for name in (*MODEL_TERMS, *SEEN_TERMS):
        steps, pixels = zip(
            *(reading(*pair, name) for pair in zip(flux, made, strict=True)), strict=True
        )
        steps = np.array(steps)
        if default is None:
            default, windows = steps, by_window(np.array(pixels))
        middle, error = np.median(steps, axis=0), 1.25 * steps.std(axis=0) / np.sqrt(len(steps))
        change = np.median(steps[:, 2] - default[:, 2])
        print(
            f"| {name} | {middle[2]:+.2f} ± {error[2]:.2f} | {middle[0]:+.0f} ± {error[0]:.0f} K | "
            f"{middle[1]:+.2f} ± {error[1]:.2f} | {change:+.2f} |"
        )
    print("\nWhat remains: the windows that move [M/H] most, with the default physics\n")
    print("| vacuum [Å] | adds to [M/H] | strong lines in it |\n|---|---|---|")
    for centre, added, error in windows[:15]:
        names = {n for w, n in STRONG.items() if abs(w + 2.3 - centre) < WINDOW / 2.0 + 3.0}
        print(f"| {centre:.0f} | {added:+.3f} ± {error:.3f} | {', '.join(sorted(names))} |")


if __name__ == "__main__":
    main()
