"""Reading pfsObject files, of either generation of the PFS datamodel."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits  # noqa: TID251

from starsmith.data_contract.constants import ANGSTROM_PER_NM
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.export_pfs import njy_per_flux
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.tables.user_table import FITS_HEAD, read_content

__all__ = ["PfsObject", "is_pfs_object", "read_pfs_object"]

TABLES = {"FLUX_TABLE": ("wavelength", "error"), "FLUXTBL": ("lambda", "fluxVariance")}
PLANE = "MP_"


@dataclass(frozen=True, kw_only=True)
class PfsObject(Observed):
    """One observed spectrum at its native pixels, of shape (n_wave,).

    Attributes
    ----------
    planes : dict of str to int
        Mask plane -> bit, where the file tells.
    identity : dict
        ``catId tract patch objId``.
    at_rest : bool
        Whether the file says that the star's velocity was taken out: ``SPECSYS`` is ``SOURCE``.
    """

    planes: dict[str, int]
    identity: dict
    at_rest: bool


def is_pfs_object(path: Path | str) -> bool:
    """Whether a file is FITS and has a table of fluxes of the PFS datamodel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _opened(Path(path)) as hdus:
                return any(hdu.name in TABLES for hdu in hdus)
        except (OSError, ValueError, TypeError, KeyError):
            return False


def _opened(path: Path) -> fits.HDUList:
    content = read_content(path)
    if not content.startswith(FITS_HEAD):
        raise OSError("no FITS file")
    return fits.open(io.BytesIO(content), memmap=False, disable_image_compression=True)


def read_pfs_object(path: Path | str) -> PfsObject:
    """Read a pfsObject file: the table of fluxes near the native sampling.

    Parameters
    ----------
    path : path

    Returns
    -------
    spectrum : PfsObject

    Raises
    ------
    DataError
        If it is not FITS, is damaged, or has no table of fluxes.
    """
    path = Path(path)
    try:
        with _opened(path) as hdus:
            names = {hdu.name for hdu in hdus}
            found = [name for name in TABLES if name in names]
            if not found:
                raise DataError(
                    f"{path}: no table {' or '.join(TABLES)} among {sorted(names)}; it is not a "
                    "pfsObject file"
                )
            return _spectrum(hdus, found[0])
    except (OSError, KeyError, ValueError, TypeError) as problem:
        raise DataError(f"{path} cannot be read as a pfsObject file ({problem})") from None


def _spectrum(hdus: fits.HDUList, name: str) -> PfsObject:
    wave_name, noise_name = TABLES[name]
    table = hdus[name].data
    wave = ANGSTROM_PER_NM * table[wave_name].astype(np.float64)
    noise = table[noise_name].astype(np.float64)
    error = np.sqrt(noise) if noise_name == "fluxVariance" else noise
    to_flux = 1.0 / njy_per_flux(wave)
    cards = {**hdus["MASK"].header, **hdus[name].header} if "MASK" in hdus else hdus[name].header
    header = hdus["TARGET"].header if "TARGET" in hdus else hdus[0].header
    return PfsObject(
        at_rest=str(hdus[0].header.get("SPECSYS", "")).strip() == "SOURCE",
        wave=wave,
        flux=(to_flux * table["flux"]).astype(np.float32),
        error=(to_flux * error).astype(np.float32),
        mask=table["mask"].astype(table["mask"].dtype.newbyteorder("=")),
        planes={
            key[key.index(PLANE) + len(PLANE) :]: int(value)
            for key, value in cards.items()
            if PLANE in key
        },
        identity={key: header.get(key.upper()) for key in ("catId", "tract", "patch", "objId")},
    )
