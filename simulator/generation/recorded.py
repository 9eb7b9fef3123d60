"""What a data set was made from: its bank, prior and stars, found through its configuration."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.data_contract.checks.remade import TOLERANCE, difference
from starsmith.data_contract.dataset.reader import Dataset, open_dataset
from starsmith.data_contract.dataset.shards import Shard, open_run
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.quantities import SOMETIMES
from starsmith.data_contract.tables.population import Population, reread_population
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.generation.remake import BankRemaker
from starsmith.simulator.observe import model_flux
from starsmith.simulator.presets import settle
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.velocity_shift import VELOCITY_STEP_KM_S

__all__ = ["bank_of_run", "open_recorded", "recorded_bank", "recorded_prior"]

N_COMPARED = 16  # stars of each split; their nodes are a fair sample of the bank

Progress = Callable[[int, int], None]


def recorded_bank(path: Path | str, progress: Progress | None = None) -> Bank:
    """Bank that a data set was made with; a grid it names is rendered where it has to be.

    Parameters
    ----------
    path : path
        Of the data set.
    progress : callable, optional
        Called with (nodes done, nodes in all) while the demo grid is built.

    Raises
    ------
    DataError
        If the configuration names no bank, or that bank has changed since. A bank that is not
        the same to the bit has to make the same spectra within rounding.

    Examples
    --------
    >>> bank.save("bank.zarr")
    >>> kept = starsmith.Settings(config={"bank": "bank.zarr"})
    >>> _ = starsmith.write_dataset(bank, prior, 40, "known.zarr", seed=1, settings=kept)
    >>> starsmith.recorded_bank("known.zarr").digest == bank.digest
    True
    """
    run = open_run(Path(path)).run()
    bank = bank_of_run(Path(path), run, progress)
    if bank.digest != run["bank_digest"] and (differs := _differences(Path(path), bank)):
        raise DataError(
            f"{path}: made with bank {run['bank_digest'][:12]}, but the one its configuration "
            f"names is now {bank.digest[:12]} and makes other stars ({', '.join(differs)}); "
            "restore that bank, or generate the data set again"
        )
    return bank


def _differences(path: Path, bank: Bank) -> list[str]:
    """What a bank makes otherwise than a data set holds, of a few stars; empty within rounding.

    A bank rendered by another version, or on another kind of processor, may differ in the last
    bits. It then has the data set's pixels and noise tables and makes the same stars.
    """
    header = open_run(path)
    if not np.array_equal(bank.wave, header.wave):
        return ["pixels"]
    found = header.noise.arrays()
    names = [
        f"noise {name}"
        for name, values in bank.noise.arrays().items()
        if name not in found
        or found[name].shape != values.shape
        or not np.allclose(found[name], values, rtol=TOLERANCE, atol=0.0)
    ]
    remaker = BankRemaker.of(bank, header.run())
    for split, count in header.counts.items():
        few = Shard(split, 0, 0, min(count, N_COMPARED))
        made = remaker.columns(header, few)
        names += [
            f"{split} {name}"
            for name in header.columns
            if difference(path, header, few, name, made) is not None
        ]
    return names


def bank_of_run(path: Path, run: dict, progress: Progress | None = None) -> Bank:
    """Open the bank named in the configuration of a data set with header ``run``, as it is now.

    Raises
    ------
    DataError
        If the configuration names none, or it is not there.
    """
    named = {
        name: run["config"][name]
        for name in ("grid", "instrument", "mag_band", "extinction", "bank")
        if name in run["config"]
    }
    if run.get("store") == "observed":
        raise DataError(
            f"{path}: observed spectra come from no bank: what needs one does not take them, and "
            "damaged ones are ingested again (specdata ingest ... --overwrite)"
        )
    if not named:
        raise DataError(
            f"{path}: its configuration names no bank; give the one it was made with as --bank"
        )
    if file := named.pop("bank", None):
        if not Path(file).exists():
            raise DataError(
                f"{path}: made with bank {file}, which is not there any more; give it as --bank"
            )
        return load_bank(Path(file))
    moving, reddened = (any(run["prior"].get(name, ())) for name in SOMETIMES)
    step = VELOCITY_STEP_KM_S if moving else None
    return cached_bank(progress=progress, velocity_step_km_s=step, reddening=reddened, **named)


def open_recorded(path: Path | str, progress: Progress | None = None) -> Dataset:
    """Open a data set of any store; one of keys computes its spectra from its bank.

    Raises
    ------
    DataError
        If it is no data set, or its bank cannot be found.
    """
    if open_run(Path(path)).store != "keys":
        return open_dataset(path)
    bank = recorded_bank(path, progress)
    return open_dataset(path, regenerate=partial(model_flux, bank))


def recorded_prior(dataset: Dataset, bank: Bank) -> Prior:
    """Prior that a data set's stars were drawn from, its table of stars and nodes included.

    Raises
    ------
    DataError
        If the table has changed since.
    """
    header = dataset.header
    prior = Prior({name: tuple(bounds) for name, bounds in header.prior.items()})
    prior = prior.with_population(_recorded_population(dataset))
    return settle(header.config.get("preset") or "", bank, prior)


def _recorded_population(dataset: Dataset) -> Population | None:
    """Read the table of stars that a data set was drawn from; DataError if it changed since."""
    record = dataset.header.population
    if not record:
        return None
    found = reread_population(record, dataset.header.mag_band)
    if found.sha256 != record["sha256"]:
        raise DataError(
            f"{dataset.path}: drawn from {record['path']}, which has changed since (SHA-256 "
            f"{found.sha256[:12]}, was {record['sha256'][:12]}); restore that table"
        )
    return found
