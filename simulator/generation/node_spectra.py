"""Spectra of a grid's own nodes, with the noise of every magnitude, in the published layout."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.published import MEDIAN, PUBLISHED_LABELS, write_file
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.files.disk_errors import told_of_disk
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.noise.view import signal_to_noise, true_error
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.simulator.observe import model_flux
from starsmith.simulator.prior import Prior

__all__ = ["NodeSpectra"]

BLOCK_ROWS = 512
NEAR = 1e-9  # of a label's range: nodes at its ends are inside
KEEP_BITS = 14  # mantissa bits of the flux


@dataclass(frozen=True, eq=False)
class NodeSpectra:
    """The nodes of a bank inside a prior's ranges, less those that were holes.

    Conditions are the middle of their ranges: nothing is drawn.

    Attributes
    ----------
    bank : Bank
    prior : Prior
    """

    bank: Bank
    prior: Prior

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels of the nodes, float64 (n_node, n_label)."""
        bank = self.bank
        nodes = np.array(list(product(*bank.axes)))
        kept = ~bank.filled
        for name, values in zip(bank.label_names, nodes.T, strict=True):
            low, high = self.prior.ranges[name]
            near = NEAR * max(abs(low), abs(high), 1.0)
            kept &= (values >= low - near) & (values <= high + near)
        if not kept.any():
            raise DataError("no node of the grid lies inside the ranges of the labels")
        return nodes[kept]

    def draws(self, mag: float) -> Draws:
        """The nodes as stars of one magnitude."""
        n_node = len(self.labels)
        middle = [float(np.mean(self.prior.ranges[name])) for name in CONDITIONS]
        return Draws(
            seed=0,
            split="test",
            index=np.arange(n_node),
            label_names=self.bank.label_names,
            labels=self.labels,
            mag=np.full(n_node, mag),
            conditions=np.tile(middle, (n_node, 1)),
        )

    def write(
        self,
        out: Path,
        mags: Sequence[float],
        median: float = 1.0,
        overwrite: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Path]:
        """Write ``out/mag_21.5/dataset.h5`` for every magnitude.

        Parameters
        ----------
        out : path
        mags : sequence of float
        median : float
            What the median of every spectrum becomes.
        overwrite : bool
            Replace files that are there; they are kept, and skipped, otherwise.
        progress : callable
            ``progress(n_done, n_total)`` spectra.

        Returns
        -------
        files : list of Path
        """
        files, n_node = [], len(self.labels)
        out.mkdir(parents=True, exist_ok=True)
        with writer_lock(out / "nodes"), told_of_disk(out, "files that are whole are kept"):
            for k, mag in enumerate(mags):
                file = out / f"mag_{mag:g}" / "dataset.h5"
                if overwrite or not file.exists():
                    file.parent.mkdir(exist_ok=True)
                    with staged_file(file, sweep=True) as partial:
                        self._write_file(partial, mag, median)
                files.append(file)
                progress((k + 1) * n_node, len(mags) * n_node)
        return files

    def _write_file(self, file: Path, mag: float, median: float) -> None:
        bank, draws = self.bank, self.draws(mag)
        attributes = {"notice": bank.notice, "grid": str(bank.grid.get("name", ""))}
        flux = model_flux(bank, draws, KEEP_BITS)
        snr = signal_to_noise(bank.noise, flux, draws.conditions)
        params = {PUBLISHED_LABELS[name]: draws.label(name) for name in draws.label_names}
        params |= {MEDIAN: np.median(flux, axis=1).astype(np.float64), "mag": draws.mag, **snr}
        params |= {name: draws.condition(name) for name in CONDITIONS} | {"targetid": draws.index}
        with write_file(file, bank.wave, params, attributes, median) as (_, put):
            for start in range(0, len(draws), BLOCK_ROWS):
                rows = slice(start, min(start + BLOCK_ROWS, len(draws)))
                sigma = true_error(bank.noise, flux[rows], draws.conditions[rows])
                put(rows, flux[rows], sigma, KEEP_BITS)
