"""Tables of single spectra, written with what they are of."""

from pathlib import Path

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.noise.exposures import observe_exposures
from starsmith.data_contract.noise.view import NoiseModel
from starsmith.data_contract.quantities import CONDITIONS, SOMETIMES
from starsmith.data_contract.snr_units import snr_factors
from starsmith.data_contract.tables.table_files import write_table

__all__ = ["spectrum_summary", "write_exposures", "write_spectrum"]

ASTROPY_UNITS = {"wave": "Angstrom"} | dict.fromkeys(
    ("flux", "error"), "1e-17 erg / (s cm2 Angstrom)"
)


def spectrum_summary(batch: SpectrumBatch, bank: Bank) -> dict[str, float]:
    """Labels, magnitude, S/N per pixel, Å and resolution element, conditions of one spectrum."""
    draws = batch.draws
    labels = {name: float(draws.label(name)[0]) for name in draws.label_names}
    conditions = {name: float(draws.condition(name)[0]) for name in CONDITIONS}
    shift = {name: float(v[0]) for name in SOMETIMES if (v := getattr(draws, name)).any()}
    factors = snr_factors(bank.instrument, bank.wave, bank.noise.arms)
    snr = {f"snr_{per}": factor * float(batch.snr[0]) for per, factor in factors.items()}
    snr = {"snr": snr.pop("snr_per_pixel"), "snr_p95": float(batch.snr_p95[0]), **snr}
    return {**labels, "mag": float(draws.mag[0]), **shift, **snr, **conditions}


def write_spectrum(path: Path, batch: SpectrumBatch, bank: Bank) -> None:
    """Write wave [vacuum Å], flux, error [1e-17 erg/s/cm²/Å] and mask of one spectrum."""
    columns = {
        "wave": batch.wave,
        "flux": batch.flux[0],
        "error": batch.error[0],
        "mask": batch.mask[0],
    }
    key = {**vars(batch.draws.key), "index": int(batch.draws.index[0])}
    meta = {"medium": "vacuum", **key, **spectrum_summary(batch, bank)}
    if bank.notice:
        meta["notice"] = bank.notice
    _write(path, columns, meta)


def write_exposures(path: Path, batch: SpectrumBatch, bank: Bank, noise: NoiseModel) -> None:
    """Write wave, and flux and error of every exposure (n_wave, n_exposure), of one spectrum.

    The exposures' seeing and zenith angles are in the table's metadata.
    """
    single = observe_exposures(
        bank.noise, batch.flux_model, batch.draws.conditions, batch.draws.key, noise
    )
    columns = {"wave": batch.wave, "flux": single.flux[:, 0].T, "error": single.error[:, 0].T}
    drift = ("seeing", "zenith_angle")
    of_each = {name: single.conditions[:, 0, CONDITIONS.index(name)].tolist() for name in drift}
    _write(path, columns, {"medium": "vacuum", **of_each})


def _write(path: Path, columns: dict, meta: dict) -> None:
    from astropy.table import Table  # half a second, which a summary alone need not wait for

    write_table(path, Table(columns, units=ASTROPY_UNITS, meta=meta))
