"""Strengths of the CN and TiO models by window, over those of a line list.

    python -m benchmarks.molecular_strengths LIST

LIST is ``pymoog/files/linelist/vald/vald_3000_11000.list`` of the package pymoog 0.0.3 (PyPI): air
wavelength [Å], species (607.01214 is CN, 822.01648 TiO), lower level [eV], log gf. The list is read
and nothing of it is kept. The strength of a window is Σ gf exp(-E/kT). The list holds the strong
lines only. *Strong* therefore counts in both what is above the strength that nine tenths of the
list's lines in the window exceed; *all* is everything, of which the list has less.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.timing import machine
from starsmith.data_contract.air import air_to_vacuum
from starsmith.simulator.synthesis import PHYSICS_VERSION
from starsmith.simulator.synthesis.atomic_constants import BOLTZMANN_EV
from starsmith.simulator.synthesis.molecular.bands import titanium_oxide_lines
from starsmith.simulator.synthesis.molecular.cyanogen import cyanogen_lines

MOLECULES = {
    "CN": (607.01214, cyanogen_lines, 4500.0, range(6900, 9000, 300)),
    "TiO": (822.01648, titanium_oxide_lines, 3500.0, range(6550, 9000, 150)),
}  # species, model, temperature [K], edges of windows in vacuum [Å]
WEAKEST = 0.1  # share of the list's lines in a window that are below its threshold


def listed_lines(path: Path, species: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vacuum wavelength [Å], gf and lower level [eV] of a species in a list."""
    rows = []
    with path.open(encoding="ascii") as file:
        for line in file:
            words = line.split()
            if len(words) > 3 and words[1] == f"{species:.5f}":
                rows.append([float(words[k]) for k in (0, 3, 2)])
    wave, log_gf, energy = np.array(rows).T
    return air_to_vacuum(wave), 10.0**log_gf, energy


def main() -> None:
    """Print a table for each molecule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list", type=Path)
    options = parser.parse_args()
    print(f"{machine()}; physics version {PHYSICS_VERSION}")
    for molecule, (species, model, kelvin, edges) in MOLECULES.items():
        lines = model()
        ours = 1e8 / lines.wavenumber, lines.gf, lines.energy
        theirs = listed_lines(options.list, species)
        weighted = [(w, gf * np.exp(-e / (BOLTZMANN_EV * kelvin))) for w, gf, e in (ours, theirs)]
        print(f"\n{molecule} at {kelvin:g} K\n\n| vacuum [Å] | lines in the list | strong | all |")
        print("|---|---|---|---|")
        for low, high in pairwise(edges):
            a, b = (s[(w >= low) & (w < high)] for w, s in weighted)
            if b.size < 20:
                print(f"| {low}-{high} | {b.size} | too few | |")
                continue
            least = np.quantile(b, WEAKEST)
            strong = a[a > least].sum() / b[b > least].sum()
            print(f"| {low}-{high} | {b.size} | {strong:.2f} | {a.sum() / b.sum():.2f} |")


if __name__ == "__main__":
    main()
