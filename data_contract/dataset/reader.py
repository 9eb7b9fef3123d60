"""Data sets as they are opened: header, manifest and splits."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.manifest import Manifest, hash_file, read_manifest
from starsmith.data_contract.dataset.remote import is_remote, mirror
from starsmith.data_contract.dataset.schema import DatasetHeader
from starsmith.data_contract.dataset.shards import finished_shards, open_run, plan_shards
from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.dataset.split_columns import check_column
from starsmith.data_contract.dataset.split_spectra import Regenerate
from starsmith.data_contract.dataset.training import TrainingSplit, TrainingView
from starsmith.data_contract.described import described, span
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import regular_size
from starsmith.data_contract.noise.view import NoiseTables

__all__ = ["Dataset", "open_dataset"]


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
    def noise(self) -> NoiseTables | None:
        """The instrument's noise tables; None where spectra were observed."""
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
        fresh = self.header.store not in ("frozen", "observed")
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
    path : path or str
        Also an address: ``https://...``, or ``s3://...`` (extra ``cloud``). It is copied to the
        user's cache, each file checked, and read there.
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
    path = mirror(str(path)) if is_remote(path) else Path(path)
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
    needed = {file for shard in plan for file in shard.files(header).values()}
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
