"""How true the demonstration's blue light is: means of real MILES stars against the synthesizer.

Usage: ``python -m benchmarks.wide_ranges MILES.npz``, the library repacked as one file with
``wave_air``, ``flux``, ``teff``, ``logg``, ``fe_h``. Spectra are compared at 2.5 Å, each over its
running mean of 300 Å; the synthesizer is given the mean labels of a group.
"""

import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from starsmith.data_contract.air import vacuum_to_air
from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.data_contract.files.outside import read_npz
from starsmith.simulator.synthesis import PHYSICS_VERSION, Sampling, synthesize

RANGE = (4000.0, 5600.0)  # Å, air
SAMPLING = Sampling(3500.0, 7500.0, resolution=10_000.0, stride=8)
MILES_FWHM = 2.5  # Å
CONTINUUM = 300.0  # Å
MOST = 2**28  # bytes
GROUPS = {  # centre and half-width of Teff, log g, [Fe/H]
    "Sun-like": ((5780, 150), (4.4, 0.2), (0.0, 0.12)),
    "F dwarfs": ((6350, 200), (4.1, 0.3), (-0.2, 0.25)),
    "metal-poor turn-off": ((6000, 300), (4.1, 0.5), (-1.7, 0.5)),
    "K dwarfs": ((4900, 250), (4.5, 0.3), (0.0, 0.2)),
    "K giants": ((4800, 150), (2.6, 0.3), (0.0, 0.15)),
    "cool giants": ((4200, 150), (1.7, 0.4), (0.0, 0.25)),
    "metal-poor giants": ((4700, 300), (1.7, 0.6), (-1.7, 0.5)),
}


def over_running_mean(flux: np.ndarray, step: float) -> np.ndarray:
    """Flux over its mean in a window of `CONTINUUM`."""
    return flux / uniform_filter1d(flux, round(CONTINUUM / step))


def at_library(wave: np.ndarray, flux: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """A synthetic spectrum (vacuum, R = 10,000) at the library's line width and pixels."""
    fine = np.arange(pixels[0] - 20.0, pixels[-1] + 20.0, 0.1)  # air
    left = np.sqrt(MILES_FWHM**2 - (fine.mean() / SAMPLING.resolution) ** 2)
    smeared = gaussian_filter1d(
        np.interp(fine, vacuum_to_air(wave), flux), left * FWHM_TO_SIGMA / 0.1
    )
    return np.interp(pixels, fine, smeared)


def compare(library: dict[str, np.ndarray], box: tuple) -> tuple[int, tuple, float, float]:
    """Stars of a group, their mean labels, rms of model / star - 1, and of flux at 4000-4400 Å."""
    labels = [library[name].astype(float) for name in ("teff", "logg", "fe_h")]
    inside = np.all(
        [np.abs(x - centre) < width for x, (centre, width) in zip(labels, box, strict=True)], axis=0
    )
    wave = library["wave_air"].astype(float)
    seen = (wave > SAMPLING.wave_min + 60) & (wave < SAMPLING.wave_max - 60)
    wave, step = wave[seen], wave[1] - wave[0]
    flux = library["flux"][inside][:, seen].astype(float)
    star = np.mean([over_running_mean(row, step) for row in flux], axis=0)
    mean = tuple(float(x[inside].mean()) for x in labels)
    made = synthesize(*mean, sampling=SAMPLING)
    model = at_library(made.wave, made.flux, wave)
    kept = (wave > RANGE[0]) & (wave < RANGE[1])
    ratio = over_running_mean(model, step)[kept] / star[kept] - 1.0
    red = (wave > 5000) & (wave < 5500)
    blue = (wave > 4000) & (wave < 4400)
    scaled = np.mean([row / np.median(row[red]) for row in flux], axis=0)
    colour = np.median((model / np.median(model[red]) / scaled)[blue])
    return int(inside.sum()), mean, float(np.sqrt(np.mean(ratio**2))), float(colour)


def main(path: str) -> None:
    """Print a line a group."""
    names = ("wave_air", "flux", "teff", "logg", "fe_h")
    library = read_npz(Path(path), names, MOST)
    print(f"physics {PHYSICS_VERSION}, numpy {version('numpy')}, {platform.machine()}")
    print("| group | stars | Teff | log g | [Fe/H] | rms 4000-5600 Å | flux 4000-4400 Å |")
    print("|---|---|---|---|---|---|---|")
    start = time.process_time()
    for name, box in GROUPS.items():
        n, (teff, logg, fe_h), rms, colour = compare(library, box)
        labels = f"{teff:.0f} | {logg:.2f} | {fe_h:+.2f}"
        print(f"| {name} | {n} | {labels} | {rms:.1%} | {colour - 1:+.1%} |")
    print(f"{time.process_time() - start:.0f} s of processor time")


if __name__ == "__main__":
    main(*sys.argv[1:])
