"""One shard of a data set, simulated."""

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.shards import DatasetHeader, Shard
from starsmith.data_contract.kernels.rounding import round_mantissa
from starsmith.simulator.observe import draw_stars, model_flux, observe, signal_to_noise
from starsmith.simulator.prior import Prior

__all__ = ["make_shard"]


def make_shard(bank: Bank, prior: Prior, header: DatasetHeader, shard: Shard) -> dict:
    """Simulate one shard.

    Returns
    -------
    columns : dict of str to array
        What the header's store holds: labels, conditions, ``mag``, ``snr``, ``index``, each
        (n_spec,), and the fluxes, each (n_spec, n_wave), rounded as the header declares.
    """
    draws = draw_stars(
        bank, prior, header.seed, shard.split, np.arange(shard.start, shard.stop, dtype=np.int64)
    )
    columns = draws.columns | {"index": draws.index}
    columns = {name: values for name, values in columns.items() if name in header.columns}
    if header.store == "frozen":
        batch = observe(bank, draws, error=header.error_kind, noise=header.noise_terms)
        spectra = {"flux": batch.flux, "error": batch.error}
        for name, values in spectra.items():
            round_mantissa(values.view(np.uint32), header.kept_bits(name))
        return columns | spectra | {"snr": batch.snr}
    flux_model = model_flux(bank, draws)
    columns["snr"] = signal_to_noise(bank, flux_model, draws, header.noise_terms)
    return columns if header.store == "keys" else columns | {"flux_model": flux_model}
