"""Finished cells of a suite, as the exhibits look at them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import read_json
from starsmith.learners.benchmark.lab import LabSuite, cell_file, columns_of

__all__ = ["CellSet", "DoneCell"]

ORDER = ("zero_shot", "residual", "lora", "full", "linear_probe", "bitfit", "scratch")


@dataclass(frozen=True, eq=False)
class DoneCell:
    """A finished cell.

    Attributes
    ----------
    g, n, strategy, seed : float, int, str, int
    labels : tuple of str
    columns : dict of str to float64 array, shape (n_test, n_label)
        ``truth``, ``value``, ``ceiling``, ``free``, ``pipeline``; of stars whose labels are known.
    snr : float64 array, shape (n_test,)
    known : bool array, shape (n_all,)
        Which of the file's stars these are.
    content : mapping
        The rest of its file.
    """

    g: float
    n: int
    strategy: str
    seed: int
    labels: tuple[str, ...]
    columns: dict[str, np.ndarray]
    snr: np.ndarray
    known: np.ndarray
    content: Mapping

    @classmethod
    def of_file(cls, content: Mapping) -> "DoneCell":
        """What a cell's file holds."""
        columns = columns_of(content)
        known = np.isfinite(columns["truth"]).all(axis=1) & np.isfinite(columns["value"]).all(
            axis=1
        )
        snr = np.array(content.get("snr", np.full(known.size, np.nan)), dtype=np.float64)
        return cls(
            **content["cell"],
            labels=tuple(content["labels"]),
            columns={name: column[known] for name, column in columns.items()},
            snr=snr[known],
            known=known,
            content=content,
        )

    def label(self, name: str, column: str = "value") -> np.ndarray:
        """One label of one column, float64 (n_test,)."""
        return self.columns[column][:, self.labels.index(name)]

    @property
    def probes(self) -> Mapping:
        """Landscape and saliency; empty where they were not measured."""
        return self.content.get("probes") or {}


@dataclass(frozen=True, eq=False)
class CellSet:
    """Finished cells of a suite.

    Attributes
    ----------
    suite : LabSuite
    cells : tuple of DoneCell
    """

    suite: LabSuite
    cells: tuple[DoneCell, ...]

    @classmethod
    def open(cls, suite: LabSuite, folder: Path) -> "CellSet":
        """Read what is there.

        Raises
        ------
        DataError
            If nothing is.
        """
        places = [cell_file(folder, cell) for cell in suite.cells]
        cells = tuple(DoneCell.of_file(read_json(place)) for place in places if place.is_file())
        if not cells:
            raise DataError(f"{folder}: no finished cell of suite {suite.name}; run it first")
        return cls(suite, cells)

    @cached_property
    def g(self) -> float:
        """The largest dial that has a fine-tuning: what the exhibits show."""
        tuned = [cell.g for cell in self.cells if cell.n] or [cell.g for cell in self.cells]
        return max(tuned)

    @cached_property
    def n_most(self) -> int:
        """Most stars that were learned from at this dial."""
        return max(cell.n for cell in self.cells if cell.g == self.g)

    @cached_property
    def strategies(self) -> tuple[str, ...]:
        """Those without a size, in the order of the tables."""
        found = {cell.strategy for cell in self.cells if cell.g == self.g}
        return tuple(name for name in ORDER if name in found)

    @property
    def has_ceiling(self) -> bool:
        """Whether the best possible is known."""
        return bool(np.isfinite(self.cells[0].columns["ceiling"]).all())

    @property
    def notice(self) -> str:
        """Label of a demonstration grid."""
        return self.cells[0].content["target"].get("notice", "")

    def of(self, strategy: str, n: int | None = None) -> list[DoneCell]:
        """Every seed of a strategy at the exhibits' dial; of as many stars as there are."""
        wanted = 0 if strategy == "zero_shot" else self.n_most if n is None else n
        return [
            cell
            for cell in self.cells
            if (cell.g, cell.strategy, cell.n) == (self.g, strategy, wanted)
        ]

    def first(self, strategy: str, n: int | None = None) -> DoneCell | None:
        """The first seed; None where there is none."""
        return next(iter(self.of(strategy, n)), None)

    @cached_property
    def best(self) -> str:
        """The fine-tuning with the highest R² of [M/H], or of the first label."""
        tuned = [name for name in self.strategies if name not in ("zero_shot", "scratch")]
        return max(tuned, key=self._mean_r2) if tuned else self.strategies[0]

    def _mean_r2(self, strategy: str) -> float:
        scores = []
        for cell in self.of(strategy):
            name = "m_h" if "m_h" in cell.labels else cell.labels[0]
            truth, value = cell.label(name, "truth"), cell.label(name)
            scores.append(1.0 - np.square(value - truth).mean() / truth.var())
        return float(np.mean(scores)) if scores else -np.inf
