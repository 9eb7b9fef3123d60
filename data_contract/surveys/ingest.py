"""Files of a survey into a data set: looked through once, then written shard by shard."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.manifest import Manifest
from starsmith.data_contract.dataset.plan import gathered_rows
from starsmith.data_contract.dataset.reader import Dataset, open_dataset
from starsmith.data_contract.dataset.schema import (
    CHUNK_ROWS,
    NAME_BYTES,
    NO_INDEX,
    OBSERVED_BITS,
    OBSERVED_VERSION,
    SHARD_ROWS,
    DatasetHeader,
)
from starsmith.data_contract.dataset.shards import Shard
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.conversion import write_dataset
from starsmith.data_contract.quantities import SPLITS
from starsmith.data_contract.surveys.catalogues.catalogue import read_catalogue
from starsmith.data_contract.surveys.catalogues.star_splits import (
    SPLIT_SHARES,
    share_of_each,
    split_stars,
)
from starsmith.data_contract.surveys.outside_file import open_outside
from starsmith.data_contract.surveys.registry import SpectraFile, open_spectra
from starsmith.data_contract.surveys.scan import Scan, Source, files_of, scan_files
from starsmith.data_contract.surveys.spectrum import SurveySpectrum

__all__ = ["Ingest", "ingest", "ingest_files"]


@dataclass(frozen=True, kw_only=True)
class Ingest:
    """What is to be ingested, and how.

    Attributes
    ----------
    source : Source
        Files, survey, catalogue, labels, and what brings spectra to one grid.
    shares : (float, float, float)
        Of stars in train, val and test.
    stratify : str
        Label whose values every split has alike; empty for none.
    seed : int
        Of the hash that divides stars.
    shard_rows : int
    """

    source: Source
    shares: tuple[float, float, float] = SPLIT_SHARES
    stratify: str = ""
    seed: int = 0
    shard_rows: int = SHARD_ROWS


@dataclass(eq=False)
class _Reader:
    """Spectra by file and number; the file read last stays open."""

    source: Source
    _at: int = -1
    _spectra: SpectraFile | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def read(self, file: int, number: int) -> SurveySpectrum:
        """One spectrum, as the scan saw it."""
        if file != self._at:
            self._stack.close()
            opened = self._stack.enter_context(open_outside(self.source.files[file]))
            self._spectra = open_spectra(opened, self.source.survey)
            self._at = file
        return self.source.prepared(self._spectra[number])

    def close(self) -> None:
        """Close the file that is open."""
        self._stack.close()


def ingest_files(
    request: Ingest,
    out: Path | str,
    report: Path | str | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    overwrite: bool = False,
) -> tuple[Manifest, Scan]:
    """Write the spectra of files into a data set; an interrupted run is resumed.

    Parameters
    ----------
    request : Ingest
    out : path
    report : path, optional
        A line for every spectrum that is refused, and why; ``OUT.refused.txt`` unless given.
    progress : callable
        ``progress(what, done, total)``; ``what`` is ``files`` or ``spectra``.
    overwrite : bool
        Replace the data set at ``out``, once the new one is whole.

    Returns
    -------
    manifest : Manifest
    scan : Scan
        What was found, and refused.

    Raises
    ------
    DataError
        If no spectrum can be used, the options contradict the files, or another data set is there.
    """
    out = Path(out)
    report = Path(report) if report else out.with_name(f"{out.name}.refused.txt")
    scan = scan_files(request.source, report, lambda k, n: progress("files", k, n))
    splits = _splits(request, scan)
    rows = {name: np.flatnonzero(splits == number) for name, number in SPLITS.items()}
    rows = {name: found for name, found in rows.items() if found.size}
    header = _header(request, scan, {name: found.size for name, found in rows.items()})
    done = 0

    def wrote(shard: Shard) -> None:
        nonlocal done
        done += shard.stop - shard.start
        progress("spectra", done, scan.size)

    reader = _Reader(request.source)
    try:
        manifest = write_dataset(
            out,
            header,
            lambda shard: _columns(
                header, scan, reader, rows[shard.split][shard.start : shard.stop], shard.start
            ),
            wrote,
            overwrite,
        )
    finally:
        reader.close()
    return manifest, scan


def _splits(request: Ingest, scan: Scan) -> np.ndarray:
    """Split of every spectrum; none parts a star."""
    groups, first, member = np.unique(scan.group, return_index=True, return_inverse=True)
    _, star_first, star = np.unique(scan.source_id, return_index=True, return_inverse=True)
    parted = scan.group[star_first][star] != scan.group
    if parted.any():
        raise DataError(
            f"--split-by {request.source.split_by}: {np.unique(star[parted]).size} star(s) have "
            "spectra in several groups; split by source_id"
        )
    if scan.named_splits is not None:
        return scan.named_splits
    strata = None
    if request.stratify:
        if request.stratify not in scan.labels:
            raise DataError(f"--stratify {request.stratify}: labels are {scan.labels}")
        strata = scan.label_values[first, scan.labels.index(request.stratify)]
    shares = share_of_each(request.shares)
    return split_stars(groups, shares, request.seed, strata)[member]


def _header(request: Ingest, scan: Scan, counts: Mapping[str, int]) -> DatasetHeader:
    source, shares = request.source, request.shares
    how = f"by {source.split_by or 'source_id'}"
    if scan.named_splits is None:
        how += ", {:g} / {:g} / {:g} of stars, seed {}".format(*shares, request.seed)
    if request.stratify:
        how += f", stratified by {request.stratify}"
    return DatasetHeader(
        wave=scan.grid.wave,
        noise=None,
        label_names=scan.labels,
        counts=counts,
        seed=request.seed,
        store="observed",
        keep_bits=OBSERVED_BITS,
        shard_rows=request.shard_rows,
        chunk_rows=CHUNK_ROWS,
        column_rows=gathered_rows(counts, request.shard_rows),
        schema_version=OBSERVED_VERSION,
        observed={
            "survey": ", ".join(scan.surveys),
            "kind": "; ".join(scan.kinds),
            "n_files": len(source.files),
            "files_sha256": _sha256_of(source.files),
            "unit": scan.unit,
            "has_error": scan.has_error,
            "arms": [arm | scan.line_widths.get(arm["name"], {}) for arm in scan.grid.arms],
            "frames": scan.frames,
            "label_sources": {name: scan.label_sources[name] for name in scan.labels},
            "steps": list(source.prepare.steps) if source.prepare else [],
            "standardise": source.prepare.recorded() if source.prepare else {},
            "splits": how,
            "n_refused": scan.n_refused,
        },
        versions={name: version(name) for name in ("starsmith", "numpy", "astropy")},
    )


def _sha256_of(files: Sequence[Path]) -> str:
    """What changes where files are others: their names and sizes."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name} {file.stat().st_size}\n".encode())
    return total.hexdigest()


def _columns(
    header: DatasetHeader, scan: Scan, reader: _Reader, rows: np.ndarray, start: int
) -> dict[str, np.ndarray]:
    """All columns of one shard."""
    size, n_wave = rows.size, header.wave.size
    columns = {
        name: np.full((size, *column.width(n_wave)), column.fill_value, column.dtype)
        for name, column in header.columns.items()
    }
    columns["index"][:] = np.arange(start, start + size)
    columns["source_id"][:] = scan.source_id[rows]
    for k, row in enumerate(rows.tolist()):
        spectrum = reader.read(int(scan.file[row]), int(scan.number[row]))
        placed = scan.grid.place(spectrum)
        columns["flux"][k], columns["mask"][k] = placed.flux, placed.mask
        if "error" in columns:
            columns["error"][k] = placed.error
        columns["snr"][k] = placed.snr if reader.source.prepare is None else spectrum.snr
        for name, value in _scalars(spectrum, scan.labels):
            columns[name][k] = value
    return columns


def _scalars(spectrum: SurveySpectrum, labels: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Name and value of everything that is known of one spectrum."""
    targetid = spectrum.ids.get("targetid", "")
    yield "targetid", int(targetid) if targetid.lstrip("-").isdigit() else NO_INDEX
    name = spectrum.name.encode()[:NAME_BYTES]
    yield "name", np.frombuffer(name.ljust(NAME_BYTES, b"\0"), np.uint8)
    for label in labels:
        yield label, spectrum.labels[label].value
        if (error := spectrum.labels[label].error) is not None:
            yield f"{label}_error", error
    known = {
        "rv": spectrum.velocity.shift,
        "rv_error": spectrum.velocity.rv_error,
        **{key: spectrum.meta.get(key) for key in ("ra", "dec", "epoch")},
    }
    yield from ((key, value) for key, value in known.items() if value is not None)


def ingest(
    files: Sequence[Path | str],
    out: Path | str,
    survey: str | None = None,
    catalogue: Path | str | None = None,
    labels: Sequence[str] | None = None,
) -> Dataset:
    r"""Make a data set of files of spectra; `ingest_files` has all options.

    Parameters
    ----------
    files : sequence of path
        Files, or folders of them.
    out : path
    survey : str, optional
        Recognised by each file's content unless given.
    catalogue : path, optional
        Table of labels, found by ids.
    labels : sequence of str, optional
        That every spectrum must have; those that half of the spectra have unless given.

    Raises
    ------
    DataError
        If no spectrum can be used, or another data set is there.

    Examples
    --------
    >>> from pathlib import Path
    >>> for star in ("hd2.csv", "hd3.csv"):
    ...     _ = Path(star).write_text("wave,flux,error\n5000,1,0.1\n5001,2,0.1\n")
    >>> seen = starsmith.ingest(["hd2.csv", "hd3.csv"], "seen.zarr", labels=())
    >>> seen.wave.tolist(), seen.header.has_error
    ([5000.0, 5001.0], True)
    """
    source = Source(
        files=files_of([Path(file) for file in files]),
        survey=survey,
        catalogue=None if catalogue is None else read_catalogue(catalogue),
        labels=None if labels is None else tuple(labels),
    )
    ingest_files(Ingest(source=source), out)
    return open_dataset(out)
