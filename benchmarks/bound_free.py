"""What bound-free absorption of metals takes from the light of stars.

python -m benchmarks.bound_free
"""

import numpy as np

from benchmarks.timing import machine
from starsmith.simulator.synthesis import (
    PHYSICS_VERSION,
    Sampling,
    Spectrum,
    atmosphere,
    blanketing,
    continuum,
    synthesize,
)

STARS = {
    "Sun": (5777, 4.44, 0.0),
    "F dwarf": (6500, 4.2, 0.0),
    "K dwarf": (4500, 4.6, 0.0),
    "K giant": (4250, 1.5, 0.0),
    "giant of 3500 K": (3500, 1.0, 0.0),
    "metal-poor giant": (4750, 1.5, -2.0),
}
WINDOWS = ((3300, 3500), (3500, 3750), (3765, 4000), (4000, 4400))  # vacuum [Å]


def spectra(star: tuple[float, float, float], metals: bool) -> tuple[Spectrum, Spectrum]:
    """The blue and the demo grid's spectrum, with or without edges of metals."""
    kept = continuum.metal_bound_free
    if not metals:
        continuum.metal_bound_free = lambda wave, gas: 0.0
    try:
        atmosphere.rosseland_table.cache_clear()
        blanketing._solar_lines.cache_clear()
        blue = Sampling(wave_min=3300, wave_max=4400, resolution=10000)
        return synthesize(*star, sampling=blue), synthesize(*star)
    finally:
        continuum.metal_bound_free = kept


def main() -> None:
    """Print the table."""
    print(f"{machine()}; physics version {PHYSICS_VERSION}\n")
    names = " | ".join(f"{low}-{high}" for low, high in WINDOWS)
    print(f"| star | {names} | 6400-9000, at most | line depths, rms |")
    print("|---|" + "---|" * (len(WINDOWS) + 2))
    for name, star in STARS.items():
        (blue, red), (blue_0, red_0) = spectra(star, True), spectra(star, False)
        cells = []
        for low, high in WINDOWS:
            used = (blue.wave > low) & (blue.wave < high)
            pair = [
                100.0 * (one[used].mean() / other[used].mean() - 1.0)
                for one, other in ((blue.continuum, blue_0.continuum), (blue.flux, blue_0.flux))
            ]
            cells.append("{:+.1f} / {:+.1f} %".format(*pair))
        most = 100.0 * np.abs(red.continuum / red_0.continuum - 1.0).max()
        lines = red.flux / red.continuum - red_0.flux / red_0.continuum
        rms = np.sqrt(np.mean(lines**2))
        print(f"| {name} | " + " | ".join(cells) + f" | {most:.2f} % | {rms:.0e} |")


if __name__ == "__main__":
    main()
