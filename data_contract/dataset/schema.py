"""What a dataset holds: its header and the columns of each split."""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from starsmith.data_contract.arms import ArmSpan
from starsmith.data_contract.dataset.observed_header import observed_problems
from starsmith.data_contract.dataset.precision import (
    OBSERVED_BITS,
    PRECISIONS,
    STEPS_PER_SIGMA,
    STORES,
    stored_bits,
)
from starsmith.data_contract.differing_keys import differing_keys
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.noise.view import ERROR_KINDS, NoiseModel, NoiseTables
from starsmith.data_contract.quantities import (
    CONDITIONS,
    LABELS,
    OBSERVED_SCALARS,
    QUANTITIES,
    SNR_STATISTICS,
    SOMETIMES,
    SPLITS,
)
from starsmith.data_contract.random import check_seed

__all__ = [
    "CHUNK_ROWS",
    "DATASET_SCHEMA",
    "DATASET_VERSION",
    "DATASET_VERSIONS",
    "MEANINGS",
    "NAME_BYTES",
    "NO_INDEX",
    "OBSERVED_BITS",
    "OBSERVED_SPECTRA",
    "OBSERVED_VERSION",
    "SHARD_ROWS",
    "STORES",
    "WAVE_ATTRIBUTES",
    "Column",
    "DatasetHeader",
    "stored_bits",
]

DATASET_SCHEMA = "starsmith.dataset"
DATASET_VERSION = 3
OBSERVED_VERSION = 4
DATASET_VERSIONS = (1, 2, 3, 4)
"""Versions read: 1 has no card, and no copy of ``wave`` beside the columns of a split; on the card
of 2 a sentence stands for the columns stored; both lack ``snr_p95``. 3 holds simulated spectra, 4
observed ones."""

OBSERVED_SPECTRA = ("flux", "error", "mask")
"""Spectra kept of an ``observed`` store."""

SHARD_ROWS = 2048
LEAST_ROWS = 16  # that a shard may have; it has a multiple of them
CHUNK_ROWS = 64  # rows decoded together: 1 MB of 4096-pixel spectra
NO_INDEX = -1  # fill value of ``index``; an index is never negative
OBSERVED_SNR = "median over usable pixels of flux over error"
NAME_BYTES = 64  # of a spectrum's name, UTF-8, zeros after it

ARRAYS = ("wave", "noise")
RUN_KINDS = {
    **dict.fromkeys(("seed", "keep_bits", "shard_rows", "chunk_rows", "schema_version"), int),
    **dict.fromkeys(("store", "precision", "error_kind", "mag_band", "notice", "bank_digest"), str),
    **dict.fromkeys(("config", "grid", "instrument", "prior", "versions", "counts"), dict),
    **dict.fromkeys(("noise_model", "population", "observed"), dict),
    "label_names": list,
    **dict.fromkeys(("error_bits", "column_rows"), (int, type(None))),
}
"""Entry of a header -> its type in JSON."""
MOST_SHARDS = 10**6
ENTRIES = (
    *("config", "grid", "instrument", "prior"),
    *("versions", "noise_model", "population", "observed"),
)
UNSAID = {
    "noise_model": {},
    "population": {},
    "observed": {},
    "error_bits": None,
    "column_rows": None,
    "precision": "relative",
    "chunk_rows": LEAST_ROWS,
}
"""Entries that a header names only where they differ from this, the only way there once was."""


WAVE_ATTRIBUTES = {
    "long_name": "wavelength of pixel centres",
    "standard_name": "radiation_wavelength",
    "medium": "vacuum",
}

MEANINGS = {quantity.name: quantity.meaning for quantity in QUANTITIES}
"""Meaning of every column, written into its array as ``long_name``."""


@dataclass(frozen=True)
class Column:
    """One array of a split: its name, dtype and dimension names.

    ``may_lack`` says that single values may be unknown: NaN, or `NO_INDEX` of whole numbers.
    """

    name: str
    dtype: str
    dims: tuple[str, ...] = ("spectrum",)
    may_lack: bool = False
    meaning: str = ""

    @property
    def fill_value(self) -> float:
        """What a missing row reads as; no written row holds it where nothing may lack."""
        fills = {"f": float("nan"), "i": NO_INDEX, "u": 0}
        return fills[np.dtype(self.dtype).kind]

    @property
    def is_flux(self) -> bool:
        """Whether it holds fluxes or errors, which are rounded."""
        return self.dims[1:] == ("wavelength",) and self.dtype == "float32"

    def width(self, n_wave: int) -> tuple[int, ...]:
        """Shape of one row."""
        widths = {"wavelength": n_wave, "character": NAME_BYTES}
        return tuple(widths[dim] for dim in self.dims[1:])

    @property
    def about(self) -> dict[str, str]:
        """Attributes that xarray and people read; spectra name ``wave`` as their coordinate."""
        meaning = self.meaning or MEANINGS.get(self.name, self.name)
        wave = {"coordinates": "wave"} if self.dims[1:] == ("wavelength",) else {}
        return {"long_name": meaning, **wave}


@dataclass(frozen=True, kw_only=True, eq=False)
class DatasetHeader:
    """Everything that decides the contents of a dataset.

    Attributes
    ----------
    wave : float64, shape (n_wave,)
        Pixel centres, vacuum [Å].
    noise : NoiseTables, optional
        None where spectra were observed.
    label_names : tuple of str
        In `LABELS` order.
    counts : dict of str to int
        Spectra in each split.
    seed : int
    store : str
        ``noiseless``, ``frozen``, ``keys`` or ``observed``: which spectra the file holds.
    keep_bits : int
        Mantissa bits kept of every stored flux: relative rounding 2^-(keep_bits + 1).
    error_bits : int, optional
        The same of a stored error; ``keep_bits`` unless given.
    precision : str
        One of `PRECISIONS`.
    error_kind : str
        ``observed`` or ``smooth``: what `honest_error` makes unless asked otherwise.
    shard_rows : int
        Spectra in a shard, a multiple of ``chunk_rows``.
    chunk_rows : int
        Spectra that are decoded together.
    column_rows : int, optional
        Rows in a file of a column of one number per star, a multiple of ``shard_rows``; each
        shard has files of its own unless given.
    mag_band : str
        The magnitude's band: a speclite name, or a wavelength as ``ab8000``.
    notice : str
        Label of a demonstration grid, else empty.
    config : dict
        The resolved configuration of the run.
    bank_digest : str
        SHA-256 of the bank the spectra were interpolated in.
    grid, instrument : dict
        Names and resolved figures.
    prior : dict of str to (min, max)
        Declared range of labels, mag and conditions.
    noise_model : dict
        What `NoiseModel.recorded` says; empty for the calculator's noise.
    population : dict
        What `Population.recorded` says of the table stars are drawn from; empty without one.
    observed : dict
        Of observed spectra: survey, arms, unit, frame, whether there are errors, where labels come
        from, and what was done to them; empty for simulated ones.
    versions : dict
        Software that wrote the data.
    schema_version : int
        Of the file, one of `DATASET_VERSIONS`.
    """

    wave: np.ndarray
    noise: NoiseTables | None
    label_names: tuple[str, ...]
    counts: dict[str, int]
    seed: int
    store: str = "noiseless"
    keep_bits: int = 12
    error_bits: int | None = None
    precision: str = "relative"
    error_kind: str = "observed"
    shard_rows: int = SHARD_ROWS
    chunk_rows: int = LEAST_ROWS
    column_rows: int | None = None
    mag_band: str = ""
    notice: str = ""
    config: dict = field(default_factory=dict)
    bank_digest: str = ""
    grid: dict = field(default_factory=dict)
    instrument: dict = field(default_factory=dict)
    prior: dict = field(default_factory=dict)
    noise_model: dict = field(default_factory=dict)
    population: dict = field(default_factory=dict)
    observed: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)
    schema_version: int = DATASET_VERSION

    def __post_init__(self):
        plain = {name: _plain(name, getattr(self, name)) for name in ENTRIES}
        plain["wave"] = np.asarray(self.wave, dtype=np.float64)
        plain["label_names"] = tuple(self.label_names)
        order = sorted(self.counts, key=lambda split: SPLITS.get(split, len(SPLITS)))
        plain["counts"] = {split: int(self.counts[split]) for split in order}
        plain["seed"] = check_seed(self.seed)
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if problems := list(self._problems()):
            raise DataError("dataset header: " + "; ".join(problems))

    def _problems(self):
        if unknown := sorted(set(self.counts) - set(SPLITS)):
            yield f"splits {unknown} are not among {list(SPLITS)}"
        if not self.counts or min(self.counts.values()) < 1:
            yield f"counts {self.counts} must name at least one split and hold 1 or more spectra"
        if list(self.label_names) != [name for name in LABELS if name in self.label_names]:
            yield f"labels {self.label_names} must be among and in order of {LABELS}"
        if self.schema_version not in DATASET_VERSIONS:
            yield f"schema_version {self.schema_version} is not one of {DATASET_VERSIONS}"
        if sum(self.counts.values()) > MOST_SHARDS * max(1, self.shard_rows):
            yield f"counts {self.counts} make more than {MOST_SHARDS} shards of {self.shard_rows}"
        if self.store not in (*STORES, "observed"):
            yield f"store {self.store!r} is not one of {[*STORES, 'observed']}"
        if self.precision not in PRECISIONS:
            yield f"precision {self.precision!r} is not one of {list(PRECISIONS)}"
        elif self.precision == "noise" and self.store not in STEPS_PER_SIGMA:
            yield f"a {self.store} store holds no simulated flux that precision 'noise' could round"
        if self.error_kind not in ERROR_KINDS:
            yield f"error_kind {self.error_kind!r} is not one of {ERROR_KINDS}"
        for name, bits in (("keep_bits", self.keep_bits), ("error_bits", self.kept_bits("error"))):
            if not 1 <= bits <= 22:
                yield f"{name} {bits} is outside 1..22"
        step = math.lcm(LEAST_ROWS, self.chunk_rows)
        if self.shard_rows < 1 or not step or self.shard_rows % step:
            yield f"shard_rows {self.shard_rows} is not a multiple of {step}"
        elif self.column_rows is not None and (
            self.column_rows < 1 or self.column_rows % self.shard_rows
        ):
            yield f"column_rows {self.column_rows} is not a multiple of {self.shard_rows}"
        seen = self.store == "observed"
        told = [*observed_problems(self.observed, self.wave.size)] if seen or self.observed else []
        if told or seen != (self.schema_version == OBSERVED_VERSION):
            yield "; ".join(told) or f"store {self.store!r} of version {self.schema_version}"
        elif (self.noise is None) != seen:
            yield "observed spectra have no noise tables, simulated ones have"
        elif self.noise is not None and not np.array_equal(self.wave, self.noise.wave):
            yield "wave differs from the wave of the noise tables"
        elif any(np.any(np.diff(self.wave[arm.pixels]) <= 0) for arm in self.arms):
            yield "wave does not increase within an arm"
        try:
            NoiseModel.from_recorded(self.noise_model)
        except DataError as problem:
            yield str(problem)
        for name, bounds in self.prior.items():
            if not (isinstance(bounds, list) and len(bounds) == 2 and bounds[0] <= bounds[1]):
                yield f"prior range of {name!r} is {bounds!r}, expected (min, max)"

    @property
    def arms(self) -> tuple[ArmSpan, ...]:
        """Which pixels each arm recorded."""
        if self.noise is not None:
            return self.noise.arms
        spans = self.observed.get("arms", [])
        edges = [*(span["start"] for span in spans), self.wave.size]
        return tuple(
            ArmSpan(span["name"], start, stop)
            for span, start, stop in zip(spans, edges[:-1], edges[1:], strict=True)
        )

    @property
    def has_error(self) -> bool:
        """Whether spectra come with an error; without, no learner that needs one takes them."""
        return self.store != "observed" or bool(self.observed.get("has_error"))

    def kept_bits(self, name: str) -> int:
        """Mantissa bits kept of a column of spectra."""
        own = self.error_bits if name == "error" else None
        return self.keep_bits if own is None else own

    def in_steps(self, name: str) -> bool:
        """Whether a column holds whole multiples of a step of the noise."""
        return self.precision == "noise" and name in ("flux_model", "flux")

    @cached_property
    def noise_terms(self) -> NoiseModel:
        """Terms of the noise that spectra are observed with."""
        return NoiseModel.from_recorded(self.noise_model)

    @cached_property
    def columns(self) -> dict[str, Column]:
        """Arrays of every split: draw key, the star's, conditions, S/N, spectra."""
        if self.store == "observed":
            return {column.name: column for column in self._observed_columns()}
        there = [name for name in SOMETIMES if any(self.prior.get(name, ()))]
        snr = SNR_STATISTICS if self.schema_version > 2 else ("snr",)
        scalars = (*self.label_names, "mag", *there, *CONDITIONS, *snr)
        table = [Column("index", "int64"), *(Column(name, "float64") for name in scalars)]
        table += [Column(s, "float32", ("spectrum", "wavelength")) for s in STORES[self.store]]
        return {column.name: column for column in table}

    @cached_property
    def gathered(self) -> tuple[str, ...]:
        """Columns of one number per star whose files hold many shards; none in older files."""
        names = (column.name for column in self.columns.values() if len(column.dims) == 1)
        return tuple(names) if self.column_rows else ()

    def _observed_columns(self) -> Iterator[Column]:
        for name in ("index", "source_id"):
            yield Column(name, "int64")
        yield Column("targetid", "int64", may_lack=True)
        yield Column("name", "uint8", ("spectrum", "character"))
        yield from (Column(name, "float64") for name in self.label_names)
        unknown = (*(f"{name}_error" for name in self.label_names), *OBSERVED_SCALARS)
        yield from (Column(name, "float64", may_lack=True) for name in unknown)
        yield Column("snr", "float64", may_lack=True, meaning=OBSERVED_SNR)
        for name in OBSERVED_SPECTRA:
            if name != "error" or self.has_error:
                dtype = "uint32" if name == "mask" else "float32"
                yield Column(name, dtype, ("spectrum", "wavelength"))

    def run(self) -> dict:
        """The header as JSON: what ``run.json`` holds and what a resumed run must equal."""
        scalars = {k: getattr(self, k) for k in self.__dataclass_fields__ if k not in ARRAYS}
        for name, value in UNSAID.items():
            if scalars[name] == value:
                del scalars[name]
        return {
            **scalars,
            "label_names": list(self.label_names),
            "schema": DATASET_SCHEMA,
            "wave_sha256": _sha256({"wave": self.wave}),
            "noise_sha256": _sha256({} if self.noise is None else self.noise.arrays()),
        }

    @classmethod
    def from_run(cls, run: dict, wave: np.ndarray, noise: NoiseTables | None) -> "DatasetHeader":
        """Inverse of `run`, given the arrays.

        Raises
        ------
        DataError
            If entries are missing or unknown, or the arrays are not those of the run.
        """
        known = set(cls.__dataclass_fields__) - set(ARRAYS)
        entries = {key: run[key] for key in known & set(run)}
        if odd := [key for key, value in entries.items() if not isinstance(value, RUN_KINDS[key])]:
            raise DataError(f"dataset header: entries {sorted(odd)} are of another type")
        if missing := sorted(known - set(entries) - set(UNSAID)):
            raise DataError(f"dataset header: entries {missing} are missing")
        header = cls(wave=wave, noise=noise, **entries)
        if keys := differing_keys(run, header.run()):
            raise DataError(f"dataset header: {', '.join(keys)} do not match the stored arrays")
        return header


def _plain(name: str, value: object) -> object:
    """Value as JSON gives it back, so that a header read equals the header written."""
    try:
        return json.loads(json.dumps(value))
    except TypeError as problem:
        raise DataError(f"dataset header: {name} cannot be written as JSON: {problem}") from None


def _sha256(arrays: dict[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        total.update(name.encode())
        total.update(values.astype("<f8").tobytes())
    return total.hexdigest()
