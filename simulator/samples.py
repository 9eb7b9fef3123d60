"""Sample files of the kinds a user brings: a population and targets of an exposure plan."""

from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.quantities import named

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["sample_population", "sample_targets"]

SOLAR_DWARF = (5772.0, 4.44)  # nominal solar Teff [K] (IAU 2015 B3) and log g
BRANCH = ((4000.0, 1.2), (4400.0, 1.6), (4700.0, 2.2), (5000.0, 3.0))
"""Teff [K] and log g along a red giant branch, drawn by eye: a sample file, not an isochrone."""


def sample_population(n_star: int = 500, seed: int = 0) -> "Table":
    """A mock field: half dwarfs of the thin disc, half giants of the halo.

    Parameters
    ----------
    n_star : int
    seed : int

    Returns
    -------
    table : astropy Table
        teff [K], logg [dex(cm s-2)], m_h [dex], mag [AB] and weight, one row a star: all that
        `specsim generate --population` reads, within the box of the demonstration grid.
    """
    rng = np.random.default_rng(seed)
    giant = np.arange(n_star) % 2 == 1
    along = rng.uniform(size=n_star)
    teff_giant, logg_giant = np.transpose(BRANCH)
    step = along * (len(BRANCH) - 1)
    teff = np.where(giant, np.interp(step, range(len(BRANCH)), teff_giant), 4400 + 1500 * along)
    logg = np.where(giant, np.interp(step, range(len(BRANCH)), logg_giant), 4.7 - 0.4 * along)
    m_h = np.where(giant, rng.normal(-1.4, 0.4, n_star), rng.normal(-0.2, 0.2, n_star))
    return _table(
        {
            "teff": teff + rng.normal(0.0, 30.0, n_star),
            "logg": logg + rng.normal(0.0, 0.05, n_star),
            "m_h": m_h.clip(-2.4, 0.5),
            "mag": rng.uniform(*named("mag").default, n_star),
            "weight": np.where(giant, 0.5, 1.0),  # the mock counts giants twice
        }
    )


def sample_targets() -> "Table":
    """Six stars to plan exposures for: from a dwarf like the Sun to a giant of the halo.

    Returns
    -------
    table : astropy Table
        name, teff [K], logg [dex(cm s-2)], m_h [dex], mag [AB]: what `specfisher plan --stars`
        reads; it ignores the name.
    """
    stars = [*BRANCH, (5200.0, 4.6), SOLAR_DWARF]
    n_star = len(stars)
    table = _table(
        {
            "teff": [teff for teff, _ in stars],
            "logg": [logg for _, logg in stars],
            "m_h": np.linspace(-1.6, 0.0, n_star).round(2),
            "mag": np.linspace(*named("mag").default, n_star).round(2),
        }
    )
    table.add_column([f"star {k}" for k in range(1, n_star + 1)], name="name", index=0)
    return table


def _table(columns: dict) -> "Table":
    from astropy.table import Table

    table = Table({name: np.round(values, 3) for name, values in columns.items()})
    for name in table.colnames:
        if name != "weight":
            table[name].unit = named(name).unit
    return table
