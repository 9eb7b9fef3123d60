"""One shard of a data set, simulated."""

from collections.abc import Callable

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.shards import DatasetHeader, Shard
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.kernels.rounding import round_mantissa
from starsmith.data_contract.noise.view import signal_to_noise
from starsmith.data_contract.quantities import SNR_STATISTICS
from starsmith.simulator.observe import draw_stars, model_flux, observe
from starsmith.simulator.prior import Prior

__all__ = ["make_shard"]


def make_shard(
    bank: Bank,
    prior: Prior,
    header: DatasetHeader,
    shard: Shard,
    spectra_of: Callable[[Draws], dict] | None = None,
) -> dict:
    """Simulate one shard; ``spectra_of`` draws makes S/N and fluxes elsewhere, as on a device.

    Returns
    -------
    columns : dict of str to array
        What the header's store holds: labels, conditions, ``mag``, S/N, ``index``, each
        (n_spec,), and the fluxes, each (n_spec, n_wave), rounded as the header declares.
    """
    draws = draw_stars(
        bank, prior, header.seed, shard.split, np.arange(shard.start, shard.stop, dtype=np.int64)
    )
    columns = draws.columns | {"index": draws.index}
    if spectra_of is not None:
        columns |= spectra_of(draws)
        return {name: values for name, values in columns.items() if name in header.columns}
    if header.store == "frozen":
        batch = observe(bank, draws, error=header.error_kind, noise=header.noise_terms)
        spectra = {"flux": batch.flux, "error": batch.error}
        for name, values in spectra.items():
            round_mantissa(values.view(np.uint32), header.kept_bits(name))
        columns |= spectra | {name: getattr(batch, name) for name in SNR_STATISTICS}
        return {name: values for name, values in columns.items() if name in header.columns}
    flux_model = model_flux(bank, draws)
    columns |= signal_to_noise(
        bank.noise, flux_model, draws.conditions, header.noise_terms, draws.key
    )
    columns["flux_model"] = flux_model
    return {name: values for name, values in columns.items() if name in header.columns}
