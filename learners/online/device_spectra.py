"""Spectra of a data set computed on a device, of draws that the simulator made."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from starsmith.data_contract.dataset.precision import stored_bits
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import SNR_STATISTICS
from starsmith.learners.device import pick_device
from starsmith.learners.online.keyed import keyed_normals
from starsmith.learners.online.torch_bank import OF_RECORD, BankOnDevice, Stars

if TYPE_CHECKING:
    from starsmith.data_contract.bank.bank_file import Bank
    from starsmith.data_contract.dataset.schema import DatasetHeader

__all__ = ["DeviceSpectra"]

BLOCK = 1024  # spectra at a time: 17 MB of flux at 4096 pixels, and what torch sorts at once
QUANTILES = (0.5, 0.95)  # of `SNR_STATISTICS`
MANTISSA = 23  # bits of a float32


class DeviceSpectra:
    """What ``specsim generate --device`` hands to the writer: flux, error and S/N of draws.

    Keys, labels and conditions are the simulator's, to the bit. Fluxes and S/N are within 1e-5 of
    its own before they are rounded, so that a few pixels end one rounding step away.

    Parameters
    ----------
    bank : Bank
    header : DatasetHeader
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises
    ------
    ConfigError
        If the device is not there, or the data set has velocities, dust or terms of noise that
        only the simulator draws.
    GridError
        If a range leaves the bank.
    """

    def __init__(self, bank: "Bank", header: "DatasetHeader", device: str):
        if not header.noise_terms.plain:
            raise ConfigError(
                "--device: only the calculator's noise is computed on a device; drop the noise "
                "options, or --device"
            )
        ranges = {name: (low, high) for name, (low, high) in header.prior.items()}
        self.header = header
        self.source = BankOnDevice(bank, ranges, header.seed, pick_device(device))

    def __call__(self, draws: Draws) -> dict[str, np.ndarray]:
        """Columns that draws do not have: S/N, and the fluxes of the header's store."""
        blocks = list(self._blocks(draws))
        return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}

    def _blocks(self, draws: Draws) -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, len(draws), BLOCK):
            some = draws.take(slice(start, start + BLOCK))
            columns = self.columns(self.stars(some), some.split)
            yield {name: values.cpu().numpy() for name, values in columns.items()}

    def stars(self, draws: Draws) -> Stars:
        """Draws on the device, and the rows of the bank they lean on."""
        device = self.source.device
        index, labels, mag, conditions = (
            torch.from_numpy(np.ascontiguousarray(values)).to(device)
            for values in (draws.index, draws.labels, draws.mag, draws.conditions)
        )
        return Stars(index, labels, mag, conditions, *self.source.support(labels))

    def columns(self, stars: Stars, split: str) -> dict[str, torch.Tensor]:
        """S/N float64 (n_spec,) and fluxes float32 (n_spec, n_wave) of stars on the device."""
        header = self.header
        flux = self.source.noiseless(stars)
        round_bits(flux, stored_bits("noiseless")["keep_bits"])  # what noise is drawn about
        response = self.source.noise.response(stars.conditions)
        sigma = response.error(flux)
        ratio = flux / sigma
        levels = torch.tensor(QUANTILES, dtype=torch.float32, device=flux.device)
        snr = torch.quantile(ratio, levels, dim=1).double()
        columns = dict(zip(SNR_STATISTICS, snr, strict=True))
        if header.store == "noiseless":
            (stored,) = (one.name for one in header.columns.values() if len(one.dims) > 1)
            columns[stored] = flux
        if header.store == "frozen":
            normals = keyed_normals(
                header.seed, OF_RECORD.noise, split, stars.index, header.wave.size, 0
            )
            columns["flux"] = seen = normals.mul_(sigma).add_(flux)
            columns["error"] = response.honest_error(seen, header.error_kind)
        return columns


def round_bits(flux: torch.Tensor, keep_bits: int) -> None:
    """Round positive float32 numbers to mantissa bits, half to even, in place."""
    word, shift = flux.view(torch.int32), MANTISSA - keep_bits
    word += (1 << (shift - 1)) - 1 + ((word >> shift) & 1)
    word &= -(1 << shift)
