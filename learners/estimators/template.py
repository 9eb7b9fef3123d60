"""Template fitting: the labels of the single template that fits best."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.fisher.posterior.best_fit import FitOptions, best_fit
from starsmith.fisher.stars import prior_of
from starsmith.learners.estimators.forward_recipes import TemplateRecipe

__all__ = ["TemplateEstimator"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TemplateEstimator:
    """χ² fit with free amplitude: every second node, then Nelder-Mead on the spline.

    Attributes
    ----------
    bank : Bank
    ranges : mapping of str to (min, max)
        The prior's; only its label ranges matter: the search stays inside.
    labels : tuple of str
    recipe : TemplateRecipe
    """

    bank: Bank
    ranges: Mapping[str, tuple[float, float]]
    labels: tuple[str, ...]
    recipe: TemplateRecipe

    def estimate(
        self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Best-fit labels and their Cramér-Rao 1σ, float64 (n_spec, n_label); NaN if it failed.

        Parameters
        ----------
        flux, error : float arrays, shape (n_spec, n_wave)
            Observed flux and honest 1σ [1e-17 erg/s/cm²/Å].
        mask : uint32 array, shape (n_spec, n_wave)
            0 = good.
        """
        found = best_fit(
            self.bank,
            prior_of(self.ranges),
            np.where(mask == 0, flux, 0.0),
            np.where(mask == 0, error, np.inf),
            FitOptions(
                every=self.recipe.every,
                iterations=self.recipe.iterations,
                tolerance=self.recipe.tolerance,
                seed=self.recipe.seed,
            ),
        )
        if found.failed.any():
            logger.warning(
                "template: %d of %d fits failed, %d ended on the edge of the grid",
                found.failed.sum(),
                found.failed.size,
                found.at_edge.sum(),
            )
        columns = [found.label_names.index(name) for name in self.labels]
        return found.labels[:, columns], found.sigma[:, columns]
