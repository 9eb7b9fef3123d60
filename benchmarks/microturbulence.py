"""What a grid of one microturbulence reads in stars of another: one linear least-squares step.

python -m benchmarks.microturbulence
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from benchmarks.timing import machine
from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.simulator.synthesis import PHYSICS_VERSION, Sampling, synthesize

STARS = {
    "Sun": (5777.0, 4.44, 0.0),
    "K dwarf": (4750.0, 4.5, 0.0),
    "metal-poor dwarf": (5500.0, 4.5, -1.0),
    "K giant": (4750.0, 2.5, 0.0),
}
STEPS = (100.0, 0.2, 0.1)  # of Teff [K], log g, [M/H]
RANGE = (7100.0, 8850.0)  # of PFS's medium resolution [Å]
WIDTH = 300.0  # of the running mean [Å]
RESOLUTION = 5000.0
SPEED, GRID_SPEED = 1.0, 2.0  # of the stars, of the grid [km/s]


def lines(labels: np.ndarray, speed: float) -> np.ndarray:
    """Flux over its running mean at the resolution of PFS, at a node."""
    sampling = Sampling(wave_min=RANGE[0] - 150.0, wave_max=RANGE[1] + 100.0, stride=5)
    star = synthesize(*labels, vturb=speed, sampling=sampling)
    wave = np.arange(*RANGE, 0.4)
    seen = np.sqrt(RESOLUTION**-2 - star.resolution**-2) * np.mean(RANGE) * FWHM_TO_SIGMA / 0.4
    flux = gaussian_filter1d(np.interp(wave, star.wave, star.flux), seen)
    return flux / gaussian_filter1d(flux, WIDTH * FWHM_TO_SIGMA / 0.4)


def steps(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels read in a star of `SPEED` less its own: all three free, and log g and [M/H] alone."""
    slopes = []
    for k, size in enumerate(STEPS):
        move = np.eye(3)[k] * size
        ends = [lines(labels + sign * move, GRID_SPEED) for sign in (1.0, -1.0)]
        slopes.append((ends[0] - ends[1]) / (2.0 * size))
    rest = lines(labels, SPEED) - lines(labels, GRID_SPEED)
    every = np.array(slopes).T
    return tuple(np.linalg.lstsq(one, rest, rcond=None)[0] for one in (every, every[:, 1:]))


def main() -> None:
    """Print the table."""
    print(f"{machine()}; physics version {PHYSICS_VERSION}\n")
    print("| star | Teff [K] | log g | [M/H] | Teff known: log g | [M/H] |")
    print("|---|---|---|---|---|---|")
    for name, labels in STARS.items():
        (teff, logg, m_h), (logg_2, m_h_2) = steps(np.array(labels))
        row = f"| {name} | {teff:+.0f} | {logg:+.2f} | {m_h:+.3f} | {logg_2:+.2f} | {m_h_2:+.3f} |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
