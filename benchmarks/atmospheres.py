"""How true the synthesizer's atmospheres are: full syntheses, withheld models, the law before.

    python -m benchmarks.atmospheres --reference FOLDER [--stars N]

First the syntheses with MARCS models in FOLDER (``synspec_*.npz``: air wavelengths [Å], Eddington
flux and continuum) against the structures `atlas9` and `marcs_fit`. Then the models themselves: at
every second node of Teff, log g and [M/H], spectra of the model against those of the structure
interpolated from the others (twice the spacing), and against the old law's. rms of the normalised
spectrum at R = 5000, width of the Ca II triplet, flux at 800 nm, size and direction of
d(spectrum)/d(log g) over ±0.5 dex, between genuine models.
"""

import argparse
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy.ndimage import gaussian_filter1d

from benchmarks.timing import machine
from starsmith.data_contract.air import air_to_vacuum
from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.simulator.synthesis import (
    PHYSICS_VERSION,
    Sampling,
    Spectrum,
    structures,
    synthesize,
)

TRIPLET = air_to_vacuum(np.array([8498.02, 8542.09, 8662.14]))
POINTS = np.arange(6420.0, 8980.0, 1.0)  # R = 5000 needs no finer [Å]
REFERENCES = {
    "Sun": ("synspec_sun_5777_4.44_0.00.npz", (5777.0, 4.44, 0.0)),
    "5500 / 3.0 / 0": ("synspec_5500_3.0_0.00.npz", (5500.0, 3.0, 0.0)),
}
STEP = 0.5  # of log g, the spacing of the models [dex]
WITHHELD = {
    "teff": (3750.0, 4250.0, 4750.0, 5250.0, 5750.0, 6250.0),
    "logg": (0.5, 1.5, 2.5, 3.5, 4.5),
    "m_h": (-2.5, -1.5, -0.5, 0.0, 0.5),
}


def smooth(wave: np.ndarray, flux: np.ndarray, resolution: float) -> np.ndarray:
    """Gaussian smoothing to λ/FWHM on a fine grid in ln λ, at `POINTS` within the range."""
    step = 5e-6
    log_wave = np.arange(np.log(wave[0]), np.log(wave[-1]), step)
    even = np.interp(log_wave, np.log(wave), flux)
    even = gaussian_filter1d(even, FWHM_TO_SIGMA / resolution / step)
    inside = POINTS[(wave[0] + 15.0 < POINTS) & (wave[-1] - 15.0 > POINTS)]
    return np.interp(np.log(inside), log_wave, even)


def widths(wave: np.ndarray, normalised: np.ndarray) -> np.ndarray:
    """Equivalent widths of the Ca II triplet within 15 Å [Å]."""
    near = [np.abs(wave - centre) < 15.0 for centre in TRIPLET]
    return np.array([np.trapezoid(1.0 - normalised[n], wave[n]) for n in near])


def at_5000(star: Spectrum) -> np.ndarray:
    """Normalised spectrum at R = 5000 on `POINTS`."""
    left = (5000.0**-2 - star.resolution**-2) ** -0.5
    return smooth(star.wave, star.flux / star.continuum, left)


def references(folder: Path) -> None:
    """Table of the full syntheses."""
    print("| star | structure | vturb | rms | Ca II 8498 / 8542 / 8662 | flux at 800 nm |")
    print("|---|---|---|---|---|---|")
    for name, (file_name, labels) in REFERENCES.items():
        with np.load(folder / file_name) as file:
            wave = air_to_vacuum(file["wave_air_angstrom"])
            flux, continuum = (4.0 * np.pi * file[k].astype(float) for k in ("flux", "cont"))
        for structure, speed in (("atlas9", None), ("atlas9", 2.0), ("marcs_fit", 2.0)):
            ours = synthesize(
                *labels, sampling=Sampling(microturbulence=speed), structure=structure
            )
            inside = (ours.wave > wave[0]) & (ours.wave < wave[-1])
            ours = replace(
                ours,
                wave=ours.wave[inside],
                flux=ours.flux[inside],
                continuum=ours.continuum[inside],
            )
            theirs = np.interp(ours.wave, wave, flux / continuum)
            truth = replace(ours, flux=theirs, continuum=np.ones_like(theirs), resolution=1e6)
            rms = np.sqrt(np.mean((at_5000(ours) - at_5000(truth)) ** 2))
            ratio = widths(ours.wave, ours.flux / ours.continuum) / widths(wave, flux / continuum)
            light = np.interp(8000.0, ours.wave, ours.continuum) / np.interp(
                8000.0, wave, continuum
            )
            lines = " / ".join(f"{value:.2f}" for value in ratio)
            print(
                f"| {name} | {structure} | {speed or 'usual'} | {rms:.4f} | {lines} | {light:.3f} |"
            )


@contextmanager
def every_second_model() -> Iterator[None]:
    """Within it, structures know only every second node of each axis."""
    table = structures.model_table()
    odd = [slice(None, None, 2), slice(1, None, 2), slice(None, None, 2)]  # log g: 0, 1, ... 5
    thin = replace(
        table,
        axes=tuple(axis[part] for axis, part in zip(table.axes, odd, strict=True)),
        valid=table.valid[tuple(odd)],
        values=table.values[tuple(odd)],
    )
    with patch.object(structures, "model_table", lambda: thin):
        yield


def measures(labels: tuple[float, ...], structure: str) -> tuple:
    """Normalised spectrum, Ca II width, flux at 800 nm and d/dlog g of a star."""
    star = synthesize(*labels, structure=structure)
    teff, logg, m_h = labels
    sides = [
        at_5000(synthesize(teff, logg + step, m_h, structure=structure)) for step in (-STEP, STEP)
    ]
    light = np.interp(8000.0, star.wave, star.continuum)
    width = widths(star.wave, star.flux / star.continuum).sum()
    return at_5000(star), width, light, (sides[1] - sides[0]) / (2.0 * STEP)


def differences(truth: tuple, found: tuple) -> np.ndarray:
    """rms, Ca II ratio, flux ratio, size ratio and cosine of d/dlog g."""
    (a, wa, fa, da), (b, wb, fb, db) = truth, found
    size = np.linalg.norm(db) / np.linalg.norm(da)
    cosine = da @ db / np.linalg.norm(da) / np.linalg.norm(db)
    return np.array([np.sqrt(np.mean((a - b) ** 2)), wb / wa, fb / fa, size, cosine])


def withheld(n_star: int) -> None:
    """Tables of the interpolated structures and of the old law, by Teff."""
    nodes = [
        (t, g, m)
        for t, g, m in itertools.product(*WITHHELD.values())
        if structures.has_structure(t, g - STEP, m - structures.IRON_SHIFT)
    ]
    rng = np.random.default_rng(1)
    nodes = [nodes[i] for i in sorted(rng.permutation(len(nodes))[:n_star])]
    # the models stand at their own [M/H]
    stars = [(t, g, m - structures.IRON_SHIFT) for t, g, m in nodes]
    truth = [measures(star, "atlas9") for star in stars]
    with every_second_model():
        thin = [measures(star, "atlas9") for star in stars]
    law = [measures(star, "marcs_fit") for star in stars]
    for name, found in (("every second model", thin), ("the MARCS fit", law)):
        rows = np.array([differences(*pair) for pair in zip(truth, found, strict=True)])
        print(f"\n{name} against ATLAS9's own model, {len(stars)} withheld nodes")
        print("| Teff | n | rms median / worst | Ca II min / max | flux min / max | ", end="")
        print("d/dlog g size min / max | cosine min |\n|---|---|---|---|---|---|---|")
        for teff in (*WITHHELD["teff"], None):
            of = np.array([teff in (None, star[0]) for star in stars])
            if of.any():
                part = rows[of]
                low, high = part.min(0), part.max(0)
                print(
                    f"| {teff or 'all'} | {of.sum()} | {np.median(part[:, 0]):.4f} / "
                    f"{high[0]:.4f} | {low[1]:.2f} / {high[1]:.2f} | {low[2]:.3f} / "
                    f"{high[2]:.3f} | {low[3]:.2f} / {high[3]:.2f} | {low[4]:.3f} |"
                )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--stars", type=int, default=150, help="withheld nodes, 150 in all")
    options = parser.parse_args()
    print(f"{machine()}; physics version {PHYSICS_VERSION}\n")
    references(options.reference)
    withheld(options.stars)


if __name__ == "__main__":
    main()
