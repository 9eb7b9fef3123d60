"""Labels of STELIB stars by least squares between the nodes of the demo grid's physics.

    python -m benchmarks.stelib_fit STELIB [--stars even|odd] [--recipes all] [--nodes FILE]

The same spectra and nodes as in `benchmarks.stelib`, and no network: splines between nodes, a
velocity, and a loss that grows slowly where a pixel misfits by more than 2 %. Recipes differ in
what else is free or left out. They were compared on the even stars; the odd ones are scored once.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import least_squares

from benchmarks.stelib import (
    AXES,
    CONTINUUM,
    CORE,
    FINE,
    FWHM,
    TRIPLET,
    WAVE,
    fine_wave,
    kept_grid,
    line,
    normalised,
    real_stars,
    scores,
    use_pixels,
)
from benchmarks.timing import machine
from starsmith.data_contract.constants import FWHM_TO_SIGMA, LIGHT_SPEED_KM_S
from starsmith.simulator.synthesis import PHYSICS_VERSION

STARTS = ((5500.0, 4.0, -0.3), (4500.0, 2.0, -0.3))  # Teff [K], log g, [M/H]
SCALES = (200.0, 0.5, 0.2, 10.0, 0.5)  # of labels, velocity [km/s] and width [Å]
STEPS = (1e-3, 1e-3, 1e-3, 1e-2, 1e-2)  # of derivatives, relative
MISFIT = 0.02  # of the continuum, beyond which a pixel counts less
FASTEST = 150.0  # [km/s]
WIDEST = 8.0  # [Å]
H_ALPHA = 15.0  # to either side of H alpha [Å]


@dataclass(frozen=True)
class Recipe:
    """What is fitted besides labels and velocity, and what is left out."""

    width: bool = False
    cores: bool = True
    h_alpha: bool = True
    continuum: float = CONTINUUM

    def used(self) -> np.ndarray:
        """Which pixels are compared, bool (n_used,)."""
        wave = WAVE[use_pixels()]
        far = np.abs(wave[:, None] - TRIPLET).min(axis=1) > CORE
        return (far | self.cores) & (self.h_alpha | (np.abs(wave - 6564.6) > H_ALPHA))


RECIPES = {
    "as the networks see them": Recipe(),
    "continuum of 150 Å": Recipe(continuum=150.0),
    "without H alpha": Recipe(h_alpha=False),
    "without cores of Ca II": Recipe(cores=False),
    "width of lines free": Recipe(width=True),
    "width free, without cores": Recipe(width=True, cores=False),
}


def model_of(nodes: np.ndarray, recipe: Recipe) -> Callable[[np.ndarray], np.ndarray]:
    """Normalised spectrum of labels, velocity [km/s] and width [Å], from ln flux of nodes."""
    splines = [CubicSpline(axis, np.eye(axis.size)) for axis in AXES.values()]

    def model(point: np.ndarray) -> np.ndarray:
        value = nodes
        for spline, label in zip(splines, point[:3], strict=True):
            value = np.tensordot(spline(label), value, 1)
        flux = np.exp(value)
        if recipe.width:
            more = np.sqrt(max(point[4] ** 2 - FWHM**2, 1e-4))
            flux = gaussian_filter1d(flux, more * FWHM_TO_SIGMA / FINE)
        moved = np.interp(WAVE, fine_wave() * (1.0 + point[3] / LIGHT_SPEED_KM_S), flux)
        return normalised(moved[None], recipe.continuum)[0][recipe.used()]

    return model


def fitted(star: np.ndarray, nodes: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Labels, velocity [km/s] and width [Å] of a star's flux: the better of two starts."""
    seen = normalised(star[None], recipe.continuum)[0][recipe.used()]
    model = model_of(nodes, recipe)
    ends = np.array([(axis[0], axis[-1]) for axis in AXES.values()])
    low, high = np.vstack([ends, [-FASTEST, FASTEST], [FWHM, WIDEST]]).T
    found = [
        least_squares(
            lambda point: seen - model(point),
            (*start, -10.0, 3.6),
            bounds=(low, high),
            x_scale=SCALES,
            diff_step=STEPS,
            loss="soft_l1",
            f_scale=MISFIT,
            max_nfev=30,
        )
        for start in STARTS
    ]
    return min(found, key=lambda one: one.cost).x


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("--stars", choices=("even", "odd"), default="even")
    parser.add_argument("--recipes", default="all", help="names of recipes, parted by ;")
    parser.add_argument("--nodes", type=Path, help="where the nodes' spectra are kept (.npy)")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    nodes = kept_grid({}, options.workers, options.nodes).astype(float)
    flux, labels, _ = real_stars(str(options.library), options.stars)
    chosen = list(RECIPES) if options.recipes == "all" else options.recipes.split(";")
    print(f"{machine()}; physics version {PHYSICS_VERSION}; {len(labels)} {options.stars} stars\n")
    print("| recipe | stars | [M/H] bias | Teff bias | log g bias | R2 Teff / log g / [M/H] |")
    print("|---|---|---|---|---|---|")
    for name in chosen:
        found = np.array([fitted(star, nodes, RECIPES[name]) for star in flux])
        print(line(name, options.stars, scores(found[:, :3], labels)), flush=True)
        if RECIPES[name].width:
            print(f"\nwidth of lines: median {np.median(found[:, 4]):.2f} Å\n")


if __name__ == "__main__":
    main()
