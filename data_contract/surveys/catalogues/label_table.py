"""Labels of several tables as one: one schema, the first table that knows a label is believed."""

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.quantities import LABELS, UNITS
from starsmith.data_contract.surveys.catalogues.catalogue import Catalogue

__all__ = ["compile_labels"]

LEAST_COMMON = 5  # stars that an offset is fitted on


def compile_labels(catalogues: Sequence[Catalogue], offsets: bool = False) -> Table:
    """One row per star, with every label, its 1σ and its source.

    Parameters
    ----------
    catalogues : sequence of Catalogue
        The most trusted first.
    offsets : bool
        Bring each table to the first by the median difference on their common stars.

    Returns
    -------
    table : Table
        ``meta["offsets"]`` says what was subtracted, and on how many stars.

    Raises
    ------
    DataError
        If tables have no id in common, or too few stars for an offset.
    """
    name = _common_id(catalogues)
    stars: dict[str, dict[str, tuple[float, float, str]]] = {}
    shifts: dict[str, list] = {}
    for number, catalogue in enumerate(catalogues):
        held = {text: dict(catalogue.labels_of(row)) for text, row in catalogue.rows_by(name)}
        if offsets and number:
            shifts[catalogue.source] = _shift(stars, held, catalogue.source)
        for text, labels in held.items():
            known = stars.setdefault(text, {})
            for label, value in labels.items():
                known.setdefault(label, value)
    return _table(name, stars, shifts)


def _common_id(catalogues: Sequence[Catalogue]) -> str:
    for name in catalogues[0].id_names:
        if all(name in other.id_names for other in catalogues):
            return name
    names = "; ".join(f"{c.table.path}: {', '.join(c.id_names)}" for c in catalogues)
    raise DataError(f"the tables have no id in common ({names})")


def _shift(stars: dict, held: dict, source: str) -> list[tuple[str, float, int]]:
    """Subtract the median difference to the stars that are known already, label by label."""
    found = []
    for label in LABELS:
        common = [s for s in held if label in held[s] and label in stars.get(s, {})]
        if not common:
            continue
        if len(common) < LEAST_COMMON:
            raise DataError(
                f"{source}: {len(common)} stars in common have {label}; an offset takes "
                f"{LEAST_COMMON}, leave out --offsets"
            )
        shift = float(np.median([held[s][label][0] - stars[s][label][0] for s in common]))
        for labels in held.values():
            if label in labels:
                value, error, said = labels[label]
                labels[label] = (value - shift, error, f"{said} (offset {-shift:+.4g})")
        found.append((label, shift, len(common)))
    return found


def _table(name: str, stars: dict, shifts: dict) -> Table:
    texts = sorted(stars)
    table = Table(meta={"offsets": shifts})
    is_number = all(text.lstrip("-").isdigit() for text in texts)
    table[name] = np.array(texts, np.int64) if is_number else texts
    for label in LABELS:
        if not any(label in known for known in stars.values()):
            continue
        rows = [stars[text].get(label, (np.nan, np.nan, "")) for text in texts]
        table[label] = [row[0] for row in rows]
        table[f"{label}_error"] = [row[1] for row in rows]
        table[f"{label}_source"] = [row[2] for row in rows]
        table[label].unit = table[f"{label}_error"].unit = UNITS[label]
    return table
