"""Making a data set's contents again from its bank: what repairs and conversions ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.shards import DatasetHeader, Shard
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.noise.view import NoiseTables
from starsmith.data_contract.tables.population import Population, reread_population
from starsmith.simulator.generation.shard import make_shard
from starsmith.simulator.observe import draw_stars
from starsmith.simulator.presets import settle
from starsmith.simulator.prior import Prior

__all__ = ["BankRemaker"]


@dataclass(frozen=True)
class BankRemaker:
    """Makes any shard of a data set again.

    Attributes
    ----------
    bank : Bank
    prior : Prior
    exact : bool
        Whether the bank is the one the data set was made from, by its digest.
    """

    bank: Bank
    prior: Prior
    exact: bool

    @classmethod
    def of(cls, bank: Bank, run: Mapping) -> "BankRemaker":
        """Take bank and prior for the data set with header ``run``."""
        ranges = {name: (low, high) for name, (low, high) in run["prior"].items()}
        prior = Prior(ranges, population=_population(run))
        prior = settle(run["config"].get("preset", ""), bank, prior)
        return cls(bank, prior, exact=bank.digest == run["bank_digest"])

    @property
    def wave(self) -> np.ndarray:
        """Pixel centres, float64 (n_wave,) [vacuum Å]."""
        return self.bank.wave

    @property
    def noise(self) -> NoiseTables:
        """The bank's noise tables."""
        return self.bank.noise

    def draws(self, header: DatasetHeader, shard: Shard) -> Draws:
        """Labels and conditions of a shard's keys."""
        index = np.arange(shard.start, shard.stop, dtype=np.int64)
        return draw_stars(self.bank, self.prior, header.seed, shard.split, index)

    def columns(self, header: DatasetHeader, shard: Shard) -> Mapping[str, np.ndarray]:
        """All columns of a shard, as `write_shard` takes them."""
        bank = replace(self.bank, noise=header.noise)
        return make_shard(bank, self.prior, header, shard)


def _population(run: Mapping) -> Population | None:
    """The table stars were drawn from, if any; DataError if it is not that table any more."""
    recorded = run.get("population", {})
    if not recorded:
        return None
    population = reread_population(recorded, run.get("mag_band", ""))
    if population.sha256 != recorded["sha256"]:
        raise DataError(
            f"{recorded['path']}: the population was changed since stars were drawn from it; put "
            "back the table with SHA-256 " + recorded["sha256"]
        )
    return population
