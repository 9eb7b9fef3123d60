"""Noise models: which terms the noise of an observation has, beyond the calculator's own."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.noise.noise_tables import NoiseTables

__all__ = ["COUNTS", "SKY_FLOORS", "NoiseModel"]

SKY_FLOORS = ("independent", "correlated", "none")
COUNTS = ("gaussian", "poisson")
LARGEST = {
    "telluric_residual": 0.5,
    "flux_calibration": 0.5,
    "cosmic_rays": 1.0,
    "seeing_drift": 0.5,
    "zenith_drift": 15.0,
}
"""Largest value of each amplitude; all are at least 0."""


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True, kw_only=True)
class NoiseModel:
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

    sky_floor: str = "independent"
    telluric_residual: float = 0.0
    flux_calibration: float = 0.0
    counts: str = "gaussian"
    cosmic_rays: float = 0.0
    seeing_drift: float = 0.0
    zenith_drift: float = 0.0

    def __post_init__(self):
        for name, known in (("sky_floor", SKY_FLOORS), ("counts", COUNTS)):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{_flag(name)} {getattr(self, name)} is not one of {list(known)}"
                )
        for name, most in LARGEST.items():
            if not 0.0 <= getattr(self, name) <= most:
                raise ConfigError(f"{_flag(name)} {getattr(self, name):g} is outside 0..{most:g}")

    @property
    def plain(self) -> bool:
        """Whether this is the calculator's noise, nothing added and nothing left out."""
        return self == NoiseModel()

    @property
    def drifts(self) -> bool:
        """Whether conditions differ between the exposures of a coadd."""
        return self.seeing_drift > 0.0 or self.zenith_drift > 0.0

    @property
    def distorts(self) -> bool:
        """Whether the flux itself carries errors in proportion to it."""
        return self.telluric_residual > 0.0 or self.flux_calibration > 0.0

    def applied(self, tables: NoiseTables) -> NoiseTables:
        """Noise tables with the terms that are switched off left out."""
        if self.sky_floor != "none":
            return tables
        return replace(tables, floor_fraction=0.0 * tables.floor_fraction)

    def recorded(self) -> dict:
        """Entries that differ from the default; empty for the calculator's noise."""
        default = NoiseModel()
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
