"""What a network trained on the demo grid's physics reads in real stars of STELIB, and why.

    python -m benchmarks.stelib STELIB [--stars even|odd|both] [--terms all] [--nodes FILE]

STELIB is an .npz of the library (Le Borgne et al. 2003): ``flux`` on air pixels, ``teff``,
``logg``, ``fe_h``. Each term of the budget trains a network on a grid that differs in one thing
from the default physics, and reads the same stars. Half of the stars, by a hash of their names,
served to develop the recipe; the other half is scored once.

Spectra: 6460-8950 Å, pixels of 2 Å in vacuum, divided by a running mean of 300 Å, telluric
windows left out, the grid's degraded to the library's 3 Å. Training: 6,000 draws over the stars'
range, noise of S/N 30-200, velocities within 30 km/s. Terms named *recipe* change not the physics
but what the network is trained to bear: lines of other widths, cores of Ca II left out (they are
not in LTE), and a misfit of the models beside the noise.
"""

import argparse
import hashlib
import itertools
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import scipy
import torch

from benchmarks.timing import machine
from starsmith.data_contract.air import air_to_vacuum
from starsmith.data_contract.constants import FWHM_TO_SIGMA, LIGHT_SPEED_KM_S
from starsmith.simulator.grids import StellarGrid
from starsmith.simulator.prior import alpha_of_metallicity
from starsmith.simulator.synthesis import PHYSICS_VERSION, Sampling, synthesize

WAVE = np.arange(6460.0, 8950.0, 2.0)  # vacuum [Å]
TELLURIC = ((6860, 6960), (7160, 7340), (7590, 7720), (8130, 8350))  # air [Å]
CONTINUUM = 300.0  # width of the running mean [Å]
FINE = 1.0  # pixels of the grid before velocities [Å]
FWHM = 3.0  # of the library's lines [Å]
AXES = {
    "teff": np.arange(3500.0, 6501.0, 250.0),
    "logg": np.arange(0.0, 5.1, 1.0),
    "m_h": np.arange(-2.75, 0.76, 0.5),
}
TRIPLET = air_to_vacuum(np.array([8498.02, 8542.09, 8662.14]))
CORE = 3.0  # to either side of the triplet [Å]
N_TRAIN, N_EPOCH, SEEDS = 6000, 40, (1, 2)
MISFIT = 0.015  # of models, a pixel: what fits of real stars leave
TERMS = {
    "default": {},
    "structure: MARCS fit": {"structure": "marcs_fit"},
    "microturbulence: 2 km/s": {"microturbulence": 2.0},
    "alpha: scaled solar": {"scaled_solar": True},
    "as it was: all three": {
        "structure": "marcs_fit",
        "microturbulence": 2.0,
        "scaled_solar": True,
    },
    "recipe: lines of 3-4.3 Å": {"widest": 4.3, "speed": 50.0},
    "recipe: without cores of Ca II": {"cores": False},
    "recipe: misfit": {"misfit": MISFIT},
    "recipe: all three": {"widest": 4.3, "speed": 50.0, "cores": False, "misfit": MISFIT},
    "lines of the library: 3.5 Å": {"fwhm": 3.5},
    "continuum: 150 Å": {"continuum": 150.0},
}


OTHER_NODES = {"structure", "microturbulence", "scaled_solar", "fwhm", "grid"}
"""Entries of a term that change the nodes' spectra."""


def use_pixels() -> np.ndarray:
    """Pixels outside the telluric windows, bool (n_wave,)."""
    return ~np.any([(air_to_vacuum(a) < WAVE) & (air_to_vacuum(b) > WAVE) for a, b in TELLURIC], 0)


def normalised(flux: np.ndarray, width: float) -> np.ndarray:
    """Flux over its running mean outside telluric windows, (..., n_used)."""
    used = use_pixels()
    size = round(width / (WAVE[1] - WAVE[0]))
    clean = np.where(used, flux, 0.0)
    mean = scipy.ndimage.uniform_filter1d(clean, size, axis=-1, mode="constant")
    share = scipy.ndimage.uniform_filter1d(used.astype(float), size, mode="constant")
    return (flux * share / np.maximum(mean, 1e-30))[..., used]


def node_flux(job: tuple[tuple[float, ...], dict]) -> np.ndarray:
    """A node's flux at the library's resolution on `fine_wave`."""
    (teff, logg, m_h), term = job
    alpha = 0.0 if term.get("scaled_solar") else float(alpha_of_metallicity(m_h))
    sampling = Sampling(
        step_km_s=2.0, stride=3, resolution=15000.0, microturbulence=term.get("microturbulence")
    )  # coarser than the demo grid: lines of 3 Å need no more
    structure = term.get("structure", "atlas9")
    star = synthesize(teff, logg, m_h, alpha, sampling=sampling, structure=structure)
    return broadened(star.wave, star.flux, star.resolution, term.get("fwhm", FWHM))


def broadened(wave: np.ndarray, flux: np.ndarray, resolution: float, fwhm: float) -> np.ndarray:
    """Flux on `fine_wave` with lines of ``fwhm`` [Å]."""
    even = np.interp(fine_wave(), wave, flux)
    left = np.sqrt(fwhm**2 - (7700.0 / resolution) ** 2)
    return scipy.ndimage.gaussian_filter1d(even, left * FWHM_TO_SIGMA / FINE)


def fine_wave() -> np.ndarray:
    """Even pixels, wider than `WAVE` by what velocities need."""
    return np.arange(WAVE[0] - 10.0, WAVE[-1] + 10.0, FINE)


def term_grid(term: dict, workers: int) -> np.ndarray:
    """Ln flux of the nodes of `AXES` on `fine_wave`, float32; of a grid file if one is named."""
    if "grid" in term:
        grid = StellarGrid.open(term["grid"])
        place = [np.searchsorted(grid.axes[name], axis - 1e-6) for name, axis in AXES.items()]
        flux = np.array(grid.flux[np.ix_(*place)])
        every = [
            broadened(grid.wave, one, grid.resolution, FWHM)
            for one in flux.reshape(-1, grid.wave.size)
        ]
        return np.log(np.array(every).reshape(*flux.shape[:3], -1)).astype(np.float32)
    jobs = [(labels, term) for labels in itertools.product(*AXES.values())]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        flux = np.array(list(pool.map(node_flux, jobs, chunksize=48)))
    return np.log(flux.reshape(*(axis.size for axis in AXES.values()), -1)).astype(np.float32)


def kept_grid(term: dict, workers: int, path: Path | None) -> np.ndarray:
    """`term_grid`, kept in a file where one is named."""
    if path is not None and path.exists():
        return np.load(path)
    nodes = term_grid(term, workers)
    if path is not None:
        np.save(path, nodes)
    return nodes


def compared(term: dict) -> np.ndarray:
    """Which pixels outside telluric windows a term's network sees, bool (n_used,)."""
    far = np.abs(WAVE[use_pixels(), None] - TRIPLET).min(axis=1) > CORE
    return far | term.get("cores", True)


def training_set(flux: np.ndarray, term: dict, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Normalised spectra (n, n_used) and labels (n, 3) from ln flux of nodes."""
    low, high = (np.array([axis[i] for axis in AXES.values()]) for i in (0, -1))
    labels = low + (high - low) * rng.random((N_TRAIN, 3))
    weights = np.ones((N_TRAIN, 1))
    for column, axis in enumerate(AXES.values()):
        along = scipy.interpolate.CubicSpline(axis, np.eye(axis.size))(labels[:, column])
        weights = np.einsum("ni,nj->nij", weights, along).reshape(N_TRAIN, -1)
    every = np.exp(weights.astype(np.float32) @ flux.reshape(weights.shape[1], -1))
    found = np.empty((N_TRAIN, use_pixels().sum()), dtype=np.float32)
    for i, value in enumerate(every):
        most = term.get("speed", 30.0)
        speed = rng.uniform(-most, most) / LIGHT_SPEED_KM_S
        if "widest" in term:
            more = np.sqrt(rng.uniform(FWHM, term["widest"]) ** 2 - FWHM**2)
            value = scipy.ndimage.gaussian_filter1d(value, more * FWHM_TO_SIGMA / FINE)
        moved = np.interp(WAVE, fine_wave() * (1.0 + speed), value)
        found[i] = normalised(moved, term.get("continuum", CONTINUUM))
    return found[:, compared(term)], labels


def network(
    spectra: np.ndarray, labels: np.ndarray, seed: int, misfit: float = 0.0
) -> torch.nn.Module:
    """A multilayer perceptron of 256 and 128 units on spectra with fresh noise every epoch."""
    torch.manual_seed(seed)
    x = torch.from_numpy(spectra) - 1.0
    y = torch.from_numpy((labels - labels.mean(0)) / labels.std(0)).float()
    sizes = (x.shape[1], 256, 128, 3)
    layers = [torch.nn.LayerNorm(sizes[0])]
    for a, b in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.GELU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 2e-3, total_steps=N_EPOCH * (N_TRAIN // 128)
    )
    for _ in range(N_EPOCH):
        order = torch.randperm(N_TRAIN)
        for batch in order[: N_TRAIN // 128 * 128].split(128):
            error = (misfit**2 + (30.0 + 170.0 * torch.rand(128, 1)) ** -2).sqrt()
            noisy = x[batch] + error * torch.randn(128, x.shape[1])
            loss = torch.nn.functional.huber_loss(model(noisy), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model


def real_stars(path: str, half: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Flux on `WAVE`, labels and names of the stars within the grid's range."""
    with np.load(path, allow_pickle=False) as file:
        labels = np.array([file["teff"], file["logg"], file["fe_h"]], dtype=float).T
        even = is_even(file["name"])
        inside = np.all(np.isfinite(labels), axis=1)
        for column, axis in enumerate(AXES.values()):
            inside &= (labels[:, column] >= axis[0]) & (labels[:, column] <= axis[-1])
        if half != "both":
            inside &= even == (half == "even")
        flux, kept = [], []
        for i in np.flatnonzero(inside):
            pixel = np.arange(file["n"][i]) + 1.0 - file["crpix"][i]
            wave = air_to_vacuum(file["crval_air"][i] + file["cdelt"][i] * pixel)
            value = np.interp(WAVE, wave, file["flux"][i][: file["n"][i]])
            if np.all(value[use_pixels()] > 0.0) and wave[-1] > WAVE[-1]:
                flux.append(value)
                kept.append(i)
        return np.array(flux), labels[kept], [str(file["name"][i]) for i in kept]


def scores(found: np.ndarray, truth: np.ndarray) -> dict[str, list[float]]:
    """Bias with its standard error, scatter (MAD) and R² of each label."""
    residual = found - truth
    bias = np.median(residual, axis=0)
    scatter = 1.4826 * np.median(np.abs(residual - bias), axis=0)
    r2 = 1.0 - np.sum(residual**2, axis=0) / np.sum((truth - truth.mean(0)) ** 2, axis=0)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(truth), (400, len(truth)))
    again = np.array([np.median(residual[r], axis=0) for r in rows])
    spread = [
        1.0 - np.sum(residual[r] ** 2, 0) / np.sum((truth[r] - truth[r].mean(0)) ** 2, 0)
        for r in rows
    ]
    return {
        "bias": bias.tolist(),
        "bias_error": again.std(0).tolist(),
        "mean": residual.mean(0).tolist(),
        "scatter": scatter.tolist(),
        "r2": r2.tolist(),
        "r2_error": np.std(spread, axis=0).tolist(),
    }


def read_stars(term: dict, flux: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Train on a term's physics and read the stars: labels, the mean of the seeds."""
    spectra, labels = training_set(nodes, term, np.random.default_rng(7))
    seen = normalised(flux, term.get("continuum", CONTINUUM))[:, compared(term)]
    x = torch.from_numpy(seen.astype(np.float32))
    found = []
    for seed in SEEDS:
        model = network(spectra, labels, seed, term.get("misfit", 0.0))
        with torch.no_grad():
            found.append(model(x - 1.0).numpy() * labels.std(0) + labels.mean(0))
    return np.mean(found, axis=0)


def is_even(names: list[str]) -> np.ndarray:
    """Which names have an even hash: stars to develop on."""
    return np.array([int(hashlib.sha256(n.encode()).hexdigest(), 16) % 2 == 0 for n in names])


def main() -> None:
    """Print the budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library")
    parser.add_argument("--stars", choices=("even", "odd", "both"), default="even")
    parser.add_argument("--terms", default="all", help="names of terms, parted by ;")
    parser.add_argument("--grid", help="a grid file with the nodes of AXES, as one more term")
    parser.add_argument("--nodes", type=Path, help="where spectra of usual nodes are kept (.npy)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out")
    options = parser.parse_args()
    stars = real_stars(options.library, options.stars)
    terms = TERMS | ({"grid": {"grid": options.grid}} if options.grid else {})
    chosen = list(terms) if options.terms == "all" else options.terms.split(";")
    print(f"{machine()}; physics version {PHYSICS_VERSION}; {len(stars[1])} {options.stars} stars")
    flux, labels, names = stars
    even, table = is_even(names), {"labels": labels.tolist(), "names": names}
    print("| term | stars | [M/H] bias | Teff bias | log g bias | R2 Teff / log g / [M/H] |")
    print("|---|---|---|---|---|---|")
    for name in chosen:
        kept = options.nodes if OTHER_NODES.isdisjoint(terms[name]) else None
        found = read_stars(terms[name], flux, kept_grid(terms[name], options.workers, kept))
        table[name] = found.round(3).tolist()
        for half, rows in (("even", even), ("odd", ~even)):
            if rows.any():
                print(line(name, half, scores(found[rows], labels[rows])), flush=True)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(table, file)


def line(name: str, half: str, found: dict[str, list[float]]) -> str:
    """A term's row of the table."""
    b, e, r, s = (found[k] for k in ("bias", "bias_error", "r2", "r2_error"))
    quality = " / ".join(f"{v:.2f} ± {u:.2f}" for v, u in zip(r, s, strict=True))
    return (
        f"| {name} | {half} | {b[2]:+.2f} ± {e[2]:.2f} | {b[0]:+.0f} ± {e[0]:.0f} K | "
        f"{b[1]:+.2f} ± {e[1]:.2f} | {quality} |"
    )


if __name__ == "__main__":
    main()
