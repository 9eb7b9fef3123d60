"""Single spectra: simulated by key, summarised, written as tables."""

from pathlib import Path

import numpy as np
from astropy.table import Table

from starsmith.cli.files import write_table
from starsmith.data_contract.bank import Bank
from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.names import CONDITIONS
from starsmith.data_contract.noise import CALCULATOR, NoiseModel
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior

__all__ = ["single_spectrum", "spectrum_summary", "write_spectrum"]

ASTROPY_UNITS = {"wave": "Angstrom"} | dict.fromkeys(
    ("flux", "error"), "1e-17 erg / (s cm2 Angstrom)"
)


def single_spectrum(
    bank: Bank, prior: Prior, key: tuple[int, str, int], noise: NoiseModel = CALCULATOR
) -> SpectrumBatch:
    """Simulate the one spectrum with this (seed, split, index), bit for bit the data set's."""
    seed, split, index = key
    draws = draw_stars(bank, prior, seed, split, np.array([index]))
    return observe(bank, draws, noise=noise)


def spectrum_summary(batch: SpectrumBatch) -> dict[str, float]:
    """Labels, magnitude, S/N and conditions of a batch of one spectrum."""
    draws = batch.draws
    labels = {name: float(draws.label(name)[0]) for name in draws.label_names}
    conditions = {name: float(draws.condition(name)[0]) for name in CONDITIONS}
    rv = {"rv": float(draws.rv[0])} if draws.rv.any() else {}
    return {**labels, "mag": float(draws.mag[0]), **rv, "snr": float(batch.snr[0]), **conditions}


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
