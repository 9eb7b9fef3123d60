"""Maps of how far a grid can be trusted, cell by cell of its labels, and the share of stars."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.quantities import LABELS

__all__ = [
    "INTERPOLATION",
    "LIMITS",
    "MEASURES",
    "STRUCTURES",
    "WORDS",
    "QualityMap",
    "cell_places",
    "map_shares",
    "recorded_maps",
    "trust_lines",
]

INTERPOLATION, STRUCTURES = "interpolation", "structures"  # names of maps

MEASURES = {
    "error": "mean of |interpolated / true - 1| at the pixels",
    "bias": "largest bias of a label over its Cramér-Rao bound, at S/N 100",
    "rms": "rms difference of continuum-normalised spectra at R = 5000",
    "ca_ii": "|ln ratio| of the equivalent widths of the Ca II triplet",
    "flux": "|ln ratio| of the flux at 800 nm",
}
"""What a map may hold -> its meaning."""

WORDS = {
    "error": "mean error",
    "bias": "label bias / CRLB, S/N 100",
    "rms": "rms at R = 5000",
    "ca_ii": "Ca II triplet, |Δ ln W|",
    "flux": "flux at 800 nm, |Δ ln F|",
}
"""Measure -> its name in figures and cards."""

LIMITS = {"error": 0.0015, "bias": 0.2, "rms": 0.01, "ca_ii": 0.1, "flux": 0.03}
"""Measure -> value beyond which it is flagged."""

CODES = "".join(chr(code) for code in range(35, 127) if chr(code) not in "\\~")  # ascending
UNKNOWN = "~"
STEP = 0.085  # dex between values of neighbouring codes
FIRST = 1e-6  # value of the first code and below


@dataclass(frozen=True, kw_only=True)
class QualityMap:
    """Measures of trust in every cell of a grid's labels.

    Attributes
    ----------
    edges : dict of str to float64 array
        Label -> edges of the cells along it, increasing.
    values : dict of str to float64 array, shape (n_cell_1, n_cell_2, ...)
        Name of `MEASURES` -> value; NaN where it is not known.
    about : str
        How it was measured, and for which instrument.
    """

    edges: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    about: str

    def __post_init__(self):
        shape = tuple(max(len(edges) - 1, 1) for edges in self.edges.values())
        for name, values in self.values.items():
            if name not in MEASURES or values.shape != shape:
                raise DataError(f"map {name!r} of {values.shape}: expected one of {shape} cells")

    def of_stars(self, labels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Values in the cells of stars, NaN outside; labels float64 (n_star,) by name."""
        place = cell_places(self.edges, labels)
        outside = np.any(
            [
                (labels[name] < edges[0]) | (labels[name] > edges[-1])
                for name, edges in self.edges.items()
            ],
            axis=0,
        )
        return {
            name: np.where(outside, np.nan, values[place]) for name, values in self.values.items()
        }

    def summary(self) -> dict[str, dict[str, float | None]]:
        """Median, 90 % and worst of each measure, and the share of cells beyond its limit."""
        return {name: _told(values, LIMITS[name]) for name, values in self.values.items()}

    def record(self) -> dict:
        """JSON-able: values as one character a cell, rounded up by at most 22 %."""
        return {
            "edges": {name: [float(edge) for edge in edges] for name, edges in self.edges.items()},
            "values": {name: _encoded(values) for name, values in self.values.items()},
            "scale": [FIRST, STEP],
            "about": self.about,
        }

    @classmethod
    def of_record(cls, record: Mapping) -> "QualityMap":
        """Map of what `record` made; DataError where it cannot be one."""
        try:
            told = record["edges"]  # JSON may have sorted them: their order is that of LABELS
            names = [name for name in LABELS if name in told]
            edges = {name: np.array(told[name], dtype=np.float64) for name in names}
            shape = tuple(max(len(nodes) - 1, 1) for nodes in edges.values())
            told = record["values"]
            known = [name for name in MEASURES if name in told]  # in their order, not JSON's
            first, step = (float(part) for part in record.get("scale", (FIRST, STEP)))
            if not (0.0 < first < 1.0 and 0.0 < step < 1.0):
                raise ValueError(f"scale {first:g}, {step:g}")
            scale = first * 10.0 ** (step * np.arange(len(CODES)))
            values = {name: _decoded(told[name], shape, scale) for name in known}
            about = str(record["about"])
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            raise DataError(f"quality map: {problem!r}; run 'specsim grid errors' again") from None
        if any(np.any(~(np.diff(nodes) > 0)) or not nodes.size for nodes in edges.values()):
            raise DataError("quality map: its edges do not increase; run 'specsim grid errors'")
        return cls(edges=edges, values=values, about=about)


def cell_places(
    edges: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, ...]:
    """Index of the cells of stars along every label; those outside get the nearest cell."""
    return tuple(
        np.clip(np.searchsorted(nodes, labels[name], side="right") - 1, 0, max(len(nodes) - 2, 0))
        for name, nodes in edges.items()
    )


def _told(values: np.ndarray, limit: float) -> dict[str, float | None]:
    known = values[np.isfinite(values)]
    there = known.size > 0
    return {
        "median": float(np.median(known)) if there else None,
        "p90": float(np.percentile(known, 90.0)) if there else None,
        "worst": float(known.max()) if there else None,
        "limit": limit,
        "beyond_limit": float(np.mean(known > limit)) if there else None,
        "known": known.size / values.size,
    }


def map_shares(
    maps: Mapping[str, Mapping], labels: Mapping[str, np.ndarray]
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Figures over stars, of every map of a grid's provenance: name -> measure -> figure."""
    found = {}
    for name, record in maps.items():
        there = QualityMap.of_record(record)
        if all(label in labels for label in there.edges):
            of_stars = there.of_stars(labels)
            found[name] = {key: _told(values, LIMITS[key]) for key, values in of_stars.items()}
    return found


def trust_lines(shares: Mapping[str, Mapping]) -> list[str]:
    """A line for each map of `map_shares`: median and worst, and stars beyond limits."""
    return [
        f"Trust in {name}: "
        + "; ".join(f"{WORDS[measure]}: {_in_words(told)}" for measure, told in measures.items())
        for name, measures in shares.items()
    ]


def _in_words(told: Mapping[str, float]) -> str:
    if not told["known"]:
        return "not known"
    unknown = f", {1.0 - told['known']:.1%} not known" if told["known"] < 1.0 else ""
    return (
        f"{told['median']:.1g} in the median, at most {told['worst']:.2g}, "
        f"{told['beyond_limit']:.1%} of stars beyond {told['limit']:g}{unknown}"
    )


def _encoded(values: np.ndarray) -> str:
    """One character a cell in C order."""
    with np.errstate(divide="ignore", invalid="ignore"):
        code = np.ceil(np.log10(values / FIRST) / STEP - 1e-9)
    code = np.clip(np.nan_to_num(code, nan=0.0, neginf=0.0), 0, len(CODES) - 1).astype(int)
    letters = np.array(list(CODES))[code]
    return "".join(np.where(np.isfinite(values), letters, UNKNOWN).ravel())


def _decoded(text: str, shape: tuple[int, ...], scale: np.ndarray) -> np.ndarray:
    table = dict(zip(CODES, scale.tolist(), strict=True))
    table[UNKNOWN] = np.nan
    if len(text) != np.prod(shape) or not set(text) <= set(table):
        raise ValueError(f"{len(text)} characters for {shape} cells, or unknown ones")
    return np.array([table[letter] for letter in text]).reshape(shape)


def recorded_maps(grid: Mapping) -> dict[str, dict]:
    """Records of the maps in a bank's or data set's ``grid`` entry; empty without any."""
    found = grid.get("provenance", {}).get("maps", {})
    return dict(found) if isinstance(found, Mapping) else {}
