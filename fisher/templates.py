"""Templates: prior draws without noise, kept as a few numbers each instead of a spectrum."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank import Bank
from starsmith.fisher.basis import Basis, template_draws
from starsmith.simulator.prior import Prior

__all__ = ["Templates", "build_templates"]

BLOCK = 2048


@dataclass(frozen=True)
class Templates:
    """Prior draws in a basis: ``labels`` (n, n_label), ``short`` (n, n_mode), ``square``."""

    labels: np.ndarray
    short: np.ndarray
    square: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "Templates":
        """Return the first few; they are a fair draw of the prior too."""
        return Templates(self.labels[:count], self.short[:count], self.square[:count])


def build_templates(
    bank: Bank, prior: Prior, basis: Basis, n_template: int, seed: int = 0
) -> Templates:
    """Draw templates from the prior and project them."""
    draws = template_draws(bank, prior, seed, 0, n_template)
    short = basis.project(bank, draws.labels)
    square = np.empty((n_template, len(basis.squares)))
    for start in range(0, n_template, BLOCK):
        rows = slice(start, start + BLOCK)
        square[rows] = basis.square_sums(short[rows])
    return Templates(draws.labels, short, square)
