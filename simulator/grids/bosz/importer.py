"""Turn a folder of archive files into one grid file, and tell what became of each."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

from starsmith.data_contract.errors import GridError, InputError
from starsmith.data_contract.files.atomic import sweep_partials, temporary_folder
from starsmith.data_contract.files.outside import read_file
from starsmith.simulator.grids.bosz.bosz_spectrum import most_text
from starsmith.simulator.grids.bosz.conventions import check_flux_factor, check_medium
from starsmith.simulator.grids.bosz.cropped import CROPPED, CroppedFile, read_cropped
from starsmith.simulator.grids.bosz.release2024 import ATMOSPHERES
from starsmith.simulator.grids.bosz.releases import RELEASES, parse_archive_name
from starsmith.simulator.grids.importing.model_spectrum import check_physical
from starsmith.simulator.grids.importing.node_grid import (
    ImportReport,
    check_out,
    verified,
    write_nodes,
)
from starsmith.simulator.grids.importing.node_labels import ArchiveName, NodeLabels
from starsmith.simulator.grids.importing.staging import LoadedFile, Staging

__all__ = ["ImportReport", "import_bosz"]

SUFFIXES = (".fits", ".asc.bz2", ".asc", ".txt.gz", CROPPED)
UNPACKED = re.compile(r"(.*/)?bosz2024_[^/]*\.txt")  # browsers unpack what they download
LICENCE = (
    "public data of the MAST archive; no licence is stated with the files: cite the paper and "
    "the DOI, and point others to the archive instead of passing copies on"
)
REASONS_SHOWN = 5


class _Job(NamedTuple):
    """One file to read, and the range of it to keep [Å]."""

    folder: Path
    file: str
    name: ArchiveName
    wave_min: float
    wave_max: float


def import_bosz(
    folder: Path | str,
    out: Path | str,
    wave_min: float | None = None,
    wave_max: float | None = None,
    resolution: int | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Read every BOSZ spectrum under a folder into one grid file.

    A file that cannot be used is refused by name and the others are imported.

    Parameters
    ----------
    folder : Path or str
        Searched with its subfolders.
    out : Path or str
        Grid file to write.
    wave_min, wave_max : float, optional
        Closed vacuum range to keep [Å]; the whole range where not given.
    resolution : int, optional
        Files of other resolutions are refused; by default the commonest is taken.
    workers : int
        Processes that read files.
    overwrite : bool
        Replace a grid file already at ``out``.
    progress : callable, optional
        Called with (files done, files to read).

    Returns
    -------
    report : ImportReport

    Raises
    ------
    GridError
        If nothing can be imported, or ``out`` is in the way.
    """
    folder, out = Path(folder), Path(out)
    beside = out.with_name(f"{out.name}.spectra")
    sweep_partials(beside)  # of killed imports, finished ones too
    check_out(out, overwrite)
    low = -np.inf if wave_min is None else wave_min
    high = np.inf if wave_max is None else wave_max
    if not low < high:
        raise GridError(f"--wave-min {wave_min:g} is not below --wave-max {wave_max:g}")
    files, ignored = _archive_files(folder)
    names, misnamed = _parse_names(files)
    names, others = _one_setup(names, resolution)
    names, doubles = _one_atmosphere(names)
    jobs = [_Job(folder, file, name, low, high) for file, name in names.items()]
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        temporary_folder(beside) as scratch,
        closing(Staging(scratch / "spectra")) as staging,
    ):
        staging.refused += misnamed + others + doubles
        for done, outcome in enumerate(_load_all(jobs, workers), 1):
            if isinstance(outcome, LoadedFile):
                staging.add(outcome)
            else:
                staging.refused.append(outcome)
            if progress:
                progress(done, len(jobs))
        staging.keep_one_coverage()
        _require_nodes(folder, staging)
        return write_nodes(out, staging, _attributes(jobs[0].name, staging), ignored)


def _archive_files(folder: Path) -> tuple[list[str], tuple[str, ...]]:
    """Paths below the folder: archive files, FITS first for their digits, and the others."""
    if not folder.is_dir():
        raise GridError(f"{folder} is not a folder; give the folder that holds the BOSZ files")
    paths = (path for path in folder.rglob("*") if path.is_file())
    files = sorted(path.relative_to(folder).as_posix() for path in paths)
    files.sort(key=lambda file: not file.endswith(".fits"))
    ours = [file for file in files if file.endswith(SUFFIXES) or UNPACKED.fullmatch(file)]
    return ours, tuple(file for file in files if file not in set(ours))


def _parse_names(files: list[str]) -> tuple[dict[str, ArchiveName], list[tuple[str, str]]]:
    names, refused = {}, []
    for file in files:
        try:
            names[file] = parse_archive_name(file.rpartition("/")[2].removesuffix(CROPPED))
        except GridError as problem:
            refused.append((file, str(problem)))
    return names, refused


def _setup(name: ArchiveName) -> tuple[str, int, float]:
    """What all spectra of a grid share."""
    return name.release, name.resolution, name.microturbulence


def _one_setup(
    names: dict[str, ArchiveName], resolution: int | None
) -> tuple[dict[str, ArchiveName], list[tuple[str, str]]]:
    """Keep one release, resolution and microturbulence: the commonest, else the finest."""
    counts = Counter(
        _setup(name) for name in names.values() if resolution in (None, name.resolution)
    )
    chosen = max(counts, key=lambda setup: (counts[setup], setup), default=None)
    text = "BOSZ {} at R = {} and {:g} km/s"
    taken = text.format(*chosen) if chosen else f"files at R = {resolution}"
    kept, refused = {}, []
    for file, name in names.items():
        if _setup(name) == chosen:
            kept[file] = name
        else:
            reason = f"{text.format(*_setup(name))}, but this grid takes {taken}; import it apart"
            refused.append((file, reason))
    return kept, refused


def _one_atmosphere(
    names: dict[str, ArchiveName],
) -> tuple[dict[str, ArchiveName], list[tuple[str, str]]]:
    """Where a node was computed with two model atmospheres, keep the first of `ATMOSPHERES`."""
    rank = {atmosphere: place for place, atmosphere in enumerate(ATMOSPHERES.values())}
    best: dict[NodeLabels, str] = {}
    for name in names.values():
        known = best.setdefault(name.labels, name.atmosphere)
        best[name.labels] = min(known, name.atmosphere, key=rank.__getitem__)
    kept, refused = {}, []
    for file, name in names.items():
        if name.atmosphere == best[name.labels]:
            kept[file] = name
        else:
            reason = f"{name.atmosphere}; the same node from {best[name.labels]} is taken"
            refused.append((file, reason))
    return kept, refused


def _load(job: _Job) -> LoadedFile | tuple[str, str]:
    """Read and check one file; a refusal comes back as (file, reason)."""
    try:
        if job.file.endswith(CROPPED):
            read = read_cropped(job.folder / job.file, job.name)
        else:
            read = _whole(job)
        spectrum = read.spectrum.crop(job.wave_min, job.wave_max)
        check_physical(spectrum)
    except (InputError, OSError) as problem:
        return job.file, str(problem)
    return LoadedFile(
        job.file, read.sha256, job.name, spectrum, read.medium_verified, read.flux_verified
    )


def _whole(job: _Job) -> CroppedFile:
    content = read_file(job.folder / job.file, most_text(job.name.resolution))
    spectrum = RELEASES[job.name.release].read(content, job.file, job.name)
    medium_verified = check_medium(spectrum, job.name)
    flux_verified = check_flux_factor(spectrum, job.name)
    digest = hashlib.sha256(content).hexdigest()
    return CroppedFile(spectrum, digest, medium_verified, flux_verified)


def _load_all(jobs: list[_Job], workers: int) -> Iterator[LoadedFile | tuple[str, str]]:
    if workers <= 1:
        yield from map(_load, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_load, jobs, chunksize=4)


def _require_nodes(folder: Path, staging: Staging) -> None:
    if not staging.nodes:
        shown = "".join(f"\n  {file}: {why}" for file, why in staging.refused[:REASONS_SHOWN])
        raise GridError(
            f"{folder}: no BOSZ spectrum could be imported ({len(staging.refused)} refused){shown}"
        )


def _provenance(name: ArchiveName, staging: Staging) -> dict:
    release = RELEASES[name.release]
    staged = staging.nodes.values()
    medium = verified((node.medium_verified for node in staged), "seen from the Ca II triplet")
    factor = verified((node.flux_verified for node in staged), "seen from sigma Teff^4")
    return {
        "release": f"BOSZ {name.release}",
        "source": release.source,
        "citation": release.citation,
        "licence": LICENCE,
        "atmospheres": dict(Counter(node.atmosphere for node in staged)),
        "microturbulence_km_s": name.microturbulence,
        "resolution": name.resolution,
        "medium": f"vacuum, {medium}",
        "stored_medium": release.stored_medium,
        "flux": f"surface flux F, {factor}",
        "stored_flux": release.stored_flux,
    }


def _attributes(name: ArchiveName, staging: Staging) -> dict:
    return {
        "name": f"bosz{name.release}-r{name.resolution}",
        "resolution": float(name.resolution),
        "provenance": _provenance(name, staging),
        "notice": "",
    }
