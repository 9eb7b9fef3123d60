"""Spectra as objects of other libraries, and back: astropy, pandas, xarray, specutils.

Every function takes whatever carries spectra: `Observed`, `SpectrumBatch`, the arm of a survey's
spectrum, or a `Split`, whose spectra are observed first. Units are written with them: flux and
error in 1e-17 erg/s/cm²/Å over vacuum wavelength in Å.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from starsmith.data_contract.draws import SpectrumBatch
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.masks import MASK_BITS
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quantities import SNR_STATISTICS, UNITS
from starsmith.data_contract.unit_conversion import FLUX_CGS

if TYPE_CHECKING:
    from astropy.table import Table
    from pandas import DataFrame
    from specutils import Spectrum
    from xarray import Dataset

__all__ = [
    "from_pandas",
    "from_specutils",
    "from_table",
    "from_xarray",
    "spectra_of",
    "to_pandas",
    "to_specutils",
    "to_table",
    "to_xarray",
]

PER_PIXEL = ("flux", "error", "mask")


@dataclass(frozen=True)
class Spectra:
    """Spectra and what is known of each: ``columns`` of shape (n_spec,), ``meta`` of all."""

    seen: Observed
    columns: Mapping[str, np.ndarray]
    meta: Mapping[str, object]


def spectra_of(thing: Any, row: int | None = None) -> Spectra:
    """Spectra that an object carries, all of them or one.

    Parameters
    ----------
    thing : Observed, SpectrumBatch or Split
    row : int, optional
        One spectrum; all of them by default.

    Raises
    ------
    DataError
        If it carries none.
    """
    meta: dict[str, object] = {"medium": "vacuum", "mask_planes": dict(MASK_BITS)}
    columns: dict[str, np.ndarray] = {}
    if isinstance(thing, Observed):
        seen = thing
        if isinstance(thing, SpectrumBatch):
            draws = thing.draws
            snr = {name: getattr(thing, name) for name in SNR_STATISTICS}
            columns = {**draws.columns, **snr, "index": draws.index}
            meta |= {"seed": draws.seed, "split": draws.split}
    elif hasattr(thing, "observe"):
        seen = thing.observe()
        labels = {name: thing.label(name) for name in thing.header.label_names}
        columns = {**labels, "snr": np.asarray(thing.snr)}
        meta |= {"split": thing.name}
    else:
        raise DataError(f"{type(thing).__name__} carries no spectra")
    wave = seen.wave if seen.wave is not None else thing.header.wave
    arrays = {name: getattr(seen, name) for name in PER_PIXEL}
    if row is not None and seen.flux.ndim == 2:
        arrays = {name: None if v is None else v[row] for name, v in arrays.items()}
        columns = {name: values[row] for name, values in columns.items()}
    return Spectra(Observed(wave, **arrays), columns, meta)


def to_specutils(thing: Any, row: int | None = None) -> "Spectrum":
    """A specutils Spectrum with uncertainty, mask and metadata.

    Parameters
    ----------
    thing : Observed, SpectrumBatch or Split
        Of one arm (`SpectrumBatch.arm` gives one of several).
    row : int, optional
        One spectrum; all of them, as one object of shape (n_spec, n_wave), by default.

    Returns
    -------
    spectrum : specutils.Spectrum
        ``mask`` is True for pixels not to be used, and ``meta["mask_bits"]`` says why.

    Raises
    ------
    DataError
        If wavelengths do not increase, as those of several arms.
    ModuleNotFoundError
        If specutils is not installed (the extra ``view``).
    """
    from astropy import units
    from astropy.nddata import StdDevUncertainty
    from specutils import Spectrum

    found = spectra_of(thing, row)
    seen = found.seen
    if np.any(np.diff(seen.wave) <= 0):
        raise DataError("these spectra have several arms; take one by its name: .arm('r')")
    error = None if seen.error is None else StdDevUncertainty(np.asarray(seen.error, np.float64))
    return Spectrum(
        flux=np.asarray(seen.flux, dtype=np.float64) * units.Unit(FLUX_CGS),
        spectral_axis=seen.wave * units.AA,
        uncertainty=error,
        mask=~seen.usable,
        meta={**found.columns, **found.meta, "mask_bits": seen.mask},
    )


def from_specutils(spectrum: "Spectrum") -> Observed:
    """Spectra of a specutils Spectrum, converted; its mask, or the bits that we wrote.

    Any kind of uncertainty that astropy converts to a standard deviation is taken. Wavelengths
    are those it says, so they have to be vacuum.
    """
    from astropy.nddata import StdDevUncertainty

    error = spectrum.uncertainty
    if error is not None:
        error = error.represent_as(StdDevUncertainty).array * spectrum.flux.unit
    mask = spectrum.meta.get("mask_bits")
    if mask is None and spectrum.mask is not None:
        mask = np.asarray(spectrum.mask).astype(np.uint32)
    return Observed(spectrum.wavelength, spectrum.flux, error, mask)


def to_table(thing: Any, row: int | None = None) -> "Table":
    """An astropy Table: a row a pixel of one spectrum, a row a spectrum of several.

    Of several, ``flux``, ``error`` and ``mask`` are columns of shape (n_spec, n_wave), labels
    stand beside them, and ``meta["wave"]`` holds the wavelengths [Å].
    """
    from astropy.table import Table

    found = spectra_of(thing, row)
    seen = found.seen
    arrays = {name: value for name in PER_PIXEL if (value := getattr(seen, name)) is not None}
    if seen.flux.ndim == 1:
        table = Table({"wave": seen.wave, **arrays}, meta={**found.meta, **_plain(found.columns)})
        table["wave"].unit = "Angstrom"
    else:
        table = Table({**found.columns, **arrays}, meta={**found.meta, "wave": seen.wave})
        for name in found.columns:
            unit = UNITS.get(name, "1")
            table[name].description = "" if unit == "1" else f"[{unit}]"
    for name in ("flux", "error"):
        if name in table.colnames:
            table[name].unit = FLUX_CGS
    return table


def _plain(columns: Mapping[str, object]) -> dict[str, object]:
    return {
        name: np.asarray(value).item() for name, value in columns.items() if np.ndim(value) == 0
    }


def from_table(table: "Table") -> Observed:
    """Spectra of a table that `to_table` made, or of one with wave and flux; units converted."""
    names = [name for name in PER_PIXEL if name in table.colnames]
    wave = table["wave"] if "wave" in table.colnames else table.meta.get("wave")
    if wave is None or "flux" not in names:
        raise DataError("a table of spectra needs wave (a column, or in its meta) and flux")
    return Observed(wave, **{name: table[name] for name in names})


def to_pandas(thing: Any, row: int | None = None) -> "DataFrame":
    """A pandas DataFrame: a row a pixel of one spectrum, a row a spectrum of several.

    Of several, cells of ``flux``, ``error`` and ``mask`` are arrays; ``attrs`` hold ``wave``.
    """
    from pandas import DataFrame

    found = spectra_of(thing, row)
    seen = found.seen
    arrays = {name: value for name in PER_PIXEL if (value := getattr(seen, name)) is not None}
    if seen.flux.ndim == 1:
        frame = DataFrame({"wave": seen.wave, **arrays})
        frame.attrs = {**found.meta, **_plain(found.columns)}
    else:
        frame = DataFrame({**found.columns, **{name: list(v) for name, v in arrays.items()}})
        frame.attrs = {**found.meta, "wave": seen.wave.tolist()}
    return frame


def from_pandas(frame: "DataFrame") -> Observed:
    """Spectra of a DataFrame that `to_pandas` made, or of one with columns wave and flux."""
    names = [name for name in PER_PIXEL if name in frame]
    if "wave" in frame and "flux" in names:
        return Observed(
            frame["wave"].to_numpy(), **{name: frame[name].to_numpy() for name in names}
        )
    if "wave" not in frame.attrs or "flux" not in names:
        raise DataError("a frame of spectra needs wave (a column, or in its attrs) and flux")
    wave = np.asarray(frame.attrs["wave"], np.float64)
    return Observed(wave, **{name: np.stack(frame[name].to_list()) for name in names})


def to_xarray(thing: Any, row: int | None = None) -> "Dataset":
    """An xarray Dataset over ``spectrum`` and ``wave``, units in attributes.

    Raises
    ------
    ModuleNotFoundError
        If xarray is not installed (the extra ``view``).
    """
    from xarray import Dataset

    found = spectra_of(thing, row)
    seen = found.seen
    dims = ("wave",) if seen.flux.ndim == 1 else ("spectrum", "wave")
    flux = {"units": FLUX_CGS}
    attrs = {"flux": flux, "error": flux, "mask": {"flag_meanings": " ".join(MASK_BITS)}}
    variables = {
        name: (dims, value, attrs[name])
        for name in PER_PIXEL
        if (value := getattr(seen, name)) is not None
    }
    scalars = {
        name: (dims[:-1], values, {"units": UNITS.get(name, "1")})
        for name, values in found.columns.items()
    }
    wave = ("wave", seen.wave, {"units": "Angstrom", "medium": "vacuum"})
    meta = {name: value for name, value in found.meta.items() if not isinstance(value, dict)}
    return Dataset({**variables, **scalars}, coords={"wave": wave}, attrs=meta)


def from_xarray(dataset: "Dataset") -> Observed:
    """Spectra of a Dataset with ``flux`` over ``wave``; ``units`` attributes are converted."""
    from astropy import units

    if "flux" not in dataset or "wave" not in dataset.coords:
        raise DataError("a Dataset of spectra needs flux over the coordinate wave")
    arrays: dict[str, Any] = {}
    for name in ("wave", *PER_PIXEL):
        if name not in dataset:
            continue
        one = dataset[name]
        unit = one.attrs.get("units") if name != "mask" else None
        arrays[name] = one.values if unit is None else one.values * units.Unit(unit)
    return Observed(**arrays)
