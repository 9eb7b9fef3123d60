"""Templates: stars of the prior without noise, kept as a few numbers each instead of a spectrum."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import numba
import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.in_threads import in_threads
from starsmith.data_contract.tables.population import Population
from starsmith.fisher.posterior.basis import Basis, template_draws
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import touches_filled

__all__ = ["TableRows", "Templates", "build_templates", "in_basis"]

BLOCK = 512
BATCH = 32_768  # rows of a table held at a time
STRANGER = -1


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
    group : int64, shape (n_template,)
        Number of each row of a table, the same for rows that are alike; else 0.
    """

    labels: np.ndarray
    short: np.ndarray
    square: np.ndarray
    log_weight: np.ndarray
    group: np.ndarray = field(default=None)

    def __post_init__(self):
        if self.group is None:
            object.__setattr__(self, "group", np.zeros(len(self.labels), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: slice | np.ndarray) -> "Templates":
        """Return some of the templates; the first few of a sample are a fair sample too."""
        return Templates(**{part.name: getattr(self, part.name)[rows] for part in fields(self)})


def in_basis(basis: Basis, bank: Bank, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of templates and their halves of S2, (n_template, n_mode or n_square)."""
    short = basis.project(bank, labels)
    square = np.empty((len(labels), len(basis.squares)))

    def fill(start: int) -> None:
        rows = slice(start, start + BLOCK)
        square[rows] = basis.square_sums(short[rows])

    for _ in in_threads(fill, range(0, len(labels), BLOCK), numba.get_num_threads()):
        pass
    return short, square


def build_templates(
    bank: Bank, prior: Prior, basis: Basis, n_template: int, seed: int = 0
) -> Templates:
    """Draw templates from the prior and project them."""
    labels = template_draws(bank, prior, seed, 0, n_template).labels
    return Templates(labels, *in_basis(basis, bank, labels), np.zeros(n_template))


@dataclass(frozen=True)
class TableRows:
    """Rows of a population that the grid can render, each at its own magnitude.

    Attributes
    ----------
    values : float64, shape (n_row, n_label + 1)
        Labels, then magnitude.
    log_weight : float64, shape (n_row,)
    group : int64, shape (n_row,)
        The same for rows that are alike.
    """

    values: np.ndarray
    log_weight: np.ndarray
    group: np.ndarray

    @classmethod
    def of(cls, bank: Bank, table: Population) -> "TableRows":
        """Leave out rows of no weight, and those that lean on a hole of the grid."""
        labels = table.labels(bank.label_names)
        usable = np.flatnonzero((table.weight > 0.0) & ~touches_filled(bank, labels))
        values = np.column_stack([labels, table.columns["mag"]])[usable]
        group = np.unique(values, axis=0, return_inverse=True)[1].reshape(-1)
        return cls(values, np.log(table.weight[usable]), group.astype(np.int64))

    def __len__(self) -> int:
        return len(self.values)

    def own(self, draws: Draws) -> np.ndarray:
        """Group that each star was drawn from, int64 (n_spec,); -1 for a stranger."""
        wanted = np.column_stack([draws.labels, draws.mag])
        every = np.vstack([self.values, wanted])
        _, number = np.unique(every, axis=0, return_inverse=True)
        number = number.reshape(-1)
        known = np.full(number.max() + 1, STRANGER, dtype=np.int64)
        known[number[: len(self)]] = self.group
        return known[number[len(self) :]]

    def every(self, step: int) -> "TableRows":
        """Return every so many rows."""
        return TableRows(self.values[::step], self.log_weight[::step], self.group[::step])

    def templates(self, bank: Bank, basis: Basis, mag: float | None = None) -> Iterator[Templates]:
        """Project the rows, a batch at a time; all at magnitude ``mag``, or each at its own."""
        for start in range(0, len(self), BATCH):
            rows = slice(start, start + BATCH)
            values = self.values[rows]
            short, square = in_basis(basis, bank, values[:, :-1])
            bright = 10.0 ** (-0.4 * ((values[:, -1] if mag is None else mag) - basis.mag))
            bright = np.broadcast_to(bright, len(values))[:, None]
            yield Templates(
                values, bright * short, bright**2 * square, self.log_weight[rows], self.group[rows]
            )
