"""What the noise consists of: the variance of every pixel by cause, and the names of the causes."""

from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.noise.coadd import mean_over_exposures
from starsmith.data_contract.noise.detector import background, sensitivity
from starsmith.data_contract.noise.model import NoiseModel
from starsmith.data_contract.noise.noise_tables import NoiseTables
from starsmith.data_contract.noise.terms import TERMS as SWITCHED
from starsmith.data_contract.noise.view import CALCULATOR
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.data_contract.random import DrawKey

__all__ = ["CALCULATOR_TERMS", "TERMS", "NoiseBudget", "background_terms", "noise_budget"]

CALCULATOR_TERMS = ("object", "sky", "moon", "floor", "stray", "dark", "read")
"""Where the calculator's variance comes from: photons of the star, of the dark sky and of the
moonlit one, residual of sky subtraction, stray light, dark current, read noise."""

TERMS = (*CALCULATOR_TERMS, *(term.budget for term in SWITCHED if term.budget))
"""Every term a noise model can have. ``floor`` is the part of the sky residual that is independent
from pixel to pixel, ``floor_correlated`` the rest of it."""

SCALE_OF_TERM = {
    "floor": "floor_fraction",
    "stray": "stray_fraction",
    "dark": "dark_rate",
    "read": "read_variance",
}


@dataclass(frozen=True, kw_only=True)
class NoiseBudget:
    """Variance of spectra by cause.

    Attributes
    ----------
    terms : dict of str to float64 array
        [electron² per exposure], in the order of `TERMS`: the calculator's, 0 where switched
        off, and the others the noise model has. Shape (n_spec, n_wave); those that do not
        depend on the flux have the length of ``conditions``.
    sensitivity : float64 array, shape (n_spec, n_wave)
        [electron per exposure / (1e-17 erg/s/cm²/Å)].
    n_exposure : float64 array, shape (n_spec, 1)
    """

    terms: dict[str, np.ndarray]
    sensitivity: np.ndarray
    n_exposure: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """All terms together, float64 (n_spec, n_wave) [electron² per exposure]."""
        return sum(self.terms.values())

    def fractions(self) -> dict[str, np.ndarray]:
        """Share of each term in the variance; they add up to 1 in every pixel."""
        variance = self.variance
        return {name: term / variance for name, term in self.terms.items()}

    def sigma(self) -> dict[str, np.ndarray]:
        """Standard deviation of a coadd by cause [1e-17 erg/s/cm²/Å].

        The squares add up to that of `starsmith.data_contract.noise.true_error` with the same
        arguments.
        """
        # electron per exposure to flux of the mean
        scale = np.sqrt(self.n_exposure) * self.sensitivity
        return {name: np.sqrt(term) / scale for name, term in self.terms.items()}


def noise_budget(
    tables: NoiseTables,
    flux: np.ndarray,
    conditions: np.ndarray,
    model: NoiseModel = CALCULATOR,
    key: DrawKey | None = None,
) -> NoiseBudget:
    """Split the variance of noisy spectra into its terms.

    Parameters
    ----------
    tables : NoiseTables
    flux : float array, shape (n_spec, n_wave)
        Noiseless; negative counts as none [1e-17 erg/s/cm²/Å].
    conditions : float64 array, shape (n_spec, 8) or (1, 8)
        Columns in `CONDITIONS` order.
    model : NoiseModel, optional
    key : DrawKey, optional
        Needed where conditions drift; the terms are then means over the exposures.

    Returns
    -------
    budget : NoiseBudget
        In pixels that no cosmic ray hit.

    Raises
    ------
    DataError
        If a condition lies outside the tables.
    """
    applied = model.applied(tables)

    def evaluate(some: np.ndarray) -> dict[str, np.ndarray]:
        return {"sensitivity": sensitivity(applied, some), **background_terms(applied, some)}

    means = mean_over_exposures(evaluate, model, conditions, key)
    electrons = means.pop("sensitivity")
    n_exposure = conditions[:, CONDITIONS.index("exp_count"), None]
    signal = electrons * np.asarray(flux, dtype=np.float64)  # [electron per exposure]
    photons = tables.at_pixels("sample_factor") * np.maximum(signal, 0.0)
    terms = {"object": photons, **means}
    for term, _ in model.active("modes"):
        modes = np.square(term.modes(tables, conditions)).sum(axis=2)
        modes *= n_exposure * np.square(electrons)  # flux² of the mean to electron² per exposure
        # taken out of the floor: the sum stays
        terms[term.budget] = np.minimum(modes, terms["floor"])
        terms["floor"] = terms["floor"] - terms[term.budget]
    shapes = model.shapes(tables)
    for term, _ in model.active("shapes"):
        variance = np.square(shapes[term.stream]).sum(axis=0)
        terms[term.budget] = n_exposure * np.square(signal) * variance
    return NoiseBudget(terms=terms, sensitivity=electrons, n_exposure=n_exposure)


def background_terms(tables: NoiseTables, conditions: np.ndarray) -> dict[str, np.ndarray]:
    """Object-free variance by cause.

    Each term is what `background` grows by when that cause is switched on, so that the terms
    add up to it whatever its formula.

    Parameters
    ----------
    tables : NoiseTables
    conditions : float64 array, shape (n_spec, 8)
        Columns in `CONDITIONS` order.

    Returns
    -------
    terms : dict of str to float64 array, shape (n_spec, n_wave)
        [electron² per exposure], all of `CALCULATOR_TERMS` but the object.
    """
    by_arm = [_arm_background_terms(own, conditions) for own in tables.by_arm]
    return {name: np.concatenate([arm[name] for arm in by_arm], axis=1) for name in by_arm[0]}


def _arm_background_terms(tables: NoiseTables, conditions: np.ndarray) -> dict[str, np.ndarray]:
    off = dict.fromkeys(SCALE_OF_TERM.values(), 0.0)
    moonless = conditions.copy()
    moonless[:, CONDITIONS.index("moon_phase")] = 0.0  # new moon
    dark_sky = background(replace(tables, **off), moonless)
    so_far = background(replace(tables, **off), conditions)
    terms = {"sky": dark_sky, "moon": so_far - dark_sky}
    for term, scale in SCALE_OF_TERM.items():
        del off[scale]
        with_term = background(replace(tables, **off), conditions)
        terms[term] = with_term - so_far  # terms switched on one by one: they add up exactly
        so_far = with_term
    return terms
