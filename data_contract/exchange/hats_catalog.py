"""Spectra as a HATS catalogue: parquet by place on the sky, as Multimodal Universe 1.5 has it.

A row a star; its spectrum is one nested column of ``wavelength``, ``flux``, ``ivar``, ``lsf`` and
``mask``. Written and read back with lsdb (extra ``exchange``), a partition at a time.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from starsmith.data_contract.dataset.split import SpectrumView, Split
from starsmith.data_contract.dataset.training import line_fwhm
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.croissant import describe_catalog
from starsmith.data_contract.files.atomic import replace_folder, temporary_folder
from starsmith.data_contract.quantities import CONDITIONS, SPLITS, STAR
from starsmith.data_contract.unit_conversion import FLUX_CGS

if TYPE_CHECKING:
    import pandas
    from pyarrow import DataType

__all__ = ["export_hats", "synthetic_places"]

PROPERTIES = "collection.properties"  # what every collection of HATS has at its root
SPECTRUM = "spectrum"
PARTITION_ROWS = 1024  # 115 MB of spectra of 4096 pixels
FINEST_ORDER = 8  # 786,432 pixels of 0.23 deg
PIXELS = {
    "wavelength": "vacuum [Å]",
    "flux": "flux density [1e-17 erg/s/cm²/Å]",
    "ivar": "1 / σ² of flux; 0 where a pixel cannot be used",
    "lsf": "FWHM of the line profile [Å]",
    "mask": "flags of the pixel, 0 where it is good",
}
PLASTIC = 1.324717957244746  # its powers fill a square evenly (Roberts 2018, R2 sequence)


def synthetic_places(split: str, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places for stars that are nowhere: even over the sphere, the same for the same key.

    Parameters
    ----------
    split : str
    index : int array, shape (n_spec,)
        Of the spectra within their split.

    Returns
    -------
    ra, dec : float64 arrays, shape (n_spec,) [deg]
    """
    shift = SPLITS[split] / len(SPLITS)
    across, up = (np.mod(shift + index * PLASTIC**-power, 1.0) for power in (1, 2))
    return 360.0 * across, np.degrees(np.arcsin(2.0 * up - 1.0))


def _places(split: Split, rows: np.ndarray, synthetic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination of some spectra, float64 (n_spec,) [deg, ICRS].

    Raises
    ------
    DataError
        If a star has none, and none is to be made up.
    """
    if synthetic:
        return synthetic_places(split.name, split.draws.index[rows])
    lost = rows.size
    if {"ra", "dec"} <= set(split.header.columns):
        ra, dec = (np.asarray(split.column(name), np.float64)[rows] for name in ("ra", "dec"))
        lost = int((~np.isfinite(ra) | ~(np.abs(dec) <= 90.0)).sum())
    if lost:
        raise DataError(
            f"{lost} of {rows.size} spectra of split {split.name!r} have no ra and dec, by which a "
            "HATS catalogue is divided; choose other --rows, or pass --synthetic-places"
        )
    return ra, dec


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Spectra of a partition, attached to its rows where the partition is written."""

    split: Split
    fwhm: np.ndarray | None

    @property
    def names(self) -> dict[str, str]:
        """What there is for every pixel, and what it means."""
        known = self.fwhm is not None
        return {name: meaning for name, meaning in PIXELS.items() if known or name != "lsf"}

    @property
    def kinds(self) -> "dict[str, DataType]":
        import pyarrow as pa

        kinds = {"wavelength": pa.float64(), "flux": pa.float32(), "ivar": pa.float32()}
        kinds |= {"lsf": pa.float32(), "mask": pa.uint32()}
        return {name: kind for name, kind in kinds.items() if name in self.names}

    def __call__(self, part: "pandas.DataFrame") -> Any:
        """The partition with a nested column; its ``row`` says which spectra."""
        import pandas as pd
        import pyarrow as pa
        from nested_pandas.series.ext_array import NestedExtensionArray

        rows = part["row"].to_numpy(dtype=np.int64)
        seen = self.split.observe(rows) if rows.size else None
        edges = pa.array(np.arange(rows.size + 1) * self.split.wave.size, pa.int32())
        lists = {
            name: pa.ListArray.from_arrays(edges, pa.array(self._values(name, seen), kind))
            for name, kind in self.kinds.items()
        }
        struct = pa.StructArray.from_arrays([*lists.values()], names=[*lists])
        nested = NestedExtensionArray(pa.chunked_array([struct]))
        return part.drop(columns="row").assign(**{SPECTRUM: pd.Series(nested, index=part.index)})

    def _values(self, name: str, seen: SpectrumView | None) -> np.ndarray:
        """One value a pixel, spectrum after spectrum."""
        if seen is None:
            return np.empty(0)
        if name in ("flux", "mask"):
            return np.ravel(getattr(seen, name))
        if name == "ivar":
            return np.ravel(_ivar(seen))
        of_pixel = self.split.wave if name == "wavelength" else self.fwhm
        return np.tile(of_pixel, len(seen.flux))


def _ivar(seen: SpectrumView) -> np.ndarray:
    """1 / σ², and 0 where a pixel is not to be used or no error is known."""
    ivar = np.zeros(seen.flux.shape, np.float32)
    if seen.error is not None:
        np.divide(1.0, np.square(seen.error, dtype=np.float64), out=ivar, where=seen.usable)
    return ivar


def export_hats(
    split: Split,
    rows: np.ndarray,
    folder: Path | str,
    truth: bool = False,
    synthetic: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write spectra as a HATS catalogue, whole or not at all.

    Parameters
    ----------
    split : Split
    rows : int array, shape (n_spec,)
        Of the split.
    folder : path
        Of the catalogue; its name is the catalogue's.
    truth : bool
        Labels as columns, too.
    synthetic : bool
        Places on the sky that are made up, even over the sphere. The column ``place`` says so.
    overwrite : bool
        Replace the catalogue that is there.

    Returns
    -------
    folder : Path
        To be opened with ``lsdb.open_catalog``; its ``croissant.json`` with ``mlcroissant``. The
        nested column ``spectrum`` has what `PIXELS` names, ``lsf`` where it is known.

    Raises
    ------
    DataError
        If something is there already, or a star has no place.
    ModuleNotFoundError
        If lsdb is not installed (the extra ``exchange``).
    """
    import lsdb

    folder = Path(folder)
    _require_own(folder, overwrite)
    frame = _frame(split, rows, truth, synthetic)
    attach = _Pixels(split, line_fwhm(split.header))
    catalog = lsdb.from_dataframe(
        frame,
        catalog_name=folder.name,
        partition_rows=PARTITION_ROWS,
        highest_order=FINEST_ORDER,
        margin_threshold=None,
    )
    whole = catalog.map_partitions(attach, meta=attach(catalog.meta))
    with temporary_folder(folder) as staging:
        whole.write_catalog(
            staging / folder.name,
            catalog_name=folder.name,
            addl_hats_properties=_properties(split, synthetic),
        )
        described = frame.drop(columns="row")
        describe_catalog(staging / folder.name, folder.name, described, attach.names, split.header)
        if os.path.lexists(folder):
            _require_own(folder, overwrite)
            replace_folder(staging / folder.name, folder)
        else:
            os.replace(staging / folder.name, folder)
    return folder


def _frame(split: Split, rows: np.ndarray, truth: bool, synthetic: bool) -> "pandas.DataFrame":
    """All but the spectra: names, places, S/N, conditions and, where asked for, labels."""
    import pandas as pd

    draws = split.draws.take(rows)
    ra, dec = _places(split, rows, synthetic)
    observed = split.header.store == "observed"
    columns = {
        "object_id": split.column("source_id")[rows] if observed else draws.index,
        "ra": ra,
        "dec": dec,
        "place": np.full(rows.size, "synthetic" if synthetic else "recorded"),
        "split": np.full(rows.size, split.name),
        "snr": split.snr[rows],
    }
    known = ("mag", "rv", *CONDITIONS, *(STAR if truth else ()))
    for name, values in draws.columns.items():
        if name in known and np.isfinite(values).any():
            columns[name] = values
    return pd.DataFrame(columns | {"row": rows})


def _properties(split: Split, synthetic: bool) -> dict[str, str]:
    """What the catalogue says of itself beside what HATS asks for."""
    return {
        "starsmith_dataset": split.digest,
        "starsmith_split": split.name,
        "starsmith_places": "synthetic" if synthetic else "recorded",
        "starsmith_flux_unit": FLUX_CGS,
        "starsmith_medium": "vacuum",
    }


def _require_own(folder: Path, overwrite: bool) -> None:
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise DataError(f"{folder} exists already; choose another --out or pass --overwrite")
    if folder.is_symlink() or not (folder / PROPERTIES).is_file():
        raise DataError(f"{folder} is no HATS catalogue and is not replaced; choose another --out")
