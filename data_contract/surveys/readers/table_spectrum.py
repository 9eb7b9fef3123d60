"""A table of one spectrum, with what its metadata say of resolution and velocity."""

from collections.abc import Mapping

import numpy as np

from starsmith.data_contract.exchange.spectrum_file import read_spectrum
from starsmith.data_contract.surveys.spectrum import (
    FLUX_CGS,
    RELATIVE,
    SpectrumArm,
    SurveySpectrum,
    Velocity,
)
from starsmith.data_contract.tables.user_table import UserTable

__all__ = ["spectrum_of_table"]

WIDTHS = ("fwhm", "lsf_fwhm", "fwhm_angstrom")
POWERS = ("resolution", "resolving_power", "specres", "spec_rp")
VELOCITIES = ("rv", "vrad", "radial_velocity", "rv_km_s")


def spectrum_of_table(table: UserTable, air: bool = False) -> SurveySpectrum:
    """Spectrum of a table with a row per pixel; the star is called as its file.

    Metadata may tell ``fwhm`` [Å] or ``resolution`` (λ / FWHM), and ``rv`` [km/s] or ``frame =
    rest``.

    Raises
    ------
    DataError
        As `read_spectrum`.
    """
    seen = read_spectrum(table.path, air)
    order = np.argsort(seen.wave, kind="stable")
    width, power = _first(table.meta, WIDTHS), _first(table.meta, POWERS)
    wave = seen.wave[order]
    arm = SpectrumArm(
        wave=wave,
        flux=seen.flux[order],
        error=None if seen.error is None else seen.error[order],
        mask=seen.mask[order],
        fwhm=width if width > 0 else wave / power if power > 0 else None,
    )
    velocity = _first(table.meta, VELOCITIES)
    rest = str(table.meta.get("frame", "")).lower() == "rest"
    known = (
        Velocity(frame="rest") if rest else Velocity(rv=None if np.isnan(velocity) else velocity)
    )
    column = table.find("flux")
    named = table.path.name.removesuffix(".gz")
    return SurveySpectrum(
        survey="library",
        arms=(arm,),
        ids={"name": named.rpartition(".")[0] or named},
        unit=RELATIVE if column is None or table.unit(column) is None else FLUX_CGS,
        velocity=known,
    )


def _first(meta: Mapping[str, object], names: tuple[str, ...]) -> float:
    """First of some metadata that is a finite number, else NaN."""
    for name in names:
        try:
            value = float(meta[name])  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError):
            continue
        if np.isfinite(value):
            return value
    return np.nan
