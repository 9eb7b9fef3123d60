"""One split of a data set: draws, noiseless flux, and the observed view of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from starsmith.data_contract.convertible import Convertible
from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.shuffle import BUFFER_SHARDS, shuffled_batches
from starsmith.data_contract.dataset.split_columns import open_column, read_rows
from starsmith.data_contract.dataset.split_spectra import (
    Regenerate,
    RegeneratedSpectra,
    ShardCache,
    Source,
    StoredSpectra,
)
from starsmith.data_contract.described import described
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.noise.observation import Realisation, spectrum_mask
from starsmith.data_contract.noise.view import observe_spectra
from starsmith.data_contract.observed import Observed
from starsmith.data_contract.quality_map import QualityMap, recorded_maps
from starsmith.data_contract.quantities import CONDITIONS, STAR

__all__ = ["SpectrumView", "Split", "read_draws"]

BLOCK_ROWS = 512  # spectra observed at a time; 34 MB of float64 working space at 4096 pixels

Rows = np.ndarray | slice | None


@dataclass(frozen=True, kw_only=True)
class SpectrumView(Observed):
    """Observed spectra of a split: flux and honest 1σ error [1e-17 erg/s/cm²/Å], and mask.

    An error is None where a survey has none, and a flux may be a relative one: the header tells.
    A mask of 0 means `usable` and nothing else: writers flag or refuse every other pixel.

    ``wave`` is that of the split; a view of toy spectra may leave it out.
    """

    wave: np.ndarray | None = None


def read_draws(path: Path, split: str, header: DatasetHeader, rows: slice = slice(None)) -> Draws:
    """Read keys, labels, magnitudes and conditions of a split, finished or not.

    Raises
    ------
    DataError
        If one of their arrays is damaged.
    """
    columns = {
        column.name: read_rows(open_column(path, split, column.name), rows)
        for column in header.columns.values()
        if len(column.dims) == 1
    }
    if header.store == "observed":  # of a sky that nobody recorded
        nothing = np.full(len(columns["index"]), np.nan)
        columns = dict.fromkeys((*STAR, *CONDITIONS), nothing) | columns
    return Draws.of_columns(header.seed, split, header.label_names, columns)


@described
class Split(Convertible):
    """One split of a dataset: its draws, and its spectra as views computed on request.

    Rows are an int array, a boolean array, a slice, or None for all; results keep their
    order. For repeated reading in random order call `load` first.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        header: DatasetHeader,
        regenerate: Regenerate | None,
        digest: str,
    ):
        self.name = name
        self.header = header
        self.digest = digest
        self.wave = header.wave
        self._path = path
        self._regenerate = regenerate

    def _facts(self) -> dict[str, object]:
        return {
            "name": self.name,
            "spectra": len(self),
            "labels": " ".join(self.header.label_names),
        }

    def __len__(self) -> int:
        return self.header.counts[self.name]

    @cached_property
    def draws(self) -> Draws:
        """Keys, labels, magnitudes and conditions of all spectra."""
        return read_draws(self._path, self.name, self.header)

    @property
    def labels(self) -> np.ndarray:
        """Labels, float64 (n_spec, n_label) [K, dex, dex, ...]."""
        return self.draws.labels

    def label(self, name: str) -> np.ndarray:
        """One label, float64 (n_spec,)."""
        if name not in self.header.label_names:
            raise DataError(
                f"{self._path}: label {name!r} is not in it; it has {self.header.label_names}"
            )
        return self.draws.label(name)

    @cached_property
    def snr(self) -> np.ndarray:
        """Median over pixels of flux_model / true σ, float64 (n_spec,) [per pixel]."""
        return read_rows(open_column(self._path, self.name, "snr"))

    @cached_property
    def snr_p95(self) -> np.ndarray | None:
        """95th percentile of the same, float64 (n_spec,); None in data sets before version 3."""
        if "snr_p95" not in self.header.columns:
            return None
        return read_rows(open_column(self._path, self.name, "snr_p95"))

    @cached_property
    def grid_errors(self) -> dict[str, dict[str, np.ndarray]]:
        """How far the grid can be trusted at each star: map -> measure -> float64 (n_spec,).

        Maps are those of the grid's cells that ``specsim grid errors`` measures: in
        ``interpolation`` the ``error`` of the spectrum [relative] and the ``bias`` of labels [of
        their bound at S/N 100]. NaN where it is not known; empty where the grid has no map.
        """
        labels = {name: self.label(name) for name in self.header.label_names}
        return {
            name: QualityMap.of_record(record).of_stars(labels)
            for name, record in recorded_maps(self.header.grid).items()
        }

    def load(self, cache: Path | str | None = None) -> "Split":
        """Decode all spectra, 16 kB each at 4096 pixels; returns itself.

        Parameters
        ----------
        cache : path, optional
            A folder: spectra are kept there in ``.npy`` files named after the dataset's
            digest, mapped rather than held in memory, and found again the next time.
        """
        for name, spectra in self._caches.items():
            file = f"{self.digest}-{self.name}-{name}.npy"
            spectra.load(None if cache is None else Path(cache) / file)
        return self

    def batches(
        self, size: int = 256, epoch: int = 0, seed: int = 0, buffer_shards: int = BUFFER_SHARDS
    ) -> Iterator[np.ndarray]:
        """Rows in random order, a few shards at a time; see `shuffled_batches`."""
        rows = self.header.shard_rows
        return shuffled_batches(len(self), rows, size, epoch, seed, buffer_shards)

    def flux_model(self, rows: Rows = None) -> np.ndarray:
        """Noiseless flux.

        Returns
        -------
        flux_model : float32 array, shape (n_rows, n_wave) [1e-17 erg/s/cm²/Å]

        Raises
        ------
        DataError
            If the store does not hold it: a frozen one, or keys without the forward model.
        """
        if "flux_model" not in self._caches:
            raise DataError(f"{self._path}: no noiseless flux: {self._one_draw}")
        return self._caches["flux_model"].read(self._rows(rows))

    def observe(
        self,
        rows: Rows = None,
        stream: str = "noise",
        sub: int = 0,
        error: str | None = None,
    ) -> SpectrumView:
        """Observe spectra: noisy flux, honest error and mask.

        Parameters
        ----------
        rows : int or bool array, slice or None
        stream, sub : str, int
            ``"noise", 0`` is the draw of record; ``"training", epoch`` a fresh one.
        error : str, optional
            ``observed`` or ``smooth``; the dataset's own kind unless given.

        Returns
        -------
        view : SpectrumView

        Raises
        ------
        DataError
            If a frozen store is asked for another draw or error than the one it holds.
        """
        rows = self._rows(rows)
        kind = error or self.header.error_kind
        if self.header.store in ("frozen", "observed"):
            return self._frozen(rows, stream, sub, kind)
        shape = (rows.size, self.wave.size)
        flux, sigma = np.empty(shape, np.float32), np.empty(shape, np.float32)
        noise, model_of_noise = self.header.noise, self.header.noise_terms
        drawn = Realisation(stream, sub)
        for start in range(0, rows.size, BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            draws = self.draws.take(rows[block])
            model = self.flux_model(rows[block])
            out = flux[block], sigma[block]
            observe_spectra(
                noise, model, draws.conditions, draws.key, kind, drawn, model_of_noise, out
            )
        mask = self._mask(rows, stream, sub)
        return SpectrumView(wave=self.wave, flux=flux, error=sigma, mask=mask)

    def _mask(self, rows: np.ndarray, stream: str = "noise", sub: int = 0) -> np.ndarray:
        """Mask bits, uint32 (n_rows, n_wave): a function of the keys, never stored."""
        draws = self.draws.take(rows)
        return spectrum_mask(
            self.header.noise_terms,
            draws.conditions,
            draws.key,
            self.wave.size,
            Realisation(stream, sub),
        )

    def _frozen(self, rows: np.ndarray, stream: str, sub: int, kind: str) -> SpectrumView:
        if (stream, sub) != ("noise", 0) or kind != self.header.error_kind:
            raise DataError(
                f"{self._path}: {self._one_draw} with the {self.header.error_kind!r} error, not "
                f"{stream!r} {sub} with {kind!r}"
            )
        held = {name: cache.read(rows) for name, cache in self._caches.items()}
        mask = held["mask"] if "mask" in held else self._mask(rows)
        return SpectrumView(wave=self.wave, flux=held["flux"], error=held.get("error"), mask=mask)

    @property
    def _one_draw(self) -> str:
        """Why there is no other noise, in words."""
        if self.header.store == "observed":
            return "observed spectra have the noise they have: one draw"
        return "generate with --store noiseless: a frozen store holds one noise draw"

    def column(self, name: str) -> np.ndarray:
        """A column that the header has beside labels and spectra; DataError if it has none."""
        if name not in self.header.columns:
            raise DataError(f"{self._path}: no column {name!r}; it has {[*self.header.columns]}")
        return read_rows(open_column(self._path, self.name, name))

    @cached_property
    def names(self) -> list[str]:
        """Names of observed spectra."""
        return [bytes(row).rstrip(b"\0").decode() for row in self.column("name")]

    @cached_property
    def label_errors(self) -> np.ndarray | None:
        """1σ of the labels of observed stars, float64 (n_spec, n_label), NaN where unknown."""
        names = [f"{name}_error" for name in self.header.label_names]
        if self.header.store != "observed" or not names:
            return None
        return np.stack([self.column(name) for name in names], axis=1)

    @cached_property
    def _caches(self) -> dict[str, ShardCache]:
        sources: dict[str, Source] = {
            column.name: StoredSpectra(self._path, self.name, column.name)
            for column in self.header.columns.values()
            if column.dims[1:] == ("wavelength",)
        }
        if self.header.store == "keys":
            if self._regenerate is None:
                raise DataError(
                    f"{self._path}: a keys store holds no spectra; open it with "
                    "regenerate=, a function from draws to noiseless flux (the bank's)"
                )
            sources["flux_model"] = RegeneratedSpectra(
                self.draws, self._regenerate, self.header.keep_bits
            )
        return {
            name: ShardCache(
                source,
                len(self),
                self.wave.size,
                self.header.shard_rows,
                "uint32" if name == "mask" else "float32",
            )
            for name, source in sources.items()
        }

    def _rows(self, rows: Rows) -> np.ndarray:
        if rows is None or isinstance(rows, slice):
            return np.arange(len(self))[rows if rows is not None else slice(None)]
        rows = np.atleast_1d(np.asarray(rows))
        if rows.dtype == bool and rows.shape == (len(self),):
            return np.flatnonzero(rows)
        rows = rows.astype(np.int64, casting="same_kind")
        if rows.size and not (rows.min() >= 0 and rows.max() < len(self)):
            raise DataError(
                f"{self._path}: rows {rows.min()}..{rows.max()} asked for, but split "
                f"{self.name!r} has rows 0..{len(self) - 1}"
            )
        return rows
