"""Single spectra and grids, from objects to tables and summaries."""

from pathlib import Path

import numpy as np
from astropy.table import Table

from starsmith.cli.files import write_table
from starsmith.data_contract.bank import Bank
from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.grid_file import GridData
from starsmith.data_contract.names import CONDITIONS, UNITS
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior

__all__ = ["grid_summary", "single_spectrum", "spectrum_summary", "write_spectrum"]

ASTROPY_UNITS = {"wave": "Angstrom"} | dict.fromkeys(
    ("flux", "error"), "1e-17 erg / (s cm2 Angstrom)"
)


def single_spectrum(bank: Bank, prior: Prior, seed: int, split: str, index: int) -> SpectrumBatch:
    """Simulate the one spectrum with this key, bit for bit the data set's."""
    draws = draw_stars(bank, prior, seed, split, np.array([index]))
    return observe(bank, draws)


def spectrum_summary(batch: SpectrumBatch) -> dict[str, float]:
    """Labels, magnitude, S/N and conditions of a batch of one spectrum."""
    draws = batch.draws
    labels = {name: float(draws.label(name)[0]) for name in draws.label_names}
    conditions = {name: float(draws.condition(name)[0]) for name in CONDITIONS}
    return {**labels, "mag": float(draws.mag[0]), "snr": float(batch.snr[0]), **conditions}


def write_spectrum(path: Path, batch: SpectrumBatch, notice: str) -> None:
    """Write wave [vacuum Å], flux, error [1e-17 erg/s/cm²/Å] and mask of one spectrum."""
    columns = {
        "wave": batch.wave,
        "flux": batch.flux[0],
        "error": batch.error[0],
        "mask": batch.mask[0],
    }
    seed, split, index = batch.draws.key
    key = {"seed": seed, "split": split, "index": int(index[0])}
    meta = {"medium": "vacuum", **key, **spectrum_summary(batch)}
    if notice:
        meta["notice"] = notice
    write_table(path, Table(columns, units=ASTROPY_UNITS, meta=meta))


def grid_summary(grid: GridData) -> dict:
    """Axes, coverage, resolution and origin of a grid."""
    axes = {
        f"{name} [{UNITS[name]}]": " ".join(f"{node:g}" for node in nodes)
        for name, nodes in grid.axes.items()
    }
    return {
        "name": grid.name,
        **axes,
        "models": f"{int(grid.valid.sum())} of {grid.valid.size} nodes",
        "wave": f"{grid.wave[0]:.2f}..{grid.wave[-1]:.2f} Angstrom (vacuum), {grid.wave.size}",
        "resolution": f"{grid.resolution:g}",
        **{
            key: grid.provenance[key]
            for key in ("release", "source", "citation", "licence")
            if key in grid.provenance
        },
        "notice": grid.notice,
    }
