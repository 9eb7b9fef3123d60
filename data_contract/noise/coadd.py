"""Exposures of a coadd under conditions that drift from one to the next."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.noise.detector import Response, background, sky_counts
from starsmith.data_contract.noise.model import NoiseModel
from starsmith.data_contract.noise.noise_tables import NoiseTables
from starsmith.data_contract.quantities import CONDITIONS
from starsmith.data_contract.random import DrawKey, uniforms

__all__ = ["Coadd", "exposure_conditions", "mean_over_exposures", "widest_conditions"]

SEEING, ZENITH, EXP_TIME, EXP_COUNT = (
    CONDITIONS.index(name) for name in ("seeing", "zenith_angle", "exp_time", "exp_count")
)
SECONDS_PER_HOUR = 3600.0


def exposure_conditions(
    model: NoiseModel, conditions: np.ndarray, key: DrawKey
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Conditions of the first exposures of all spectra, then of the second, and so on.

    The seeing follows a sine of random phase and less than one period, the zenith angle a
    straight line in time of random slope (beyond the zenith it grows again); in the middle of
    the observation it is the one of ``conditions``. Field angle and moon stay.

    Parameters
    ----------
    model : NoiseModel
    conditions : float64 array, shape (n_spec, 8)
    key : DrawKey

    Yields
    ------
    rows : int64 array, shape (n_some,)
        Spectra that have this exposure.
    conditions : float64 array, shape (n_some, 8)
    """
    phase, turns, slope = uniforms(key, "drift", 3).T  # three numbers a star decide its night
    count = conditions[:, EXP_COUNT]
    for number in range(int(count.max(initial=0.0))):
        rows = np.flatnonzero(count > number)
        some = conditions[rows]
        place = (number + 0.5) / count[rows] - 0.5  # middle of the exposure, -1/2..1/2 of the whole
        wave = np.sin(2.0 * np.pi * (phase[rows] + turns[rows] * place))
        # from the middle of the coadd [h]
        hours = place * count[rows] * some[:, EXP_TIME] / SECONDS_PER_HOUR
        some[:, SEEING] *= 1.0 + model.seeing_drift * wave
        change = model.zenith_drift * (2.0 * slope[rows] - 1.0) * hours
        some[:, ZENITH] = np.abs(some[:, ZENITH] + change)  # through the zenith it grows again
        yield rows, some


def mean_over_exposures(
    evaluate: Callable[[np.ndarray], dict[str, np.ndarray]],
    model: NoiseModel,
    conditions: np.ndarray,
    key: DrawKey | None,
) -> dict[str, np.ndarray]:
    """Mean, over the exposures of each coadd, of what depends on the conditions.

    Parameters
    ----------
    evaluate : callable
        From conditions (n_some, 8) to named float64 arrays of shape (n_some, n_wave).
    model : NoiseModel
    conditions : float64 array, shape (n_spec, 8)
    key : DrawKey or None
        Needed where conditions drift.

    Returns
    -------
    mean : dict of str to float64 array, shape (n_spec, n_wave)
        ``evaluate(conditions)`` itself where nothing drifts.

    Raises
    ------
    ValueError
        If conditions drift and there is no key.
    """
    if not model.drifts:
        return evaluate(conditions)
    if key is None:
        raise ValueError("conditions that drift need the spectra's key")
    total: dict[str, np.ndarray] = {}
    for rows, some in exposure_conditions(model, conditions, key):
        for name, values in evaluate(some).items():
            total.setdefault(name, np.zeros((len(conditions), values.shape[1])))
            total[name][rows] += values  # stars with fewer exposures drop out
    count = conditions[:, EXP_COUNT, None]
    return {name: values / count for name, values in total.items()}


def widest_conditions(model: NoiseModel, conditions: np.ndarray) -> np.ndarray:
    """Conditions as far as a drift can take them, down in the even rows and up in the odd.

    Parameters
    ----------
    model : NoiseModel
    conditions : float64 array, shape (n_spec, 8)

    Returns
    -------
    widest : float64 array, shape (2 n_spec, 8)
    """
    widest = np.repeat(conditions, 2, axis=0)
    sign = np.tile([-1.0, 1.0], len(conditions))  # either end of the drift
    hours = 0.5 * widest[:, EXP_COUNT] * widest[:, EXP_TIME] / SECONDS_PER_HOUR
    widest[:, SEEING] *= 1.0 + model.seeing_drift * sign
    widest[:, ZENITH] = np.abs(widest[:, ZENITH] + sign * model.zenith_drift * hours)
    return widest


@dataclass(frozen=True)
class Coadd:
    """What all exposures of each spectrum record together, per exposure.

    Electrons are added up, as the calculator's number of exposures does: every exposure counts
    by the light it received. The coadd of drifting exposures is then that of as many equal
    ones with the mean sensitivity and the mean background.

    Attributes
    ----------
    response : Response
    sky : float64 array, shape (n_spec, n_wave), or None
        [electron per exposure], where the sky residual is correlated.
    photons : float64 array, shape (n_spec, n_wave), or None
        Of sky, stray light and dark current [electron per exposure], where they are counted.
    """

    response: Response
    sky: np.ndarray | None = None
    photons: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        tables: NoiseTables,
        conditions: np.ndarray,
        model: NoiseModel,
        key: DrawKey | None,
    ) -> "Coadd":
        """Evaluate tables for conditions (n_spec, 8); only a drift needs the key."""
        tables = model.applied(tables)
        if not model.drifts:
            return cls._of_equal(tables, conditions, model)
        mean = mean_over_exposures(
            lambda some: cls._of_equal(tables, some, model)._arrays(), model, conditions, key
        )
        first = Response.of(tables, conditions)
        response = replace(
            first, sensitivity=mean.pop("sensitivity"), background=mean.pop("background")
        )
        return cls(response, **mean)

    @classmethod
    def _of_equal(cls, tables: NoiseTables, conditions: np.ndarray, model: NoiseModel) -> "Coadd":
        sky = sky_counts(tables, conditions) if any(model.active("modes")) else None
        photons = _photons(tables, conditions) if model.counts == "poisson" else None
        return cls(Response.of(tables, conditions), sky, photons)

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {
            "sensitivity": self.response.sensitivity,
            "background": self.response.background,
            "sky": self.sky,
            "photons": self.photons,
        }
        return {name: values for name, values in arrays.items() if values is not None}


def _photons(tables: NoiseTables, conditions: np.ndarray) -> np.ndarray:
    """Electrons of sky, stray light and dark current: the background's variance less the rest."""
    variance = background(tables.without_floor, conditions) / tables.at_pixels("variance_factor")
    return np.maximum(variance - tables.at_pixels("read_variance"), 0.0)
