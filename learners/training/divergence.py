"""What to say, and how to go on, where training meets a number that is not finite."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from starsmith.data_contract.errors import DataError, DivergedError, InputError
from starsmith.learners.preprocess import MEND_DATA, list_rows
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.training.batch import Batch

__all__ = ["Breakdown", "bad_rows", "lower_rate"]

STEP_DOWN = 10.0  # what the message proposes to divide the learning rate by
"""What the learning rate is proposed to be divided by."""


def bad_rows(batch: Batch) -> dict[str, np.ndarray]:
    """Rows of a batch that nothing finite can be learned from.

    Parameters
    ----------
    batch : Batch

    Returns
    -------
    rows : dict of str to int64 array
        By what is not finite in them, ``flux``, ``label`` or ``label error``; only what was
        found. NaN is a label that is not known.
    """
    wrong = {
        "flux": ~torch.isfinite(batch.flux),
        "label": torch.isinf(batch.truth),  # NaN is a label that is not known
        "label error": None if batch.error is None else torch.isinf(batch.error),
    }
    found = {
        what: batch.rows[odd.any(dim=1).cpu().numpy()]
        for what, odd in wrong.items()
        if odd is not None
    }
    return {what: rows for what, rows in found.items() if rows.size}


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """A step of training whose loss or gradient was not finite.

    Attributes
    ----------
    epoch, step : int
        From 1; steps are counted over the whole run.
    batch, n_batch : int
        Of the epoch, from 1, and how many it has.
    rate : float
        Learning rate of the step.
    seen : Batch
        What it saw.
    """

    epoch: int
    step: int
    batch: int
    n_batch: int
    rate: float
    seen: Batch

    @property
    def place(self) -> str:
        """Where it happened, for messages."""
        return (
            f"epoch {self.epoch}, batch {self.batch} of {self.n_batch} ({self.seen.name}; step "
            f"{self.step}, learning rate {self.rate:.3g}): loss or gradient is not finite"
        )

    def error(self, out: Path, best_epoch: int, recipe: NetworkRecipe) -> InputError:
        """Return the error that says what was found, what is kept and how to go on.

        Parameters
        ----------
        out : Path
            Run folder.
        best_epoch : int
            Whose weights are in it; 0 for none.
        recipe : NetworkRecipe

        Returns
        -------
        error : DataError or DivergedError
            The former if spectra or labels of the batch are not finite.
        """
        kept = (
            f"The weights of epoch {best_epoch} are kept in {out}"
            if best_epoch
            else f"No epoch was completed, {out} holds no weights"
        )
        if found := bad_rows(self.seen):
            what = "; ".join(
                f"{self.seen.kind} {list_rows(rows)}: {name} not finite"
                for name, rows in found.items()
            )
            return DataError(
                f"{self.place}, because of {what}; expected finite flux wherever mask is 0, and "
                f"labels that are finite or NaN. {kept}. {MEND_DATA}"
            )
        message = (
            f"{self.place}, though every spectrum and label seen is. {kept}. Lower "
            f"learning_rate from {recipe.learning_rate:g}"
        )
        if not best_epoch:
            options = (*lower_rate(recipe), "--overwrite")
            return DivergedError(f"{message} and start anew", options)
        options = ("--set", f"initial={out}", "--out", str(free_name(out)))
        return DivergedError(
            f"{message} and start from these weights (initial = {str(out)!r}) in another folder",
            (*lower_rate(recipe), *options),
        )


def lower_rate(recipe: NetworkRecipe) -> tuple[str, ...]:
    """Options of ``speclearn train`` that lower the learning rate, its end with it if need be."""
    lower = recipe.learning_rate / STEP_DOWN
    options = ("--lr", f"{lower:g}")
    if recipe.learning_rate_min > lower:
        options += ("--set", f"learning_rate_min={lower:g}")
    return options


def free_name(path: Path) -> Path:
    """Name beside a path that nothing has yet: ``vit-2``, ``vit-3``, ..."""
    number = 2
    while (beside := path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return beside
