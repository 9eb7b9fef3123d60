"""The noise terms that can be switched on, one a file; all that knows of noise reads this list."""

from starsmith.data_contract.noise.terms import (
    cosmic_rays,
    drift,
    flux_calibration,
    photon_counts,
    sky_floor,
    telluric,
)
from starsmith.data_contract.noise.terms.term import Switch, Term

__all__ = ["TERMS", "Switch", "Term"]

TERMS: tuple[Term, ...] = tuple(
    term.TERM for term in (sky_floor, telluric, flux_calibration, photon_counts, cosmic_rays, drift)
)
"""In the order of the options; random numbers do not depend on it."""
