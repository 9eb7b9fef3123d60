"""Bounds over a plane of two labels, all else held."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.errors import ConfigError
from starsmith.fisher.information.bounds import fisher_information
from starsmith.fisher.stars import free_labels, stars_at
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import touches_filled

__all__ = ["PLANE", "SigmaMap", "sigma_map"]

PLANE = ("teff", "logg")


@dataclass(frozen=True)
class SigmaMap:
    """Bounds on one label over two.

    Attributes
    ----------
    target : str
    plane : tuple of str
        Labels along the first and second axis.
    first, second : float64, shapes (n_first,), (n_second,)
    held : dict of str to float
        The other labels, and the magnitude.
    fitted : tuple of str
        Labels and nuisances that are not known.
    sigma : float64, shape (n_first, n_second)
        Cramér-Rao bound [label]; NaN where the grid has a hole, inf where nothing can be told.
    rho, snr : float64, shape (n_first, n_second)
        What the nuisances leave of the information; median S/N per pixel.
    """

    target: str
    plane: tuple[str, str]
    first: np.ndarray
    second: np.ndarray
    held: dict[str, float]
    fitted: tuple[str, ...]
    sigma: np.ndarray
    rho: np.ndarray
    snr: np.ndarray


def _spread(prior: Prior, name: str, count: int) -> np.ndarray:
    low, high = prior.ranges[name]
    if low == high:
        raise ConfigError(
            f"{name} is fixed at {low:g}; a map needs a range of it, like {name} a..b"
        )
    return np.linspace(low, high, count)


def sigma_map(
    bank: Bank,
    prior: Prior,
    target: str = "logg",
    held: Mapping[str, float] | None = None,
    normalise: str = "free",
    shape: tuple[int, int] = (19, 17),
) -> SigmaMap:
    """Cramér-Rao bounds over effective temperature by surface gravity.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        Its ranges span the plane and say which labels are fitted; conditions are their middle.
    target : str
    held : mapping of str to float, optional
        Values of the other labels, or ``mag``; the middle of the prior where left out.
    normalise : str
    shape : tuple of int
        Points along teff, logg.

    Returns
    -------
    map : SigmaMap
    """
    held = dict(held or {})
    if both := sorted(set(held) & set(PLANE)):
        raise ConfigError(f"--at {both}: the map runs over these; hold other labels")
    names = free_labels(bank, prior, target)
    first, second = (_spread(prior, name, n) for name, n in zip(PLANE, shape, strict=True))
    mesh = dict(
        zip(PLANE, (m.ravel() for m in np.meshgrid(first, second, indexing="ij")), strict=True)
    )
    stars = stars_at(bank, prior, {**mesh, **held})
    exists = np.flatnonzero(~touches_filled(bank, stars.labels))
    if not exists.size:
        raise ConfigError(f"--at {held}: every star of the map leans on a hole of the grid")
    found = fisher_information(bank, stars.take(exists), target, names, normalise)
    if not np.isfinite(found.bounds.sigma2).any():
        raise ConfigError(f"--target {target}: no star of the map tells anything on it")
    sigma, rho, snr = np.full((3, len(stars)), np.nan)
    sigma[exists] = np.sqrt(found.bounds.sigma2)
    rho[exists], snr[exists] = found.bounds.rho, found.snr
    others = [name for name in bank.label_names if name not in PLANE]
    return SigmaMap(
        target=target,
        plane=PLANE,
        first=first,
        second=second,
        held={n: float(stars.label(n)[0]) for n in others} | {"mag": float(stars.mag[0])},
        fitted=found.names,
        sigma=sigma.reshape(shape),
        rho=rho.reshape(shape),
        snr=snr.reshape(shape),
    )
