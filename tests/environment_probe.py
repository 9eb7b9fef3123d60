"""Digests of a star, a grid, a bank and a data set, and a ceiling table: JSON of a process."""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from starsmith.data_contract import fixed_math
from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.noise.model import NoiseModel
from starsmith.fisher.ceilings.ceiling import ceiling
from starsmith.simulator.generation.generate import Settings, write_dataset
from starsmith.simulator.grids.demo import build_demo_grid
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.render import render_bank
from starsmith.simulator.synthesis import Sampling, synthesize

AXES = {
    "teff": np.array([4500.0, 5500.0]),
    "logg": np.array([1.0, 2.5, 4.0]),
    "m_h": np.array([-1.0, 0.0]),
}
RANGES = {"teff": (4500.0, 5500.0), "logg": (1.0, 4.0), "m_h": (-1.0, 0.0)}


def digest(*arrays: np.ndarray) -> str:
    """SHA-256 of arrays' bytes."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array))
    return total.hexdigest()


def few() -> dict[str, str]:
    """Elementary functions, linear algebra and a star in a narrow window."""
    x = np.linspace(0.1, 40.0, 5000)
    square = np.cos(np.outer(x[:60], x[:60]))
    functions = (fixed_math.exp, fixed_math.expm1, fixed_math.log, fixed_math.log10)
    star = synthesize(4000.0, 1.0, 0.0, sampling=Sampling(wave_min=8480.0, wave_max=8560.0))
    return {
        "functions": digest(*(f(x) for f in functions), fixed_math.power(x, 1.7)),
        "products": digest(fixed_math.matmul(square, square), fixed_math.solve(square, square)),
        "star": digest(star.flux, star.continuum),
    }


def whole(folder: Path) -> dict[str, str | list]:
    """A small demo grid, its bank at the pixels of PFS, a data set of it and its ceilings."""
    grid = build_demo_grid(axes=AXES, cache_dir=folder, workers=1)
    bank = render_bank(grid, load_instrument("pfs_mr"))
    prior = Prior.default().with_ranges(**RANGES)
    noise = NoiseModel(sky_floor="correlated", counts="poisson", seeing_drift=0.1)
    settings = Settings(store="frozen", noise=noise)
    write_dataset(bank, prior, 64, folder / "data.zarr", seed=1, settings=settings)
    split = open_dataset(folder / "data.zarr").split("train")
    seen = split.observe(slice(0, len(split)))
    return {
        "grid": digest(grid.flux, grid.continuum),
        "bank": bank.digest,
        "data set": open_dataset(folder / "data.zarr").digest,
        "spectra": digest(seen.flux, seen.error),
        "ceiling": numbers_of(bank, prior),
    }


def numbers_of(bank: Bank, prior: Prior) -> list[float]:
    """Every score of a ceiling table and, of its stars, bounds and posterior means."""
    chosen = ("unbiased_mean", "bayes_gauss", "posterior_mean", "van_trees")  # teff has two nodes
    table = ceiling(bank, prior, "logg", n_star=40, n_template=2000, statistics=chosen)
    scores = [list(row.r2[name]) for row in table.rows for name in sorted(row.r2)]
    stars = table.stars
    parts = (np.ravel(scores), np.sqrt(stars.sigma2), stars.mean, np.sqrt(stars.var))
    return np.concatenate(parts).tolist()


if __name__ == "__main__":
    found = few()
    if "whole" in sys.argv:
        with tempfile.TemporaryDirectory() as place:
            found |= whole(Path(place))
    print(json.dumps(found))
