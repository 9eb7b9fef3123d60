"""Stars of MILES and STELIB on common pixels, with names and labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.masks import mask_value
from starsmith.data_contract.surveys.any_file import read_any
from starsmith.data_contract.surveys.spectrum import SurveySpectrum
from starsmith.data_contract.surveys.standardise.continuum import gaspp_continuum
from starsmith.data_contract.surveys.standardise.recipe import LAMOST_PIXELS, StandardRecipe
from starsmith.data_contract.surveys.standardise.standardise import standardise
from starsmith.learners.transfer.samples import Sample

__all__ = [
    "BLUE",
    "LABELS",
    "RED",
    "Pixels",
    "divide_continuum",
    "find_libraries",
    "read_stars",
    "without_cores",
]

LABELS = ("teff", "logg", "m_h")
LIBRARIES = ("miles", "stelib")
FEWEST_USABLE = 0.5  # of the pixels of a star
CALCIUM = (8500.35, 8544.44, 8664.52)  # cores of the Ca II triplet, vacuum [Å]
CORE = 2.0  # on either side [Å]: they form above the layers that LTE holds in
STEPS = StandardRecipe(spikes="", snr=False, resample="quintic")


@dataclass(frozen=True)
class Pixels:
    """What stars are brought to.

    Attributes
    ----------
    name : str
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].
    fwhm : float
        Of lines [Å].
    """

    name: str
    wave: np.ndarray
    fwhm: float


BLUE = Pixels("1,462 bins of LAMOST, 3999-5599 Å, lines of 3 Å", LAMOST_PIXELS, 3.0)
RED = Pixels("6480-8900 Å every 1 Å, lines of 3 Å", np.arange(6480.0, 8900.5, 1.0), 3.0)


def find_libraries(place: Path | None) -> list[Path]:
    """Files that may hold the libraries: the wheel, repacked arrays, or those in a folder.

    Raises
    ------
    DataError
        If a place was named and holds none.
    """
    home = Path() if place is None else place
    if home.is_file():
        return [home]
    found = sorted(home.glob("sdss_mangadap*.whl"))[:1] or [
        path for name in LIBRARIES for path in sorted(home.glob(f"{name}*.npz"))
    ]
    if not found and place is not None:
        raise DataError(
            f"{place}: no sdss_mangadap wheel, miles*.npz or stelib*.npz there; get the wheel with "
            "pip download --no-deps sdss-mangadap==4.5.0"
        )
    return found


def divide_continuum(wave: np.ndarray, flux: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Flux over its continuum, float32; unusable pixels are bridged before it is fitted."""
    filled = np.array(flux, dtype=np.float64)
    for row in np.flatnonzero(mask.any(axis=1)):
        good = mask[row] == 0
        filled[row] = np.interp(wave, wave[good], filled[row, good])
    return (filled / gaspp_continuum(wave, filled)).astype(np.float32)


def without_cores(sample: Sample) -> Sample:
    """Mask the cores of the Ca II triplet, which models in LTE have too shallow."""
    near = np.zeros(sample.wave.size, dtype=bool)
    for line in CALCIUM:
        near |= np.abs(sample.wave - line) < CORE
    mask = np.zeros(sample.flux.shape, np.uint32) if sample.mask is None else sample.mask
    return replace(sample, mask=mask | np.where(near, mask_value("NO_DATA"), 0).astype(np.uint32))


def read_stars(files: Sequence[Path], library: str, pixels: Pixels) -> Sample:
    """Stars of one library whose three labels are known, on common pixels.

    Parameters
    ----------
    files : sequence of path
    library : str
        ``miles`` or ``stelib``.
    pixels : Pixels

    Raises
    ------
    DataError
        If the files hold no such star.
    """
    rows = []
    for file in files:
        for spectrum in read_any(file):
            if spectrum.ids.get("library") == library:
                rows.append(_on_pixels(spectrum, pixels))
    rows = [row for row in rows if row is not None]
    if not rows:
        named = ", ".join(str(file) for file in files)
        raise DataError(f"{named}: no star of {library} with labels; give the sdss_mangadap wheel")
    names, flux, mask, labels = zip(*rows, strict=True)
    masks = np.stack(mask)
    return Sample(
        wave=pixels.wave,
        flux=divide_continuum(pixels.wave, np.stack(flux), masks),
        mask=masks,
        label_names=LABELS,
        labels=np.array(labels),
        names=names,
    )


def _on_pixels(spectrum: SurveySpectrum, pixels: Pixels) -> tuple | None:
    """Name, flux, mask and labels of a star; None of one that cannot be used."""
    known = [spectrum.labels[name].value for name in LABELS if name in spectrum.labels]
    if len(known) < len(LABELS) or not np.isfinite(known).all():
        return None
    target = np.full(pixels.wave.size, pixels.fwhm)
    try:
        seen = standardise(spectrum, STEPS, pixels.wave, target)
    except DataError:
        return None
    if seen.usable.mean() < FEWEST_USABLE:
        return None
    mask = np.where(seen.usable, 0, mask_value("NO_DATA")).astype(np.uint32)
    return spectrum.ids["name"], np.where(seen.usable, seen.flux, 0.0), mask, known
