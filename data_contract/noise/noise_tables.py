"""Noise tables: what an instrument does to photons, as banks and data sets carry it."""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from starsmith.data_contract.arms import ArmSpan, arm_named, arm_spans
from starsmith.data_contract.errors import DataError

__all__ = ["PER_ARM", "NoiseTables", "bracket"]

MOON_TABLES = ("moon_rate", "moon_extinction")
OPTIONAL_TABLES = (*MOON_TABLES, "arm_edge", "seeing_airmass_power")
PER_ARM = (
    "read_variance",
    "dark_rate",
    "stray_fraction",
    "floor_fraction",
    "variance_factor",
    "sample_factor",
)
"""Figures of a detector: one number, or one per arm."""

SHAPES = {
    "wave": ("wavelength",),
    "conversion": ("wavelength",),
    "knot_wave": ("knot",),
    "extinction": ("knot",),
    "field_angle": ("field",),
    "collecting_area": ("field",),
    "fibre_area": ("field",),
    "seeing": ("seeing",),
    "encircled_energy": ("seeing", "field", "knot"),
    "zenith_angle": ("zenith",),
    "sky_rate": ("zenith", "wavelength"),
    "moon_rate": ("scatterer", "wavelength"),
    "moon_extinction": (),
    "seeing_airmass_power": (),
    "arm_edge": ("edge",),
}
"""Dimensions of the tables that are not `PER_ARM`."""
INCREASING = ("knot_wave", "field_angle", "seeing", "zenith_angle")
PER_PIXEL = ("wave", "conversion", "sky_rate", "moon_rate")


def bracket(nodes: np.ndarray, values: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Node at or below each value, and the fraction of the way to the next.

    Raises
    ------
    DataError
        If a value lies outside the nodes.
    """
    if values.size and not (values.min() >= nodes[0] and values.max() <= nodes[-1]):
        raise DataError(
            f"{what} spans {values.min():g}..{values.max():g}, outside the instrument's tables "
            f"{nodes[0]:g}..{nodes[-1]:g}; choose {what} within them"
        )
    node = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, nodes.size - 2)
    return node, (values - nodes[node]) / (nodes[node + 1] - nodes[node])


@dataclass(frozen=True, kw_only=True)
class NoiseTables:
    """What an instrument does to photons, tabulated; linear interpolation between nodes.

    Several arms follow each other along the pixel axis; the figures that belong to a
    detector (`PER_ARM`) are then float64 arrays of shape (n_arm,).

    Attributes
    ----------
    wave : float64, shape (n_wave,)
        Pixel centres, vacuum, increasing within an arm [Å].
    conversion : float64, shape (n_wave,)
        Electrons per second, m² and 1e-17 erg/s/cm²/Å collected in one extracted pixel:
        throughput, trace fraction, telluric lines; not area, extinction or aperture.
    knot_wave : float64, shape (n_knot,)
        Where the smooth factors are tabulated [Å]; covers ``wave``.
    extinction : float64, shape (n_knot,)
        Continuum extinction [mag/airmass].
    field_angle : float64, shape (n_field,)
        [deg].
    collecting_area : float64, shape (n_field,)
        Telescope area less obscuration and vignetting [m²].
    fibre_area : float64, shape (n_field,)
        [arcsec²].
    seeing : float64, shape (n_seeing,)
        FWHM at 800 nm [arcsec].
    encircled_energy : float64, shape (n_seeing, n_field, n_knot)
        Fraction of a star's light entering the fibre.
    zenith_angle : float64, shape (n_zenith,)
        [deg].
    sky_rate : float64, shape (n_zenith, n_wave)
        Sky electrons in one extracted pixel [electron/s/m²/arcsec²].
    read_variance, dark_rate : float
        Per extracted pixel: [electron² per exposure], [electron/s].
    stray_fraction : float
        Stray light per pixel as a fraction of the arm's mean sky count.
    floor_fraction : float
        Sky-subtraction residual as a fraction of the brightest neighbouring sky count.
    variance_factor, sample_factor : float
        Empirical scale of the object-free variance; excess of the noise of photons and dark
        current over Poisson, which is above 1 where a detector is sampled up the ramp.
    moon_rate : float64, shape (2, n_wave), optional
        Moonlight electrons in one extracted pixel, scattered by molecules and by aerosols
        [electron/s/m²/arcsec² per nanolambert in V].
    moon_extinction : float, optional
        In V [mag/airmass]. Tables without these two hold a dark sky only.
    seeing_airmass_power : float, optional
        Seeing grows with this power of the airmass; as it is given, where there is none.
    arm_edge : float64, shape (n_arm + 1,), optional
        First pixel of each arm, and the number of pixels; None where there is one arm.
    arm_names : tuple of str
        One per arm; may be empty where there is one.
    """

    wave: np.ndarray
    conversion: np.ndarray
    knot_wave: np.ndarray
    extinction: np.ndarray
    field_angle: np.ndarray
    collecting_area: np.ndarray
    fibre_area: np.ndarray
    seeing: np.ndarray
    encircled_energy: np.ndarray
    zenith_angle: np.ndarray
    sky_rate: np.ndarray
    read_variance: float | np.ndarray
    dark_rate: float | np.ndarray
    stray_fraction: float | np.ndarray
    floor_fraction: float | np.ndarray
    variance_factor: float | np.ndarray
    sample_factor: float | np.ndarray
    moon_rate: np.ndarray | None = None
    moon_extinction: float | None = None
    seeing_airmass_power: float | None = None
    arm_edge: np.ndarray | None = None
    arm_names: tuple[str, ...] = ()

    def __post_init__(self):
        if (self.moon_rate is None) != (self.moon_extinction is None):
            raise DataError(f"noise tables need both or none of {list(MOON_TABLES)}")
        shape = (len(self.arms),) if self.arm_edge is not None else ()
        if odd := [name for name in PER_ARM if np.shape(getattr(self, name)) != shape]:
            raise DataError(f"noise tables {odd} need shape {shape}, one value per arm")

    @cached_property
    def arms(self) -> tuple[ArmSpan, ...]:
        """Every arm's name and pixels."""
        return arm_spans(self.arm_names, self.arm_edge, self.wave.size)

    def arm(self, name: str) -> "NoiseTables":
        """Tables of one arm, by its name or first letter; DataError if there is none."""
        return self._of(self.arms.index(arm_named(self.arms, name)))

    @cached_property
    def by_arm(self) -> tuple["NoiseTables", ...]:
        """Tables of each arm by itself, whose detector figures are numbers; not copied."""
        return tuple(self._of(k) for k in range(len(self.arms)))

    @cached_property
    def knots(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the pixels of one arm lie among the knots of the smooth factors.

        Returns
        -------
        first_pixel : int64 array, shape (n_knot,)
            At or above each knot; n_wave at the last one.
        fraction : float64 array, shape (n_wave,)
            Of the way from the knot at or below each pixel to the next.
        """
        knot, fraction = bracket(self.knot_wave, self.wave, "wave")
        return np.searchsorted(knot, np.arange(self.knot_wave.size)), fraction

    @cached_property
    def remembered(self) -> dict:
        """What functions of these tables keep of them between calls."""
        return {}

    def _of(self, k: int) -> "NoiseTables":
        if self.arm_edge is None:
            return self
        pixels = self.arms[k].pixels
        cut = {
            name: values[..., pixels]
            for name in PER_PIXEL
            if (values := getattr(self, name)) is not None
        }
        own = {name: float(getattr(self, name)[k]) for name in PER_ARM}
        return replace(self, **cut, **own, arm_edge=None, arm_names=(self.arms[k].name,))

    @cached_property
    def without_floor(self) -> "NoiseTables":
        """The same where sky subtraction leaves nothing."""
        return replace(self, floor_fraction=0.0 * self.floor_fraction)

    def at_pixels(self, name: str) -> float | np.ndarray:
        """A figure of `PER_ARM` to combine with spectra: a number, or float64 (n_wave,)."""
        values = getattr(self, name)
        if self.arm_edge is None:
            return values
        return np.repeat(values, [len(arm) for arm in self.arms])

    def arrays(self) -> dict[str, np.ndarray]:
        """Every table as a float64 array, scalars with shape (); a dark sky has no moon's."""
        tables = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "arm_names"}
        return {
            name: np.asarray(values, dtype=np.float64)
            for name, values in tables.items()
            if values is not None
        }

    @classmethod
    def from_arrays(
        cls, arrays: dict[str, np.ndarray], arm_names: tuple[str, ...] = ()
    ) -> "NoiseTables":
        """Inverse of `arrays`; raises DataError naming missing or unknown tables."""
        known = {f.name for f in fields(cls)} - {"arm_names"}
        if problems := sorted((known ^ set(arrays)) - (set(OPTIONAL_TABLES) - set(arrays))):
            raise DataError(f"noise tables have unknown or missing entries {problems}")
        if odd := [name for name, table in arrays.items() if not np.isfinite(table).all()]:
            raise DataError(f"noise tables {odd} hold NaN or infinity")
        if odd := [name for name in INCREASING if np.any(np.diff(arrays[name]) <= 0)]:
            raise DataError(f"noise tables {odd} do not increase")
        values = {k: v if np.ndim(v) else float(v) for k, v in arrays.items()}
        return cls(**values, arm_names=tuple(arm_names))
