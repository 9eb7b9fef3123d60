"""Noise models: which terms the noise of an observation has, beyond the calculator's own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, make_dataclass
from typing import Any

import numpy as np

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.noise import terms
from starsmith.data_contract.noise.noise_tables import NoiseTables

__all__ = ["FOR_SKY", "NoiseModel"]

Entries: Any = make_dataclass(
    "Entries",
    [
        (switch.name, type(switch.default), switch.default)
        for term in terms.TERMS
        for switch in term.switches
    ],
    frozen=True,
    kw_only=True,
)
"""One field per switch of every term."""


FOR_SKY = {"sky_floor": "correlated", "telluric_residual": 0.05, "flux_calibration": 0.03}
"""Entries of noise for models meant for real spectra; sizes are assumed."""


@dataclass(frozen=True, kw_only=True)
class NoiseModel(Entries):
    """Switches of the noise terms; the default is the PFS exposure-time calculator's noise.

    Attributes
    ----------
    sky_floor : str
        What is left of the sky: ``independent`` from pixel to pixel, as in the calculator;
        ``correlated``, of the same variance; or ``none``.
    telluric_residual : float
        Rms fractional error of the optical depth that telluric lines are corrected by.
    flux_calibration : float
        Rms fractional error of the flux scale, smooth in wavelength.
    counts : str
        Photon noise: ``gaussian`` or ``poisson``.
    cosmic_rays : float
        Hits on the detector [cm⁻² s⁻¹].
    seeing_drift : float
        Largest fractional change of the seeing between the exposures of a coadd.
    zenith_drift : float
        Largest change of the zenith angle in time [deg/h].
    """

    def __post_init__(self):
        for term in terms.TERMS:
            for switch in term.switches:
                if fault := switch.fault(getattr(self, switch.name)):
                    raise ConfigError(fault)

    @property
    def plain(self) -> bool:
        """Whether this is the calculator's noise, nothing added and nothing left out."""
        return self == type(self)()

    @property
    def in_one_pass(self) -> bool:
        """Whether every exposure counts the same everywhere, and by a normal law."""
        return not (self.drifts or self.loses or self.counts == "poisson")

    @property
    def drifts(self) -> bool:
        """Whether conditions differ between the exposures of a coadd."""
        return self.seeing_drift > 0.0 or self.zenith_drift > 0.0

    @property
    def loses(self) -> bool:
        """Whether pixels lose exposures."""
        return any(self.active("lost"))

    def active(self, hook: str) -> Iterator[tuple[terms.Term, str | float]]:
        """Terms that are switched on and have a hook, with the value of their first switch."""
        for term in terms.TERMS:
            if getattr(term, hook) is None:
                continue
            values = [getattr(self, switch.name) for switch in term.switches]
            if hook == "modes" and term.at not in (None, values[0]):
                continue
            if any(v != s.default for v, s in zip(values, term.switches, strict=True)):
                yield term, values[0]

    def applied(self, tables: NoiseTables) -> NoiseTables:
        """Noise tables with the terms that are switched off left out."""
        for term, value in self.active("applied"):
            tables = term.applied(tables, value)
        return tables

    def shapes(self, tables: NoiseTables) -> dict[str, np.ndarray]:
        """Fractional errors of the flux, as shapes for standard normal amplitudes.

        Returns
        -------
        shapes : dict of str to float64 array, shape (n_mode, n_wave)
            By random stream; only those that the model switches on.
        """
        on = list(self.active("shapes"))
        key = "distortion_shapes", *((term.stream, size) for term, size in on)
        if key not in tables.remembered:
            tables.remembered[key] = {term.stream: term.shapes(tables, size) for term, size in on}
        return tables.remembered[key]

    def recorded(self) -> dict:
        """Entries that differ from the default; empty for the calculator's noise."""
        default = type(self)()
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: v for name, v in values.items() if v != getattr(default, name)}

    @classmethod
    def from_recorded(cls, record: Mapping) -> "NoiseModel":
        """Inverse of `recorded`.

        Raises
        ------
        DataError
            If it has entries this version does not know, or impossible values.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(record) - known):
            raise DataError(f"noise model: entries {unknown} are unknown; use a newer starsmith")
        try:
            return cls(**record)
        except (ConfigError, TypeError) as problem:
            raise DataError(f"noise model: {problem}") from None
