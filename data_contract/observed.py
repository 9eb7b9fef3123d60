"""Observed spectra, and the one definition of a pixel that can be used."""

from dataclasses import dataclass, fields
from importlib import import_module
from typing import TYPE_CHECKING, cast

import numpy as np

from starsmith.data_contract.convertible import OBJECTS, Convertible, call_later
from starsmith.data_contract.described import described, span
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.masks import mask_value

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from specutils import Spectrum
    from xarray import Dataset

__all__ = ["Observed", "error_of_ivar", "usable_pixels"]

PER_PIXEL = ("flux", "error", "mask")


def usable_pixels(
    flux: np.ndarray, error: np.ndarray | None = None, mask: np.ndarray | None = None
) -> np.ndarray:
    """Say which pixels can be used, bool of the shape of ``flux``.

    A pixel can be used where no bit of its mask is set, its flux is finite, and its error, where
    there is one, is finite and above 0.

    Parameters
    ----------
    flux, error : float arrays
        Any linear unit.
    mask : integer or bool array
        Flags of any width; 0 is good.
    """
    usable = np.isfinite(flux)
    if mask is not None:
        usable &= np.asarray(mask) == 0
    if error is not None:
        with np.errstate(invalid="ignore"):
            usable &= np.isfinite(error) & (np.asarray(error) > 0)
    return usable


def error_of_ivar(ivar: object) -> object:
    """1σ error of an inverse variance; NaN, and so unusable, where it is not finite and above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.asanyarray(ivar) ** -0.5
    return np.ma.filled(error, np.nan) if isinstance(error, np.ma.MaskedArray) else error


@described
@dataclass(frozen=True)
class Observed(Convertible):
    """One observed spectrum, or several on the same pixels.

    Arrays may be numpy's, masked ones, astropy Columns or Quantities. Those with a unit are
    converted, or refused; without one they are in Å and in any linear unit of flux. An error
    without a unit has that of the flux. Masked entries cannot be used.

    Attributes
    ----------
    wave : float64, shape (n_wave,)
        Vacuum [Å].
    flux : float32 or float64, shape (n_wave,) or (n_spec, n_wave)
        Observed flux density [1e-17 erg/s/cm²/Å, where a unit is known].
    error : float, shape of flux, or None
        1σ.
    mask : integer, shape of flux
        Flags of any width, 0 = good; all good by default.

    Examples
    --------
    >>> seen = starsmith.Observed(np.array([8000.0, 8000.4]), np.array([1.0, np.nan]))
    >>> seen.usable.tolist()
    [True, False]
    """

    wave: np.ndarray
    flux: np.ndarray
    error: np.ndarray | None = None
    mask: np.ndarray | None = None

    def plot(self, row: int = 0, notice: str = "") -> "Figure":
        """Draw one spectrum with its error, and the pixels that cannot be used.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        place = import_module("starsmith.data_contract.spectrum_figure")
        return cast("Figure", place.observed_figure(self, row, notice))

    def __post_init__(self):
        given = {name: getattr(self, name) for name in ("wave", *PER_PIXEL)}
        if not all(_is_plain(name, value) for name, value in given.items()):
            given = _plain(given)
        if given["mask"] is None:
            given["mask"] = np.zeros(given["flux"].shape, np.uint32)
        self._check(given)
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @staticmethod
    def _check(given: dict[str, np.ndarray | None]) -> None:
        wave, shape = given["wave"], given["flux"].shape
        found = {name: value.shape for name, value in given.items() if value is not None}
        on_pixels = wave is None or (wave.ndim == 1 and shape[-1:] == wave.shape)
        if not on_pixels or len({found[name] for name in PER_PIXEL if name in found}) > 1:
            raise DataError(
                f"an observed spectrum has arrays of shapes {found}; expected wave (n_wave,), and "
                "flux, error and mask of one shape that ends in n_wave"
            )

    def _facts(self) -> dict[str, object]:
        return {
            "spectra": 1 if self.flux.ndim == 1 else len(self.flux),
            "pixels": self.flux.shape[-1],
            "Å": "" if self.wave is None else span(self.wave),
            "usable": f"{np.mean(self.usable):.1%}" if self.flux.size else "",
        }

    @staticmethod
    def from_table(table: "Table") -> "Observed":
        """Spectra of an astropy Table with wave and flux; units are converted."""
        return call_later(OBJECTS, "from_table", table)

    @staticmethod
    def from_pandas(frame: "DataFrame") -> "Observed":
        """Spectra of a pandas DataFrame with wave and flux."""
        return call_later(OBJECTS, "from_pandas", frame)

    @staticmethod
    def from_xarray(dataset: "Dataset") -> "Observed":
        """Spectra of an xarray Dataset with flux over wave; units are converted."""
        return call_later(OBJECTS, "from_xarray", dataset)

    @staticmethod
    def from_specutils(spectrum: "Spectrum") -> "Observed":
        """Spectra of a specutils Spectrum; units are converted."""
        return call_later(OBJECTS, "from_specutils", spectrum)

    def __len__(self) -> int:
        return len(self.flux)

    def __getitem__(self, which: object) -> "np.ndarray | Observed":
        """An array by its name, or the spectra of some rows."""
        if isinstance(which, str):
            if which not in {field.name for field in fields(self)}:
                raise KeyError(which)
            return getattr(self, which)
        rows = {name: getattr(self, name) for name in PER_PIXEL}
        return Observed(
            self.wave, **{n: None if value is None else value[which] for n, value in rows.items()}
        )

    @property
    def usable(self) -> np.ndarray:
        """Which pixels can be used, bool of the shape of flux; see `usable_pixels`."""
        return usable_pixels(self.flux, self.error, self.mask)


def _is_plain(name: str, value: object) -> bool:
    kinds = "iu" if name == "mask" else "f"
    return value is None or (type(value) in (np.ndarray, np.memmap) and value.dtype.kind in kinds)


def _plain(given: dict[str, object]) -> dict[str, np.ndarray | None]:
    """Plain arrays in glossary units; DataError naming what cannot be converted."""
    from starsmith.data_contract.unit_conversion import (
        flux_factor,
        parse_unit,
        split_unit,
        to_angstrom,
    )

    plain, units = {}, {}
    for name in ("wave", "flux", "error"):
        if given[name] is None:
            plain[name], units[name] = None, None
            continue
        try:
            plain[name], unit = split_unit(given[name])
            units[name] = parse_unit(unit)
            if name == "wave":
                plain[name] = to_angstrom(plain[name], units[name])
        except (TypeError, ValueError) as problem:
            raise DataError(f"{name} is not usable ({problem})") from None
    if units["error"] is not None and units["flux"] is None:
        raise DataError(f"error is in {units['error']}, but flux has no unit; give it one")
    units["error"] = units["error"] or units["flux"]
    for name in ("flux", "error"):
        if plain[name] is None or units[name] is None:
            continue
        try:
            factor = flux_factor(units[name], plain["wave"])
        except ValueError as problem:
            raise DataError(f"{name}: {problem}") from None
        if np.any(factor != 1.0):
            plain[name] = plain[name] * factor
    plain["mask"] = _flags(given["mask"])
    return plain


def _flags(mask: object) -> np.ndarray | None:
    """Whole numbers of any width; a flag that is itself masked, or no number, is set."""
    if mask is None:
        return None
    hidden = getattr(mask, "mask", False)
    values = np.asarray(getattr(mask, "unmasked", mask))
    if values.dtype.kind not in "iub":
        try:
            values = np.array([float(v) != 0.0 for v in values.ravel().tolist()])
        except (TypeError, ValueError):
            raise DataError("mask is not usable (it holds text, not whole numbers)") from None
        values = values.reshape(np.shape(mask))
    if values.dtype == bool:
        values = values.astype(np.uint32)
    return np.where(hidden, values.dtype.type(mask_value("BAD")), values)
