"""GridPosterior: the posterior mean over a bank's templates, the estimator to beat."""

from dataclasses import dataclass

import numpy as np

from starsmith.fisher.posterior.posterior_mean import PosteriorOptions, posterior_mean
from starsmith.fisher.stars import prior_of
from starsmith.learners.estimators.forward_model import BankEstimator, forward_kind
from starsmith.learners.recipe import PosteriorRecipe

__all__ = ["KIND", "PosteriorEstimator"]


@dataclass(frozen=True)
class PosteriorEstimator(BankEstimator):
    """Mean and standard deviation of the labels given flux and error, amplitude unknown.

    It differs from the exact ceiling in one thing: the weights come from the error as it is
    handed over, not from one rebuilt with the observing conditions.
    """

    def compare(
        self, seen: np.ndarray, sigma: np.ndarray
    ) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        """Posterior mean and standard deviation of every label."""
        options = PosteriorOptions(
            n_template=self.recipe.n_template,
            n_local=self.recipe.n_local,
            seed=self.recipe.seed,
        )
        found = posterior_mean(self.bank, prior_of(self.ranges), seen, sigma, options=options)
        return found.label_names, found.mean, np.sqrt(found.var)


KIND = forward_kind(PosteriorEstimator, PosteriorRecipe, uses_seed=True)
