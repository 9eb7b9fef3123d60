"""Spectra as files of the PFS datamodel: pfsObject for what is observed, pfsSimObject for truth.

One file per spectrum. It opens with readers of both generations of pfsObject: HDUs FLUX, FLUXTBL,
COVAR, COVAR2, MASK, SKY and CONFIG in the places of the first one, then WAVELENGTH, TARGET,
OBSERVATIONS and FLUX_TABLE, which the present one finds by name.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits  # noqa: TID251

from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.data_contract.dataset.split import SpectrumView, Split
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.files.lock import writer_lock
from starsmith.data_contract.masks import MASK_BITS
from starsmith.data_contract.noise.detector import sensitivity, sky_counts
from starsmith.data_contract.quantities import CONDITIONS, SPLITS

__all__ = ["NJY_PER_FLUX", "export_pfs", "njy_per_flux", "visit_hash"]

NJY_PER_FLUX = 1e-17 * 1e32 / 2.99792458e18  # x wave² [Å²]: 1 nJy = 1e-32 erg/s/cm²/Hz
AB_ZERO_NJY = 3631e9
N_COARSE = 10  # bins of COVAR2
TRACT, PATCH = 0, "0,0"  # simulated stars are nowhere on the sky
SCIENCE_TARGET = 1
OLDEST_READABLE = 1  # DAMD_VER without a NOTES table
BLOCK_ROWS = 256

KEY_IN_NAME = re.compile(r"pfs(?:Sim)?Object-(\d{5}-\d{5}-.*?-[0-9a-f]{16})[-.]")

Progress = Callable[[int, int], None]


def njy_per_flux(wave: np.ndarray) -> np.ndarray:
    """f_ν [nJy] of f_λ = 1e-17 erg/s/cm²/Å at vacuum wavelengths [Å], float64 (n_wave,)."""
    return NJY_PER_FLUX * np.square(wave)


def object_key(split: str, index: int) -> str:
    """What names of files say of an object, by the present datamodel: catId-tract-patch-objId.

    The catId is the number of the split, objId the index within it, in hexadecimal digits.
    """
    return f"{SPLITS[split]:05d}-{TRACT:05d}-{PATCH}-{index:016x}"


def visit_hash(visits: list[int]) -> int:
    """63-bit SHA-1 that the datamodel names a set of visits by."""
    words = str([str(visit).encode() for visit in sorted(visits)])
    return int(hashlib.sha1(words.encode()).hexdigest(), 16) & (2**63 - 1)


@dataclass(frozen=True)
class _Objects:
    """What the files of some spectra share, and their arrays in the order of wavelength."""

    split: Split
    draws: Draws
    view: SpectrumView
    sky: np.ndarray
    order: np.ndarray

    @classmethod
    def of(cls, split: Split, rows: np.ndarray) -> "_Objects":
        draws, tables = split.draws.take(rows), split.header.noise
        sky = sky_counts(tables, draws.conditions) / sensitivity(tables, draws.conditions)
        order = np.argsort(split.wave, kind="stable")
        return cls(split, draws, split.observe(rows), sky, order)

    @property
    def wave(self) -> np.ndarray:
        """Vacuum [Å], increasing."""
        return self.split.wave[self.order]

    def name(self, i: int) -> str:
        """File name of a pfsObject; its key is that of `object_key`."""
        visits = self.visits(i)
        ending = f"{len(visits) % 1000:03d}-0x{visit_hash(visits):016x}"
        return f"pfsObject-{self.key(i)}-{ending}.fits"

    def truth_name(self, i: int) -> str:
        """File name of a pfsSimObject."""
        return f"pfsSimObject-{self.key(i)}.fits"

    def key(self, i: int) -> str:
        """What names of files say of an object."""
        return object_key(self.split.name, int(self.draws.index[i]))

    def visits(self, i: int) -> list[int]:
        """Numbers of the exposures, from 1."""
        count = int(self.draws.conditions[i, CONDITIONS.index("exp_count")])
        return list(range(1, count + 1))

    def identity(self, i: int) -> dict:
        """Header cards that say which object it is."""
        return {
            "CATID": SPLITS[self.split.name],
            "TRACT": TRACT,
            "PATCH": PATCH,
            "OBJID": int(self.draws.index[i]),
        }


def export_pfs(
    split: Split,
    rows: np.ndarray,
    folder: Path | str,
    truth: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write observed spectra as one pfsObject file each.

    Fluxes are in nJy and wavelengths in vacuum nm, at the instrument's own pixels: nothing is
    resampled, so that neighbouring pixels are as independent as they were drawn.

    Parameters
    ----------
    split : Split
    rows : int array, shape (n_spec,)
        Of the split.
    folder : path
    truth : bool
        Also write pfsSimObject files with the noiseless flux.
    overwrite : bool
        Replace files that are there.
    progress : callable, optional
        Called with (spectra done, spectra in all).

    Returns
    -------
    files : list of Path

    Raises
    ------
    DataError
        If files are there already, another process is writing there, or the store has no
        noiseless flux that ``truth`` asks for.
    """
    folder = Path(folder)
    if split.header.noise is None:
        raise DataError(
            "these spectra were observed: pfsObject files are written of simulated ones; convert "
            "them to hdf5"
        )
    if rows.size and rows.max() >= len(split):
        raise DataError(f"--rows: split {split.name!r} has rows 0..{len(split) - 1}")
    if not overwrite:
        _refuse_existing(split, rows, folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with writer_lock(folder / "pfs"):
        for start in range(0, rows.size, BLOCK_ROWS):
            files += _write_block(split, rows[start : start + BLOCK_ROWS], folder, truth)
            if progress:
                progress(min(start + BLOCK_ROWS, rows.size), rows.size)
    return files


def _write_block(split: Split, rows: np.ndarray, folder: Path, truth: bool) -> list[Path]:
    """Files of some rows, few enough to be held in memory."""
    objects = _Objects.of(split, rows)
    model = split.flux_model(rows) if truth else None
    files = []
    for i in range(rows.size):
        contents = {objects.name(i): _object_hdus(objects, i)}
        if model is not None:
            contents[objects.truth_name(i)] = _truth_hdus(objects, i, model[i])
        files += [_write(folder / name, hdus) for name, hdus in contents.items()]
    return files


def _refuse_existing(split: Split, rows: np.ndarray, folder: Path) -> None:
    """DataError, before anything is written, where one of the objects is there already."""
    wanted = {object_key(split.name, int(index)) for index in split.draws.index[rows]}
    for path in sorted(folder.glob("pfs*Object-*.fits*")):
        if KEY_IN_NAME.match(path.name) and KEY_IN_NAME.match(path.name)[1] in wanted:
            raise DataError(f"{path} exists already; choose another --out or pass --overwrite")


def _write(path: Path, hdus: fits.HDUList) -> Path:
    with staged_file(path) as partial:
        hdus.writeto(partial, overwrite=True, checksum=True)
    return path


def _object_hdus(objects: _Objects, i: int) -> fits.HDUList:
    """All HDUs of one pfsObject file."""
    to_njy = njy_per_flux(objects.wave)
    view, order = objects.view, objects.order
    flux, error = (to_njy * values[i, order] for values in (view.flux, view.error))
    mask, sky = view.mask[i, order].astype(np.int32), to_njy * objects.sky[i, order]
    covar = np.stack([np.square(error), *np.zeros((2, error.size))])
    nm = objects.wave / ANGSTROM_PER_NM
    planes = _header({f"MP_{name}": bit for name, bit in MASK_BITS.items()})
    inherit = _header({"INHERIT": True, "DAMD_VER": OLDEST_READABLE, "BUNIT": "nJy"})
    images = [
        fits.ImageHDU(flux.astype(np.float32), _wcs(nm, inherit), "FLUX"),
        _table("FLUXTBL", _pixels(("lambda", "fluxVariance"), nm, flux, covar[0], mask), planes),
        fits.ImageHDU(covar, inherit, "COVAR"),
        fits.ImageHDU(_coarse(covar[0], mask), inherit, "COVAR2"),
        fits.ImageHDU(mask, _wcs(nm, planes), "MASK"),
        fits.ImageHDU(sky.astype(np.float32), inherit, "SKY"),
    ]
    named = [
        fits.ImageHDU(nm, _header({"BUNIT": "nm", "MEDIUM": "vacuum"}), "WAVELENGTH"),
        _target(objects, i),
        _observations(objects, i),
        _table("FLUX_TABLE", _pixels(("wavelength", "error"), nm, flux, error, mask), planes),
    ]
    return fits.HDUList([_primary(objects, i), *images, _config(objects, i), *named])


def _primary(objects: _Objects, i: int) -> fits.PrimaryHDU:
    visits = objects.visits(i)
    cards = {
        **objects.identity(i),
        "NVISIT": len(visits),
        "PFSVHASH": visit_hash(visits),
        "ORIGIN": "starsmith simulation",
        "DATASET": objects.split.digest,
    }
    if not objects.split.draws.rv.any():
        cards["SPECSYS"] = "SOURCE"  # at rest (Greisen et al. 2006, A&A 446, 747)
    if objects.split.header.notice:
        cards["NOTICE"] = objects.split.header.notice
    return fits.PrimaryHDU(header=_header(cards))


def _header(cards: dict) -> fits.Header:
    header = fits.Header()
    for name, value in cards.items():
        header[f"HIERARCH {name}" if len(name) > 8 else name] = value
    return header


def _wcs(nm: np.ndarray, base: fits.Header) -> fits.Header:
    """Add a linear wavelength scale where the pixels follow one."""
    header = base.copy()
    step = (nm[-1] - nm[0]) / (nm.size - 1)
    if np.allclose(nm, nm[0] + step * np.arange(nm.size), rtol=0, atol=1e-3 * step):
        scale = {"CTYPE1": "WAVE", "CUNIT1": "nm", "CRPIX1": 1.0, "CRVAL1": nm[0]}
        header.update({**scale, "CDELT1": step, "CD1_1": step})
    return header


def _table(name: str, columns: list[fits.Column], header: fits.Header | None) -> fits.BinTableHDU:
    return fits.BinTableHDU.from_columns(columns, header=header, name=name)


def _pixels(
    names: tuple[str, str], nm: np.ndarray, flux: np.ndarray, noise: np.ndarray, mask: np.ndarray
) -> list[fits.Column]:
    """Columns of a table with one row per pixel; the present datamodel's mask has 64 bits."""
    wave_name, noise_name = names
    is_old = noise_name == "fluxVariance"
    return [
        fits.Column(wave_name, "D", "nm", array=nm),
        fits.Column("flux", "E", "nJy", array=flux),
        fits.Column(noise_name, "E", "nJy2" if is_old else "nJy", array=noise),
        fits.Column("mask", "J" if is_old else "K", array=mask),
    ]


def _coarse(variance: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Low-resolution covariance: Σ variance / √n of the good pixels in each of ten bins."""
    place = np.minimum(np.arange(variance.size) // max(variance.size // N_COARSE, 1), N_COARSE - 1)
    good = mask == 0
    total = np.bincount(place[good], variance[good], N_COARSE)
    count = np.bincount(place[good], minlength=N_COARSE)
    return np.diag(total / np.sqrt(np.maximum(count, 1)))


def _config(objects: _Objects, i: int) -> fits.BinTableHDU:
    visits = objects.visits(i)
    columns = [
        fits.Column("visit", "J", array=visits),
        fits.Column("pfsConfigId", "K", array=np.zeros(len(visits), np.int64)),
    ]
    return _table("CONFIG", columns, None)


def _target(objects: _Objects, i: int) -> fits.BinTableHDU:
    band = objects.split.header.mag_band or "none"
    flux = AB_ZERO_NJY * 10.0 ** (-0.4 * objects.draws.mag[i])
    columns = [
        fits.Column("filterName", f"{len(band)}A", array=[band]),
        fits.Column("fiberFlux", "E", "nJy", array=[flux]),
    ]
    place = {"RA": 0.0, "DEC": 0.0, "TARGETTYPE": SCIENCE_TARGET, "DAMD_VER": 1}
    return _table("TARGET", columns, _header({**objects.identity(i), **place}))


def _observations(objects: _Objects, i: int) -> fits.BinTableHDU:
    letters = [arm.letter for arm in objects.split.header.noise.arms]
    visits = np.repeat(objects.visits(i), len(letters))
    n = visits.size
    exp_time = objects.draws.conditions[i, CONDITIONS.index("exp_time")]
    columns = [
        fits.Column("visit", "J", array=visits),
        fits.Column("arm", "1A", array=letters * (n // len(letters))),
        fits.Column("spectrograph", "J", array=np.ones(n, np.int32)),
        fits.Column("fiberId", "J", array=np.ones(n, np.int32)),
        fits.Column("pfsDesignId", "K", array=np.zeros(n, np.int64)),
        fits.Column("pfiNominal", "2E", array=np.zeros((n, 2))),
        fits.Column("pfiCenter", "2E", array=np.zeros((n, 2))),
        fits.Column("obsTime", "7A", array=["UNKNOWN"] * n),
        fits.Column("expTime", "E", "s", array=np.full(n, exp_time)),
    ]
    return _table("OBSERVATIONS", columns, _header({"DAMD_VER": 2}))


def _truth_hdus(objects: _Objects, i: int, model: np.ndarray) -> fits.HDUList:
    """HDUs of a pfsSimObject file: what the instrument would have seen without noise."""
    flux = njy_per_flux(objects.wave) * model[objects.order]
    nm = objects.wave / ANGSTROM_PER_NM
    header = _header({"INHERIT": True, "BUNIT": "nJy"})
    primary = fits.PrimaryHDU(header=_header(objects.identity(i)))
    return fits.HDUList(
        [
            primary,
            fits.ImageHDU(nm, _header({"BUNIT": "nm", "MEDIUM": "vacuum"}), "WAVELENGTH"),
            fits.ImageHDU(flux, header, "FLUX"),
        ]
    )
