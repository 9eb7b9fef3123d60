"""A bank drawn from on a CPU: the compiled kernels that make a data set, which share its caches."""

from collections.abc import Mapping

import numpy as np
import torch

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.bank.row_sums import weighted_spectra
from starsmith.data_contract.noise.view import (
    Realisation,
    observe_flux,
    observe_spectra,
    signal_to_noise,
)
from starsmith.data_contract.random import DrawKey
from starsmith.learners.online.torch_bank import BankOnDevice, Stars, Streams

__all__ = ["BankOnCpu", "open_source"]


class BankOnCpu(BankOnDevice):
    """`BankOnDevice` of a CPU: the same draws, three times as fast as torch's own operations."""

    def __init__(self, bank: Bank, ranges: Mapping[str, tuple[float, float]], seed: int):
        super().__init__(bank, ranges, seed, torch.device("cpu"))
        self.bank = bank

    def noiseless(self, stars: Stars) -> torch.Tensor:
        """Noiseless flux, float32 (n_spec, n_wave); no batch holds it."""
        rows = stars.rows.numpy().astype(np.int32)
        return torch.from_numpy(weighted_spectra(self.bank, rows, self.weights(stars).numpy()))

    def observe(
        self,
        stars: Stars,
        split: str,
        streams: Streams,
        sub: int = 0,
        error: str | None = None,
        noiseless: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Observed flux and, where a kind is named, its honest error; see `BankOnDevice`."""
        model = (self.noiseless(stars) if noiseless is None else noiseless).numpy()
        tables, conditions = self.bank.noise, stars.conditions
        key, drawn = DrawKey(self.seed, split, stars.index.numpy()), Realisation(streams.noise, sub)
        if error is None:
            flux = np.empty_like(model)
            observe_flux(tables, model, conditions.numpy(), key, drawn, flux)
            return torch.from_numpy(flux), None
        flux, errors, _ = observe_spectra(tables, model, conditions.numpy(), key, error, drawn)
        return torch.from_numpy(flux), torch.from_numpy(errors)

    def signal_to_noise(self, stars: Stars) -> torch.Tensor:
        """Median over pixels of noiseless flux over its σ, float64 (n_spec,)."""
        found = signal_to_noise(
            self.bank.noise, self.noiseless(stars).numpy(), stars.conditions.numpy()
        )
        return torch.from_numpy(found["snr"])


def open_source(
    bank: Bank, ranges: Mapping[str, tuple[float, float]], seed: int, device: torch.device
) -> BankOnDevice:
    """Bank to draw from on a device: compiled kernels on a CPU, torch's operations elsewhere.

    Parameters and errors as of `BankOnDevice`.
    """
    if device.type == "cpu":
        return BankOnCpu(bank, ranges, seed)
    return BankOnDevice(bank, ranges, seed, device)
