"""Ceilings of the very stars of a data set, and predictions held against them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.reader import Dataset
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel
from starsmith.data_contract.predictions import read_predictions
from starsmith.fisher.ceilings.ceiling import ceiling_table
from starsmith.fisher.ceilings.ceiling_table import CeilingTable
from starsmith.fisher.ceilings.leak_test import Comparison, leak_verdict
from starsmith.fisher.ceilings.options import CeilingOptions
from starsmith.simulator.generation.recorded import (
    open_recorded,
    recorded_bank,
    recorded_prior,
)
from starsmith.simulator.prior import Prior

__all__ = ["DatasetStars", "ceiling_of", "compare_predictions", "refuse_unbounded"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class DatasetStars:
    """The stars a ceiling is for; without ``draws`` they are drawn from the prior.

    Attributes
    ----------
    bank : Bank
    prior : Prior
    draws : Draws, optional
    noise : NoiseModel
    """

    bank: Bank
    prior: Prior
    draws: Draws | None = None
    noise: NoiseModel = CALCULATOR

    @classmethod
    def of(cls, dataset: Dataset, bank: Bank | None = None, moving: bool = False) -> "DatasetStars":
        """Return the test stars of a data set, with the bank, prior and noise it was made with.

        Stars that move are refused unless ``moving``.
        """
        if dataset.header.noise is None:
            raise DataError(
                f"{dataset.path}: no ceiling: these spectra were observed, and nothing says how "
                "they came about; drop --ceiling, or make a data set like them with specsim"
            )
        refuse_unbounded(
            Prior({name: tuple(b) for name, b in dataset.header.prior.items()}), moving
        )
        bank = bank or recorded_bank(dataset.path)
        prior = recorded_prior(dataset, bank)
        return cls(bank, prior, dataset.split("test").draws, dataset.header.noise_terms)

    def only(self, index: np.ndarray, path: Path) -> "DatasetStars":
        """Return the stars that predictions in ``path`` are for; DataError for strangers."""
        known = np.isin(index, self.draws.index)
        if not known.all():
            raise DataError(
                f"{path}: {int(np.sum(~known))} of {index.size} predictions (first: index "
                f"{index[~known][0]}) are for no star of the data set's split test "
                f"({len(self.draws)} stars); predict that split with `speclearn evaluate --out`"
            )
        return replace(self, draws=self.draws.take(np.isin(self.draws.index, index)))

    def ceiling(
        self,
        target: str,
        options: CeilingOptions,
        by_arm: bool = False,
        progress: Progress | None = None,
    ) -> CeilingTable:
        """Ceilings of these stars under their own noise; as `ceiling`."""
        chosen = replace(options, noise=self.noise)
        return ceiling_table(self.bank, self.prior, target, self.draws, chosen, progress, by_arm)


def ceiling_of(
    dataset: Dataset | Path | str,
    target: str = "logg",
    options: CeilingOptions | None = None,
    *,
    bank: Bank | None = None,
    by_arm: bool = False,
    progress: Progress | None = None,
) -> CeilingTable:
    """How well any estimator could do on the test stars of a data set.

    Parameters
    ----------
    dataset : Dataset or path
        Its bank, prior and noise are those it was made with.
    target : str
        Label.
    options : CeilingOptions, optional
        Bins, numbers of stars and templates, what is known; its noise is the data set's.
    bank : Bank, optional
        The one the data set was made with, where its configuration does not name it.
    by_arm : bool
        Also every arm by itself.
    progress : callable, optional
        Called with a line of text before each step.

    Returns
    -------
    table : CeilingTable

    Raises
    ------
    ConfigError, DataError
        If its stars move or are reddened, or its bank cannot be found.

    Examples
    --------
    >>> options = starsmith.CeilingOptions(n_star=20, n_template=500)
    >>> starsmith.ceiling_of("data.zarr", "logg", options, bank=bank).row("all").n
    20
    """
    found = dataset if isinstance(dataset, Dataset) else open_recorded(dataset)
    stars = DatasetStars.of(found, bank)
    return stars.ceiling(target, options or CeilingOptions(), by_arm, progress)


def refuse_unbounded(prior: Prior, moving: bool = False) -> None:
    """Raise ConfigError for what stars may have and ceilings do not know."""
    if prior.moving and not moving:
        raise ConfigError("--rv: ceilings are those of stars at rest; drop --rv")
    if prior.reddened:
        raise ConfigError("--ebv: ceilings are those of stars without dust; drop --ebv")


def compare_predictions(
    path: Path,
    dataset: Dataset,
    target: str | None,
    options: CeilingOptions,
    progress: Progress | None = None,
) -> tuple[Comparison, CeilingTable, str]:
    """Set predictions beside the posterior mean of the same test stars.

    Parameters
    ----------
    path : Path
        ECSV that `speclearn evaluate` or `predict` wrote for the test split.
    dataset : Dataset
        The data set they are for.
    target : str, optional
        By default the first label that was predicted.
    options : CeilingOptions
    progress : callable, optional

    Returns
    -------
    comparison, table, model : Comparison, CeilingTable, str

    Raises
    ------
    DataError
        If the table is not of this data set's test stars, or a prediction is not finite.
    """
    found = read_predictions(path)
    target = target or found.labels[0]
    if target not in found.labels:
        raise DataError(
            f"{path}: holds no predictions of {target}, only of {', '.join(found.labels)}; "
            "choose another --target"
        )
    if found.dataset != dataset.digest or found.split != "test":
        raise DataError(
            f"{path}: predictions for split {found.split} of data set {found.dataset[:12]}, "
            f"expected split test of {dataset.digest[:12]}; predict that with "
            "`speclearn evaluate --out`"
        )
    chosen = DatasetStars.of(dataset).only(found.index, path)
    predicted = found.value[:, found.labels.index(target)]
    if n_bad := int(np.sum(~np.isfinite(predicted))):
        raise DataError(
            f"{path}: {n_bad} of {predicted.size} predictions of {target} are not finite; give "
            "every star a value (the mean of the training labels, where a fit failed)"
        )
    table = chosen.ceiling(target, options, progress=progress)
    return leak_verdict(found.index, predicted, table, options.snr_edges), table, found.model
