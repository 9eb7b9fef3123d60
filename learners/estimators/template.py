"""Template fitting: the labels of the single template that fits best."""

import logging
from dataclasses import dataclass

import numpy as np

from starsmith.fisher.posterior.best_fit import FitOptions, best_fit
from starsmith.fisher.stars import prior_of
from starsmith.learners.estimators.forward_model import BankEstimator, forward_kind
from starsmith.learners.recipe import TemplateRecipe

__all__ = ["KIND", "TemplateEstimator"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TemplateEstimator(BankEstimator):
    """χ² fit with free amplitude: every second node, then Nelder-Mead on the spline.

    Of the prior only the label ranges matter: the search stays inside.
    """

    def compare(
        self, seen: np.ndarray, sigma: np.ndarray
    ) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        """Best-fit labels and their Cramér-Rao 1σ; NaN where the fit failed."""
        options = FitOptions(
            every=self.recipe.every,
            iterations=self.recipe.iterations,
            tolerance=self.recipe.tolerance,
            seed=self.recipe.seed,
        )
        found = best_fit(self.bank, prior_of(self.ranges), seen, sigma, options)
        if found.failed.any():
            logger.warning(
                "template: %d of %d fits failed, %d ended on the edge of the grid",
                found.failed.sum(),
                found.failed.size,
                found.at_edge.sum(),
            )
        return found.label_names, found.labels, found.sigma


KIND = forward_kind(TemplateEstimator, TemplateRecipe, uses_seed=False)
