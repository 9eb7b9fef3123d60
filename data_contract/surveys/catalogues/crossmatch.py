"""Stars that two tables have in common: by a shared id, or on the sky at one epoch."""

import warnings
from dataclasses import dataclass

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.table import Table
from astropy.time import Time

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys.catalogues.catalogue import ID_COLUMNS
from starsmith.data_contract.tables.identifiers import text_of_rows
from starsmith.data_contract.tables.user_table import UserTable

__all__ = ["Match", "match_by_id", "match_on_sky"]

RADIUS = 1.0  # arcsec
POSITION = {"ra": ("ra_deg", "raj2000", "target_ra"), "dec": ("dec_deg", "dej2000", "target_dec")}
MOTION = {"pmra": ("pm_ra", "pmra_cosdec"), "pmdec": ("pm_dec",)}
EPOCH = ("ref_epoch", "epoch")


@dataclass(frozen=True)
class Match:
    """Pairs of rows of two tables.

    Attributes
    ----------
    first, second : int64 arrays, shape (n_pair,)
        Rows, in order of the first.
    by : str
        The id, or the epoch and radius.
    separation : float64, shape (n_pair,), or None
        [arcsec].
    """

    first: np.ndarray
    second: np.ndarray
    by: str
    separation: np.ndarray | None = None

    @property
    def duplicates(self) -> tuple[int, int]:
        """Rows of the first, and of the second table, that are in several pairs."""
        return tuple(int((np.unique(r, return_counts=True)[1] > 1).sum()) for r in self._sides)

    @property
    def _sides(self) -> tuple[np.ndarray, np.ndarray]:
        return self.first, self.second

    def table(self) -> Table:
        """Rows, how often each is in a pair, and separations; how they were matched as metadata."""
        found = Table(meta={"by": self.by})
        for name, rows in zip(("a", "b"), self._sides, strict=True):
            found[f"row_{name}"] = rows
            _, member, count = np.unique(rows, return_inverse=True, return_counts=True)
            found[f"n_{name}"] = count[member] if rows.size else rows
        if self.separation is not None:
            found["separation"] = self.separation * units.arcsec
        return found


def match_by_id(first: UserTable, second: UserTable, name: str = "") -> Match:
    """Pairs of rows with the same id: the named one, or the first that both have.

    Raises
    ------
    DataError
        If they have none in common.
    """
    for known, aliases in ID_COLUMNS.items():
        if name and name != known:
            continue
        columns = [table.find(known, aliases) for table in (first, second)]
        if None in columns:
            continue
        texts = [
            text_of_rows(table.path, column, table.columns[column])
            for table, column in zip((first, second), columns, strict=True)
        ]
        pairs = _equal(texts[0], texts[1])
        return Match(pairs[0], pairs[1], known)
    wanted = name or ", ".join(ID_COLUMNS)
    raise DataError(f"{first.path} and {second.path} have no id in common ({wanted}); match by sky")


def _equal(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of equal texts; empty ones equal none."""
    order = np.argsort(second, kind="stable")
    ranked = second[order]
    low, high = (np.searchsorted(ranked, first, side=side) for side in ("left", "right"))
    count = np.where(first == "", 0, high - low)
    start = np.repeat(low, count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(np.arange(first.size), count), order[start + within]


def match_on_sky(
    first: UserTable,
    second: UserTable,
    radius: float = RADIUS,
    epoch: float | None = None,
) -> Match:
    """Pairs of rows within a radius on the sky, both brought to one epoch.

    Parameters
    ----------
    first, second : UserTable
        ``ra``, ``dec`` [deg, ICRS]; ``pmra``, ``pmdec`` [mas/yr] and ``epoch`` [Julian year] where
        they are known: positions without them stay where they are.
    radius : float
        [arcsec]
    epoch : float, optional
        Julian year; 2016.0, that of Gaia DR3, unless given.
    """
    to_epoch = 2016.0 if epoch is None else epoch
    places, rows = [], []
    moved = []
    for table in (first, second):
        place, known, has_moved = _positions(table, to_epoch)
        places.append(place)
        rows.append(np.flatnonzero(known))
        moved.append("moved" if has_moved else "as they are")
    one, other, apart, _ = search_around_sky(places[0], places[1], radius * units.arcsec)
    by = f"sky within {radius:g} arcsec at epoch {to_epoch:g} ({' and '.join(moved)})"
    order = np.lexsort((apart.arcsec, one))
    found = rows[0][one][order], rows[1][other][order]
    return Match(found[0], found[1], by, apart.arcsec[order])


def _positions(table: UserTable, epoch: float) -> tuple[SkyCoord, np.ndarray, bool]:
    """Positions of the rows that have one at an epoch, and whether any was moved there."""
    found = {name: table.find(name, aliases) for name, aliases in {**POSITION, **MOTION}.items()}
    if found["ra"] is None or found["dec"] is None:
        raise DataError(f"{table.path}: no columns ra and dec among {list(table.columns)}")
    ra, dec = (table.numbers(found[name]).astype(np.float64) for name in POSITION)
    known = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0)
    column = table.find("epoch", EPOCH)
    if column is None or None in (found["pmra"], found["pmdec"]):
        return SkyCoord(ra[known], dec[known], unit="deg"), known, False
    motion = [np.nan_to_num(table.numbers(found[name]))[known] for name in MOTION]
    at = table.numbers(column)[known]
    at = np.where(np.isfinite(at) & (at > 1000.0), at, epoch)
    place = SkyCoord(
        ra[known] * units.deg,
        dec[known] * units.deg,
        pm_ra_cosdec=motion[0] * units.mas / units.yr,
        pm_dec=motion[1] * units.mas / units.yr,
        obstime=Time(at, format="jyear"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of stars without a distance, which matters to none here
        moved = place.apply_space_motion(new_obstime=Time(epoch, format="jyear"))
    return SkyCoord(moved.ra, moved.dec), known, True
