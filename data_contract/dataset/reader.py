"""Datasets as they are read: draws, noiseless flux, and the observed view of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.manifest import Manifest, hash_file, read_manifest
from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.shards import finished_shards, open_run, plan_shards
from starsmith.data_contract.dataset.shuffle import BUFFER_SHARDS, shuffled_batches
from starsmith.data_contract.dataset.split_columns import check_column, open_column, read_rows
from starsmith.data_contract.dataset.split_spectra import (
    Regenerate,
    RegeneratedSpectra,
    ShardCache,
    Source,
    StoredSpectra,
)
from starsmith.data_contract.dataset.training import SpectrumView, TrainingSplit, TrainingView
from starsmith.data_contract.described import described, span
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import regular_size
from starsmith.data_contract.noise.observation import Realisation, spectrum_mask
from starsmith.data_contract.noise.view import NoiseTables, observe_spectra

__all__ = ["Dataset", "Split", "open_dataset", "read_draws"]

BLOCK_ROWS = 512  # spectra observed at a time; 34 MB of float64 working space at 4096 pixels

Rows = np.ndarray | slice | None


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
    return Draws.of_columns(header.seed, split, header.label_names, columns)


@described
class Split:
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
            raise DataError(
                f"{self._path}: a frozen store holds no noiseless flux; "
                "generate with --store noiseless"
            )
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
        if self.header.store == "frozen":
            return self._frozen(rows, stream, sub, kind)
        shape = (rows.size, self.wave.size)
        flux, sigma = np.empty(shape, np.float32), np.empty(shape, np.float32)
        noise, model_of_noise = self.header.noise, self.header.noise_terms
        drawn = Realisation(stream, sub)
        for start in range(0, rows.size, BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            draws = self.draws.take(rows[block])
            model = self.flux_model(rows[block])
            flux[block], sigma[block], _ = observe_spectra(
                noise, model, draws.conditions, draws.key, kind, drawn, model_of_noise
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
                f"{self._path}: a frozen store holds one noise draw with the "
                f"{self.header.error_kind!r} error, not {stream!r} {sub} with {kind!r}; "
                "generate with --store noiseless"
            )
        flux = self._caches["flux"].read(rows)
        error = self._caches["error"].read(rows)
        return SpectrumView(wave=self.wave, flux=flux, error=error, mask=self._mask(rows))

    @cached_property
    def _caches(self) -> dict[str, ShardCache]:
        sources: dict[str, Source] = {
            column.name: StoredSpectra(self._path, self.name, column.name)
            for column in self.header.columns.values()
            if len(column.dims) == 2
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
            name: ShardCache(source, len(self), self.wave.size, self.header.shard_rows)
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


@described
@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A finished dataset.

    Attributes
    ----------
    path : Path
    header : DatasetHeader
    manifest : Manifest
    splits : dict of str to Split
    """

    path: Path
    header: DatasetHeader
    manifest: Manifest
    splits: dict[str, Split]

    def _facts(self) -> dict[str, object]:
        return {
            "path": self.path,
            "spectra": ", ".join(f"{name} {n:,}" for name, n in self.header.counts.items()),
            "labels": " ".join(self.label_names),
            "store": self.header.store,
            "pixels": f"{self.wave.size}, {span(self.wave)} Å",
            "notice": self.notice,
        }

    @property
    def wave(self) -> np.ndarray:
        """Pixel centres, float64 (n_wave,) [vacuum Å]."""
        return self.header.wave

    @property
    def noise(self) -> NoiseTables:
        """The instrument's noise tables."""
        return self.header.noise

    @property
    def label_names(self) -> tuple[str, ...]:
        """Columns of every label array."""
        return self.header.label_names

    @property
    def notice(self) -> str:
        """Label of a demonstration grid, else empty."""
        return self.header.notice

    @property
    def digest(self) -> str:
        """SHA-256 that names the dataset: equal digests are equal datasets."""
        return self.manifest.digest

    def split(self, name: str) -> Split:
        """Return one split; DataError if the dataset has none of that name."""
        if name not in self.splits:
            raise DataError(f"{self.path}: no split {name!r}; it has {sorted(self.splits)}")
        return self.splits[name]

    def training(self) -> TrainingView:
        """Return what a learner may see while it is trained: train and val, observed."""
        fresh = self.header.store != "frozen"
        return TrainingView(
            train=TrainingSplit.of(self.split("train"), fresh_noise=fresh),
            val=TrainingSplit.of(self.split("val"), fresh_noise=False),
            digest=self.digest,
            notice=self.notice,
            versions=self.header.versions,
        )


def open_dataset(path: Path | str, regenerate: Regenerate | None = None) -> Dataset:
    """Open a finished dataset.

    The manifest and all metadata are checked, and that every file is there and of its size;
    arrays carry checksums of their own. `verify_dataset` checks every byte and every value.

    Parameters
    ----------
    path : path
    regenerate : callable, optional
        Function from `Draws` to noiseless flux, float32 (n_spec, n_wave); a keys store has
        no spectra without it.

    Returns
    -------
    dataset : Dataset

    Raises
    ------
    DataError
        If there is no dataset, or it is unfinished, damaged or incomplete.

    Examples
    --------
    >>> starsmith.open_dataset("data.zarr").label_names
    ('teff', 'logg', 'm_h')
    """
    path = Path(path)
    header = open_run(path)
    try:
        manifest = read_manifest(path)
    except FileNotFoundError:
        plan = plan_shards(header.counts, header.shard_rows)
        raise DataError(
            f"{path} is not finished: {len(finished_shards(path))} of {len(plan)} shards are "
            "written; run the command that started it again: it resumes (its configuration is "
            f"in {path / 'run.json'})"
        ) from None
    if problems := [text for name in manifest.files if (text := _damage(path, manifest, name))]:
        raise DataError(
            f"{path}: {'; '.join(problems[:5])}; {len(problems)} file(s) in all: "
            f"`specdata verify {path}` says how to repair it"
        )
    plan = plan_shards(header.counts, header.shard_rows)
    needed = {file for shard in plan for file in shard.files(header.columns.values())}
    if missing := sorted(needed - set(manifest.files)):
        raise DataError(f"{path}: manifest.json lacks {missing[:5]}; generate the dataset again")
    for split, column in product(header.counts, header.columns.values()):
        check_column(path, split, column, header)
    splits = {
        name: Split(path, name, header, regenerate, manifest.digest) for name in header.counts
    }
    return Dataset(path=path, header=header, manifest=manifest, splits=splits)


def _damage(path: Path, manifest: Manifest, name: str) -> str:
    """What is wrong with a file: its size or, for metadata, which no checksum guards, its hash."""
    expected = manifest.files[name]
    try:
        found = regular_size(path / name)
        if name.endswith(".json"):
            return "" if hash_file(path / name, expected) == expected else f"{name} was changed"
    except FileNotFoundError:
        return f"{name} is missing"
    except OSError as problem:
        return f"{name} cannot be read ({problem})"
    return (
        ""
        if found == expected["bytes"]
        else f"{name} has {found} bytes, expected {expected['bytes']}"
    )
