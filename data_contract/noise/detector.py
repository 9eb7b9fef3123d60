"""What light becomes on the detector: electrons, and the variance of every pixel's count.

The closed form is that of the PFS exposure-time calculator (Subaru-PFS/
spt_ExposureTimeCalculator, etc/noise.py and snr.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.arms import ArmSpan
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.kernels.noise import (
    Light,
    Quiet,
    fill_background,
    fill_error,
    fill_expected_error,
    fill_observation,
    fill_sensitivity,
    fill_sky,
    smooth_rows,
)
from starsmith.data_contract.kernels.noise_terms import Distortion, SkyResidual
from starsmith.data_contract.kernels.order import median_and_p95
from starsmith.data_contract.kernels.signal_to_noise import fill_signal_to_noise
from starsmith.data_contract.noise.moonlight import is_moonlit, moon_scattering
from starsmith.data_contract.noise.noise_tables import NoiseTables, bracket
from starsmith.data_contract.quantities import CONDITIONS

__all__ = [
    "ERROR_KINDS",
    "Response",
    "background",
    "expected_error",
    "expected_snr",
    "observation",
    "sensitivity",
    "sky_counts",
]

ERROR_KINDS = ("observed", "smooth")  # of the pixel as seen, or of its running mean
SMOOTH_HALF_WIDTH = 400  # pixels; 800 hold no line, and 11 means of 4096 only the colour


def _named(tables: NoiseTables, conditions: np.ndarray) -> dict[str, np.ndarray]:
    """Conditions by name; DataError for moonlight the tables do not know."""
    columns = {name: np.ascontiguousarray(conditions[:, k]) for k, name in enumerate(CONDITIONS)}
    moonlit = is_moonlit(columns)
    if tables.moon_rate is None and np.any(moonlit):
        raise DataError(
            f"moon_phase {columns['moon_phase'][moonlit][0]:g}: these noise tables hold a dark "
            "sky only; set moon_phase to 0, or render the bank again"
        )
    return columns


def sensitivity(tables: NoiseTables, conditions: np.ndarray) -> np.ndarray:
    """Electrons per exposure for unit flux, in every pixel.

    Parameters
    ----------
    tables : NoiseTables
    conditions : float64 array, shape (n_spec, 8)
        Columns in `CONDITIONS` order.

    Returns
    -------
    sensitivity : float64 array, shape (n_spec, n_wave)
        [electron per exposure / (1e-17 erg/s/cm²/Å)].

    Raises
    ------
    DataError
        If a condition lies outside the tables.
    """
    out = np.empty((len(conditions), tables.wave.size))
    named = _named(tables, conditions)
    for arm, own in zip(tables.arms, tables.by_arm, strict=True):
        fill_sensitivity(out[:, arm.pixels], _light(own, named))
    return out


def _light(tables: NoiseTables, named: dict[str, np.ndarray]) -> Light:
    """Of one arm."""
    field, field_fraction = bracket(tables.field_angle, named["field_angle"], "field_angle")
    # plane-parallel, as in the calculator, for the object
    airmass = 1.0 / np.cos(np.radians(named["zenith_angle"]))
    blurred = named["seeing"]
    if tables.seeing_airmass_power is not None:
        blurred = blurred * fixed.power(airmass, tables.seeing_airmass_power)
    seeing, seeing_fraction = bracket(tables.seeing, blurred, "seeing")
    energy = tables.encircled_energy  # (n_seeing, n_field, n_knot)
    by_field = [
        energy[seeing + step, field]
        + field_fraction[:, None]
        * (energy[seeing + step, field + 1] - energy[seeing + step, field])
        for step in (0, 1)
    ]
    # bilinear in seeing and field angle, (n_spec, n_knot)
    aperture = by_field[0] + seeing_fraction[:, None] * (by_field[1] - by_field[0])
    # loss in the air [mag] at the knots
    smooth = aperture * fixed.power(10.0, -0.4 * tables.extinction * airmass[:, None])
    area = np.interp(named["field_angle"], tables.field_angle, tables.collecting_area)
    first_pixel, fraction = tables.knots
    return Light(
        tables.conversion,
        first_pixel,
        fraction,
        smooth,
        exposure=area * named["exp_time"],  # [m² s]
        n_exposure=named["exp_count"],
        sample_factor=float(tables.sample_factor),
    )


def background(tables: NoiseTables, conditions: np.ndarray) -> np.ndarray:
    """Variance per exposure that is there without the star: sky, floor, stray, dark, read.

    Moonlight is sky: its floor and its stray light are in proportion.

    Returns
    -------
    background : float64 array, shape (n_spec, n_wave)
        [electron² per exposure]. Arguments and errors as in `sensitivity`.
    """
    out = np.empty((len(conditions), tables.wave.size))
    named = _named(tables, conditions)
    for arm, own in zip(tables.arms, tables.by_arm, strict=True):
        fill_background(out[:, arm.pixels], _quiet(own, named))
    return out


def sky_counts(tables: NoiseTables, conditions: np.ndarray) -> np.ndarray:
    """Electrons of the sky, moonlight included, in every pixel.

    Returns
    -------
    sky : float64 array, shape (n_spec, n_wave)
        [electron per exposure]. Arguments and errors as in `sensitivity`.
    """
    out = np.empty((len(conditions), tables.wave.size))
    named = _named(tables, conditions)
    for arm, own in zip(tables.arms, tables.by_arm, strict=True):
        fill_sky(out[:, arm.pixels], _quiet(own, named))
    return out


def _quiet(tables: NoiseTables, named: dict[str, np.ndarray]) -> Quiet:
    """Of one arm."""
    zenith, fraction = bracket(tables.zenith_angle, named["zenith_angle"], "zenith_angle")
    area = np.interp(named["field_angle"], tables.field_angle, tables.collecting_area)
    fibre = np.interp(named["field_angle"], tables.field_angle, tables.fibre_area)
    excess = tables.sample_factor  # of all that is counted in photons or dark electrons
    scalars = np.empty((zenith.size, 4))
    scalars[:, 0] = tables.variance_factor * excess
    # the floor does not average down: times √n before the mean over n
    scalars[:, 1] = tables.floor_fraction * np.sqrt(named["exp_count"] / excess)
    scalars[:, 2] = tables.stray_fraction
    # [electron per exposure and pixel]
    scalars[:, 3] = tables.dark_rate * named["exp_time"] + tables.read_variance / excess
    exposure = area * fibre * named["exp_time"]  # [m² arcsec² s]
    moonlight = _moonlight(tables, named)
    return Quiet(tables.sky_rate, zenith, fraction, exposure, *moonlight, scalars)


def _moonlight(tables: NoiseTables, named: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rates of the moon's tables, and the brightness (n_spec, 2) they are to be scaled by."""
    if tables.moon_rate is None:
        return np.zeros((2, tables.wave.size)), np.zeros((named["moon_phase"].size, 2))
    return tables.moon_rate, moon_scattering(named, tables.moon_extinction)


@dataclass(frozen=True)
class Response:
    """What a flux becomes on the detector under given conditions.

    Attributes
    ----------
    sensitivity : float64, shape (n_spec, n_wave)
        [electron per exposure / (1e-17 erg/s/cm²/Å)].
    background : float64, shape (n_spec, n_wave)
        Object-free variance [electron² per exposure].
    n_exposure : float64, shape (n_spec,)
    arms : tuple of (ArmSpan, float)
        Every arm, and the excess of its photon noise.
    """

    sensitivity: np.ndarray
    background: np.ndarray
    n_exposure: np.ndarray
    arms: tuple[tuple[ArmSpan, float], ...]

    @classmethod
    def of(cls, tables: NoiseTables, conditions: np.ndarray) -> "Response":
        """Evaluate the tables for conditions of shape (n_spec, 8)."""
        return cls(
            sensitivity=sensitivity(tables, conditions),
            background=background(tables, conditions),
            n_exposure=np.ascontiguousarray(conditions[:, CONDITIONS.index("exp_count")]),
            arms=tuple(
                (arm, own.sample_factor)
                for arm, own in zip(tables.arms, tables.by_arm, strict=True)
            ),
        )

    def error(self, flux: np.ndarray) -> np.ndarray:
        """One-sigma error of a coadd, float32 like ``flux`` (n_spec, n_wave)."""
        flux = np.ascontiguousarray(flux, dtype=np.float32)
        out = np.empty(flux.shape, dtype=np.float32)
        for arm, sample_factor in self.arms:
            parts = [x[:, arm.pixels] for x in (out, flux, self.sensitivity, self.background)]
            fill_error(*parts, sample_factor, self.n_exposure)
        return out

    def honest_error(self, flux: np.ndarray, kind: str) -> np.ndarray:
        """Error from the noisy flux alone; see the function of that name."""
        if _half_width(kind):
            running = np.empty(flux.shape)
            for arm, _ in self.arms:
                own = flux[:, arm.pixels].astype(np.float64)
                smooth_rows(running[:, arm.pixels], own, SMOOTH_HALF_WIDTH)
            flux = running  # counts of neighbours in place of the pixel's own
        return self.error(flux)


def _half_width(kind: str) -> int:
    """Of the means that count a star's photons [pixel]; 0 where every pixel counts its own."""
    if kind not in ERROR_KINDS:
        raise ValueError(f"error kind {kind!r} is not one of {ERROR_KINDS}")
    return SMOOTH_HALF_WIDTH if kind == "smooth" else 0


def _by_arm(tables: NoiseTables, conditions: np.ndarray) -> Iterator[tuple[slice, Light, Quiet]]:
    """Pixels of each arm, and what the kernels that work in one pass ask for."""
    named = _named(tables, conditions)
    for arm, own in zip(tables.arms, tables.by_arm, strict=True):
        yield arm.pixels, _light(own, named), _quiet(own, named)


def expected_error(
    tables: NoiseTables, flux: np.ndarray, conditions: np.ndarray, kind: str = "observed"
) -> np.ndarray:
    """One-sigma error of a coadd; the bits of a `Response`, in a third of the time.

    Parameters
    ----------
    tables : NoiseTables
    flux : float array, shape (n_spec, n_wave)
        Whose photons are counted [1e-17 erg/s/cm²/Å].
    conditions : float64 array, shape (n_spec, 8)
    kind : str
        One of `ERROR_KINDS`.

    Returns
    -------
    error : float32 array, shape (n_spec, n_wave)
        [1e-17 erg/s/cm²/Å].

    Raises
    ------
    DataError
        If a condition lies outside the tables.
    ValueError
        If ``kind`` is unknown.
    """
    half_width = _half_width(kind)
    flux = np.ascontiguousarray(flux, dtype=np.float32)
    error = np.empty(flux.shape, dtype=np.float32)
    for pixels, light, quiet in _by_arm(tables, conditions):
        fill_expected_error(error[:, pixels], flux[:, pixels], light, quiet, half_width)
    return error


def expected_snr(tables: NoiseTables, flux: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    """Median and 95th percentile over pixels of flux over `expected_error`, float64 (n_spec, 2).

    Parameters and errors are those of that function.
    """
    flux = np.ascontiguousarray(flux, dtype=np.float32)
    snr = np.empty((len(flux), 2))
    if len(tables.arms) > 1:
        median_and_p95(flux, expected_error(tables, flux, conditions), snr)
    else:
        ((_, light, quiet),) = _by_arm(tables, conditions)
        fill_signal_to_noise(snr, flux, light, quiet)
    return snr


def observation(
    tables: NoiseTables,
    flux_model: np.ndarray,
    conditions: np.ndarray,
    out: tuple[np.ndarray, np.ndarray | None, np.ndarray | None],
    kind: str = "observed",
    added: Sequence[tuple[SkyResidual | None, Distortion | None]] | None = None,
) -> None:
    """Observe a noiseless flux; parameters and errors as in `expected_error`.

    Parameters
    ----------
    out : (flux, error, sigma)
        Float32 arrays of shape (n_spec, n_wave): standard normals, overwritten with the observed
        flux; where its honest error goes, and the true one. The latter two may be None.
    added : sequence of (SkyResidual or None, Distortion or None), optional
        Further errors of each arm.
    """
    half_width = _half_width(kind)
    flux_model = np.ascontiguousarray(flux_model, dtype=np.float32)
    added = added or [(None, None)] * len(tables.arms)
    for (pixels, light, quiet), more in zip(_by_arm(tables, conditions), added, strict=True):
        parts = [None if x is None else x[:, pixels] for x in (*out, flux_model)]
        fill_observation(*parts, light, quiet, half_width, *more)
