"""What is done to observed spectra, step by step: a table of settings, from TOML or from code."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.outside import read_toml
from starsmith.data_contract.surveys.standardise.resampling import METHODS
from starsmith.data_contract.surveys.standardise.spikes import SPIKE_METHODS

__all__ = ["LAMOST_PIXELS", "ORDER", "StandardRecipe", "list_standard_recipes", "load_standard"]

ORDER = ("spikes", "snr", "rest", "continuum", "lsf", "resample", "median")
"""Steps in the order they are taken: those on native pixels first, the median last."""

CHOICES = {
    "spikes": ("", *SPIKE_METHODS),
    "broader": ("flag", "refuse"),
    "continuum": ("", "gaspp", "gaspp_bug_compatible"),
    "resample": METHODS,
    "spacing": ("linear", "log10"),
}

MOST_PIXELS = 10**6

LAMOST_PIXELS = 10.0 ** (3.602 + 1e-4 * np.arange(1462))
"""The 1,462 bins of low-resolution LAMOST spectra, log10 λ = 3.602 + 1e-4 k [Å]."""


@dataclass(frozen=True, kw_only=True)
class StandardRecipe:
    """Settings of every step; a step that is off or empty is left out.

    Attributes
    ----------
    spikes : str
        ``aware`` of errors and of the LSF, ``printed`` as in a paper, or empty.
    snr : bool
        Measure S/N on native pixels: by the errors, or by the flux where there are none.
    rest : bool
        Take out the star's velocity.
    fwhm : float, optional
        Of lines, which sharper ones are smeared to [Å].
    resolution : float, optional
        λ / FWHM, instead.
    broader : str
        What becomes of spectra with broader lines: ``flag`` or ``refuse``.
    continuum : str
        Divide by the LAMOST continuum, ``gaspp``, or with the slips of the original.
    resample : str
        ``quintic``, ``linear`` or ``conserving``.
    median : float, optional
        What the median flux becomes; 1 and 0.5 are in use.
    start, step, count, spacing : float, float, int, str
        Pixels: start + step k, k = 0 ... count - 1, in Å or (``log10``) of the logarithm of Å;
        count 0 leaves the choice to the model or data set that spectra are brought to.
    """

    spikes: str = "aware"
    snr: bool = True
    rest: bool = True
    fwhm: float | None = None
    resolution: float | None = None
    broader: str = "flag"
    continuum: str = ""
    resample: str = "quintic"
    median: float | None = None
    start: float = 0.0
    step: float = 0.0
    count: int = 0
    spacing: str = "linear"

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if (found := getattr(self, name)) not in choices:
                expected = ", ".join(choice or '""' for choice in choices)
                raise ConfigError(f"standardise: {name} = {found!r}; expected one of {expected}")
        for name in ("snr", "rest"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"standardise: {name} = {getattr(self, name)!r}; expected a bool")
        numbers = ("fwhm", "resolution", "median", *(("start", "step") if self.count else ()))
        for name in numbers:
            found = getattr(self, name)
            if found is not None and not (_number(found) and 0 < found < np.inf):
                raise ConfigError(f"standardise: {name} = {found!r}; expected a number above 0")
        if not (type(self.count) is int and 0 <= self.count <= MOST_PIXELS and self.count != 1):
            raise ConfigError(f"standardise: count = {self.count!r}; expected 2 to {MOST_PIXELS}")
        if self.fwhm and self.resolution:
            raise ConfigError("standardise: fwhm and resolution are both given; give one")
        if self.wave is not None and not np.all((self.wave > 10) & (self.wave < 1e6)):
            raise ConfigError(f"standardise: pixels from {self.wave[0]:g} to {self.wave[-1]:g} Å")

    @property
    def wave(self) -> np.ndarray | None:
        """Pixels, float64 (count,) [vacuum Å]; None where they are not stated."""
        if not self.count:
            return None
        with np.errstate(over="ignore"):
            place = self.start + self.step * np.arange(self.count)
            return place if self.spacing == "linear" else 10.0**place

    def target_fwhm(self, wave: np.ndarray) -> np.ndarray | None:
        """FWHM that lines are brought to at wavelengths [Å]; None where they are left."""
        if self.fwhm:
            return np.full(wave.shape, float(self.fwhm))
        return wave / self.resolution if self.resolution else None

    def recorded(self) -> dict:
        """Settings and the order of steps, as a header holds them."""
        return {"order": list(ORDER), **{k: v for k, v in asdict(self).items() if v is not None}}

    @classmethod
    def of_table(cls, table: Mapping, origin: str) -> "StandardRecipe":
        """Recipe of a table of settings; ConfigError naming unknown ones and ``origin``."""
        known = {field.name for field in fields(cls)}
        given = {name: value for name, value in table.items() if name != "order"}
        if unknown := sorted(set(given) - known):
            raise ConfigError(f"{origin}: unknown keys {unknown}; known are {sorted(known)}")
        if table.get("order", list(ORDER)) != list(ORDER):
            raise ConfigError(f"{origin}: order {table['order']}; steps are taken as {list(ORDER)}")
        return cls(**given)


def _number(value: object) -> bool:
    return type(value) in (int, float)


def list_standard_recipes() -> list[str]:
    """Names of the packaged recipes."""
    folder = files("starsmith.data_contract.surveys.standardise")
    return sorted(
        f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")
    )


def load_standard(name: str | Path) -> StandardRecipe:
    """Packaged recipe of a name, or one from a TOML file.

    Raises
    ------
    ConfigError
        If there is none, or a key of it is unknown or holds what it cannot.
    """
    if str(name) in list_standard_recipes():
        folder = files("starsmith.data_contract.surveys.standardise")
        path = Path(str(folder / f"{name}.toml"))
    else:
        path = Path(name)
        if not path.is_file():
            names = ", ".join(list_standard_recipes())
            raise ConfigError(f"{name}: no such file, nor a packaged recipe: {names}")
    return StandardRecipe.of_table(read_toml(path, ConfigError), str(name))
