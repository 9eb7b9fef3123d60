"""GridPosterior: the posterior mean over a bank's templates, the estimator to beat."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.fisher.posterior.posterior_mean import PosteriorOptions, posterior_mean
from starsmith.fisher.stars import prior_of
from starsmith.learners.estimators.forward_recipes import PosteriorRecipe

__all__ = ["PosteriorEstimator"]


@dataclass(frozen=True)
class PosteriorEstimator:
    """Mean and standard deviation of the labels given flux and error, amplitude unknown.

    It differs from the exact ceiling in one thing: the weights come from the error as it is
    handed over, not from one rebuilt with the observing conditions.

    Attributes
    ----------
    bank : Bank
    ranges : mapping of str to (min, max)
        The prior's: of every label, ``mag`` and condition.
    labels : tuple of str
    recipe : PosteriorRecipe
    """

    bank: Bank
    ranges: Mapping[str, tuple[float, float]]
    labels: tuple[str, ...]
    recipe: PosteriorRecipe

    def estimate(
        self, flux: np.ndarray, error: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Posterior mean and standard deviation, float64 (n_spec, n_label).

        Parameters
        ----------
        flux, error : float arrays, shape (n_spec, n_wave)
            Observed flux and honest 1σ [1e-17 erg/s/cm²/Å].
        mask : uint32 array, shape (n_spec, n_wave)
            0 = good.
        """
        options = PosteriorOptions(
            n_template=self.recipe.n_template,
            n_local=self.recipe.n_local,
            seed=self.recipe.seed,
        )
        sigma = np.where(mask == 0, error, np.inf)
        seen = np.where(mask == 0, flux, 0.0)
        found = posterior_mean(self.bank, prior_of(self.ranges), seen, sigma, options=options)
        columns = [found.label_names.index(name) for name in self.labels]
        return found.mean[:, columns], np.sqrt(found.var[:, columns])
