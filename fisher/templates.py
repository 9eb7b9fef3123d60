"""Templates: stars of the prior without noise, kept as a few numbers each instead of a spectrum."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank import Bank
from starsmith.fisher.basis import Basis, template_draws
from starsmith.simulator.interpolate import touches_filled
from starsmith.simulator.prior import Prior

__all__ = ["Templates", "build_templates", "population_templates"]

BLOCK = 2048


@dataclass(frozen=True)
class Templates:
    """Stars of the prior in a basis.

    Attributes
    ----------
    labels : float64, shape (n_template, n_label)
        Of a population with the magnitude as one more column.
    short : float64, shape (n_template, n_mode)
    square : float64, shape (n_template, n_square)
    log_weight : float64, shape (n_template,)
        Logarithm of how probable each is before anything is observed.
    exact : bool
        True where these are all the stars there are, not a sample.
    """

    labels: np.ndarray
    short: np.ndarray
    square: np.ndarray
    log_weight: np.ndarray
    exact: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "Templates":
        """Return the first few of a sample, a fair draw of the prior too; all, where exact."""
        if self.exact:
            return self
        some = slice(0, count)
        return Templates(
            self.labels[some], self.short[some], self.square[some], self.log_weight[some]
        )


def _in_basis(basis: Basis, bank: Bank, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    short = basis.project(bank, labels)
    square = np.empty((len(labels), len(basis.squares)))
    for start in range(0, len(labels), BLOCK):
        rows = slice(start, start + BLOCK)
        square[rows] = basis.square_sums(short[rows])
    return short, square


def build_templates(
    bank: Bank, prior: Prior, basis: Basis, n_template: int, seed: int = 0
) -> Templates:
    """Draw templates from the prior and project them."""
    labels = template_draws(bank, prior, seed, 0, n_template).labels
    return Templates(labels, *_in_basis(basis, bank, labels), np.zeros(n_template))


def population_templates(
    bank: Bank, prior: Prior, basis: Basis, n_template: int, seed: int = 0
) -> Templates:
    """Stars of a table, each at its own magnitude: all rows if they are few enough.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        With a population.
    basis : Basis
    n_template : int
        Of more rows than these so many are drawn, by weight.
    seed : int
    """
    table = prior.population
    exact = len(table) <= n_template
    if exact:
        labels, mag = table.labels(bank.label_names), table.columns["mag"]
        usable = np.flatnonzero((table.weight > 0.0) & ~touches_filled(bank, labels))
        labels, mag, weight = labels[usable], mag[usable], table.weight[usable]
    else:
        draws = template_draws(bank, prior, seed, 0, n_template)
        labels, mag, weight = draws.labels, draws.mag, np.ones(n_template)
    short, square = _in_basis(basis, bank, labels)
    bright = 10.0 ** (-0.4 * (mag - basis.mag))[:, None]
    return Templates(
        np.column_stack([labels, mag]), bright * short, bright**2 * square, np.log(weight), exact
    )
