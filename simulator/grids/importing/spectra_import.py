"""Turn spectra of any layout into one grid file, and tell what became of each."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

from starsmith.data_contract.errors import GridError, InputError
from starsmith.data_contract.files.atomic import sweep_partials, temporary_folder
from starsmith.data_contract.files.outside import regular_size
from starsmith.simulator.grids.importing.energy import check_energy
from starsmith.simulator.grids.importing.layout import FoundModel, SpectraFile, check_labels
from starsmith.simulator.grids.importing.model_spectrum import ModelSpectrum, check_physical
from starsmith.simulator.grids.importing.node_grid import (
    ImportReport,
    check_out,
    verified,
    write_nodes,
)
from starsmith.simulator.grids.importing.node_labels import ArchiveName
from starsmith.simulator.grids.importing.smoothing import smooth_spectrum
from starsmith.simulator.grids.importing.sources import LAYOUTS, Source
from starsmith.simulator.grids.importing.staging import LoadedFile, Staging
from starsmith.simulator.grids.importing.statement import (
    NOTHING_SAID,
    Statement,
    settle,
    surface_flux,
)
from starsmith.simulator.grids.importing.triplet import (
    HIGHEST_TEFF,
    LEAST_RESOLUTION,
    triplet_medium,
)
from starsmith.simulator.instruments.instrument import Instrument, JoinedInstrument
from starsmith.simulator.rendering.pixels import pixel_operator

__all__ = ["SpectraRequest", "import_spectra"]

DIGEST_STEP = 2**20
MOST_BYTES = 2**32  # of one file: a few spectra of 10^7 samples
ALIKE = "sample all alike with --to-resolution R"


@dataclass(frozen=True, kw_only=True)
class SpectraRequest:
    """What is asked of an import.

    Attributes
    ----------
    statement : Statement
        What the user says of the spectra.
    wave_min, wave_max : float or None
        Closed vacuum range to keep [Å]; the whole range where not given.
    to_resolution : float or None
        R to smooth to, and to sample alike.
    instrument : Instrument or None
        Spectra that cannot be rendered to it are refused.
    workers : int
        Processes that read files.
    overwrite : bool
        Replace a grid file already there.
    """

    statement: Statement = NOTHING_SAID
    wave_min: float | None = None
    wave_max: float | None = None
    to_resolution: float | None = None
    instrument: Instrument | JoinedInstrument | None = None
    workers: int = 1
    overwrite: bool = False


class _Job(NamedTuple):
    """One file to read."""

    layout: str
    file: SpectraFile
    says: Statement
    request: SpectraRequest


Refusal = tuple[str, str]


def import_spectra(
    source: Source,
    out: Path | str,
    request: SpectraRequest,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Read spectra into one grid file; a file that cannot be used is refused by name.

    Parameters
    ----------
    source : Source
        As `find_source` finds it.
    out : Path or str
        Grid file to write.
    request : SpectraRequest
    progress : callable, optional
        Called with (files done, files to read).

    Raises
    ------
    GridError
        If nothing can be imported, the spectra do not suit the instrument, or ``out`` is in the
        way.
    """
    out = Path(out)
    beside = out.with_name(f"{out.name}.spectra")
    sweep_partials(beside)  # of killed imports, finished ones too
    check_out(out, request.overwrite)
    low, high = request.wave_min, request.wave_max
    if low is not None and high is not None and not low < high:
        raise GridError(f"--wave-min {low:g} is not below --wave-max {high:g}")
    says = settle(request.statement, source.says, source.layout.says)
    plain = replace(request, instrument=None)
    jobs = [_Job(source.layout.name, file, says, plain) for file in source.files]
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        temporary_folder(beside) as scratch,
        closing(Staging(scratch / "spectra", ALIKE)) as staging,
    ):
        staging.refused += source.refused
        for done, outcomes in enumerate(_load_all(jobs, request.workers), 1):
            for outcome in outcomes:
                if isinstance(outcome, LoadedFile):
                    staging.add(outcome)
                else:
                    staging.refused.append(outcome)
            if progress:
                progress(done, len(jobs))
        staging.keep_one_coverage()
        _require_nodes(staging)
        attributes = _attributes(source, says, request, staging)
        if request.instrument is not None:
            wave = staging.wave(next(iter(staging.nodes.values())))
            pixel_operator(wave, attributes["resolution"], request.instrument)
        return write_nodes(out, staging, attributes, source.ignored)


def _load_all(jobs: list[_Job], workers: int) -> Iterator[list[LoadedFile | Refusal]]:
    if workers <= 1:
        yield from map(_load, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_load, jobs, chunksize=4)


def _load(job: _Job) -> list[LoadedFile | Refusal]:
    """Read and check every model of one file; refusals are (file or model, reason)."""
    layout, outcomes = LAYOUTS[job.layout], []
    try:
        if (size := regular_size(job.file.path)) > MOST_BYTES:
            raise GridError(f"has {size} bytes, expected at most {MOST_BYTES}")
        digest = _digest(job.file.path)
        for model in layout.read(job.file):
            outcomes.append(_checked(job, model, digest))
    except (InputError, OSError) as problem:
        outcomes.append((job.file.name, _reason(job, problem)))
    return outcomes


def _checked(job: _Job, model: FoundModel, digest: str) -> LoadedFile | Refusal:
    name = f"{job.file.name} ({model.member})" if model.member else job.file.name
    layout, request = LAYOUTS[job.layout], job.request
    try:
        check_labels(model.labels)
        says = settle(job.says, model.spectrum.says).or_else(layout.usual)
        whole = surface_flux(model.spectrum, says)
        carried = _resolution(whole, says, layout.sampled_resolution)
        flux_verified = np.isfinite(whole.flux).all() and check_energy(whole, model.labels.teff)
        medium_verified = _check_medium(whole, carried, model.labels.teff, says.medium)
        spectrum, resolution = _kept(whole, carried, request)
        check_physical(spectrum)
    except (InputError, OSError) as problem:
        return name, _reason(job, problem)
    known = ArchiveName(job.layout, model.labels, round(resolution), atmosphere=layout.title)
    return LoadedFile(name, digest, known, spectrum, medium_verified, bool(flux_verified))


def _kept(
    whole: ModelSpectrum, carried: float, request: SpectraRequest
) -> tuple[ModelSpectrum, float]:
    """The range asked for, smoothed where it was asked, and its resolution."""
    low, high = request.wave_min, request.wave_max
    if request.to_resolution is None:
        first, last = -np.inf if low is None else low, np.inf if high is None else high
        return whole.crop(first, last), carried
    resolution = request.to_resolution
    return smooth_spectrum(whole, carried, resolution, low, high), resolution


def _resolution(spectrum: ModelSpectrum, says: Statement, sampled: bool) -> float:
    """R the spectrum carries: what is stated, else what its samples can."""
    if says.resolution is not None:
        return says.resolution
    if not sampled:
        raise GridError(
            "the resolution is stated nowhere; add --resolution, wave / FWHM of the Gaussian they "
            "carry"
        )
    middle = 0.5 * (spectrum.wave[1:] + spectrum.wave[:-1])
    return float(np.median(middle / (2.0 * np.diff(spectrum.wave))))


def _check_medium(
    spectrum: ModelSpectrum, resolution: float, teff: float, stated: str | None
) -> bool:
    if resolution < LEAST_RESOLUTION or teff > HIGHEST_TEFF:
        return False
    seen = triplet_medium(spectrum)
    if seen in ("air", "converted twice"):
        other = "air" if seen == "air" else "vacuum"
        raise GridError(
            f"its Ca II triplet tells of {other} wavelengths, stated is {stated}; say --medium "
            f"{other}"
        )
    return seen == "vacuum"


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(DIGEST_STEP):
            digest.update(piece)
    return digest.hexdigest()


def _reason(job: _Job, problem: Exception) -> str:
    """What went wrong, without the path that the report gives anyway."""
    text = " ".join(str(problem).split())
    return text.removeprefix(f"{job.file.path}: ").removeprefix(f"{job.file.path} ")


def _require_nodes(staging: Staging) -> None:
    if not staging.nodes:
        file, why = staging.refused[0]
        others = f" ({len(staging.refused) - 1} more refused)" if staging.refused[1:] else ""
        raise GridError(f"no spectrum could be imported: {file}: {why}{others}")


def _attributes(source: Source, says: Statement, request: SpectraRequest, staging: Staging) -> dict:
    staged = staging.nodes.values()
    medium = verified((node.medium_verified for node in staged), "seen from the Ca II triplet")
    factor = verified((node.flux_verified for node in staged), "seen from sigma Teff^4")
    resolution = min(node.resolution for node in staged)
    return {
        "name": source.layout.name,
        "resolution": float(resolution),
        "notice": "",
        "provenance": {
            "release": source.layout.title,
            "citation": source.layout.citation,
            "resolution": resolution,
            "smoothed_to": request.to_resolution,
            "medium": f"vacuum, {medium}",
            "stored_medium": says.medium or "as each file says",
            "flux": f"surface flux F, {factor}",
            "stored_flux": says.flux or "as each file says",
        },
    }
