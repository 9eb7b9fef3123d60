"""Recipes of the estimators that compare spectra with templates of a bank."""

from dataclasses import dataclass

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.random import check_seed

__all__ = ["PosteriorRecipe", "TemplateRecipe"]


def _positive(**values: float) -> None:
    for key, value in values.items():
        if not value > 0:
            raise ConfigError(f"recipe key {key} = {value!r}; expected a positive number")


@dataclass(frozen=True, kw_only=True)
class PosteriorRecipe:
    """How the posterior mean over a bank's templates is computed.

    Attributes
    ----------
    n_template : int
        Prior draws every spectrum is compared with.
    n_local : int
        Draws around a spectrum that too few of those resemble; 0 for none.
    seed : int
        Of the templates.
    """

    n_template: int = 40_000
    n_local: int = 512
    seed: int = 0

    def __post_init__(self):
        _positive(n_template=self.n_template, n_local=self.n_local + 1)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class TemplateRecipe:
    """How the single best template is found.

    Attributes
    ----------
    every : int
        The coarse grid takes every second (third, ...) node along each axis.
    iterations : int
        Most steps of the simplex; a fit that needs more has failed.
    tolerance : float
        Size of the simplex at which a fit has converged [node spacings].
    seed : int
        Of the spectra the reduced basis is built from.
    """

    every: int = 2
    iterations: int = 200
    tolerance: float = 1e-3
    seed: int = 0

    def __post_init__(self):
        _positive(every=self.every, iterations=self.iterations, tolerance=self.tolerance)
        check_seed(self.seed)
