"""What makes the contents of a dataset again."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.shards import Shard
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.noise.view import NoiseTables

__all__ = ["Remaker"]


class Remaker(Protocol):
    """Makes the contents of a dataset again, from its bank and its keys.

    Attributes
    ----------
    wave : float64, shape (n_wave,)
    noise : NoiseTables
    exact : bool
        Whether the bank is known to be the one the dataset was made from.
    """

    wave: np.ndarray
    noise: NoiseTables
    exact: bool

    def draws(self, header: DatasetHeader, shard: Shard) -> Draws:
        """Labels and conditions of a shard's keys."""

    def columns(self, header: DatasetHeader, shard: Shard) -> Mapping[str, np.ndarray]:
        """All columns of a shard, as `write_shard` takes them."""
