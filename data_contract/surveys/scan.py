"""What files hold: every spectrum read once, so that it is known what is to be written."""

import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.quantities import LABELS, SPLITS
from starsmith.data_contract.surveys.catalogues.catalogue import Catalogue
from starsmith.data_contract.surveys.catalogues.star_splits import hashed_name
from starsmith.data_contract.surveys.outside_file import OutsideFile, open_outside
from starsmith.data_contract.surveys.pixel_grid import PixelGrid
from starsmith.data_contract.surveys.registry import open_spectra, recognise
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum
from starsmith.data_contract.surveys.standardise.preparation import Standardiser

__all__ = ["FOLDER", "Scan", "Source", "files_of", "scan_files", "star_number"]

FOLDER = "folder"
NAMED_AFTER = re.compile(r"(train|val|test)(?:[^a-z]|idation$|id$|ing$|$)", re.IGNORECASE)
NUMBERS = ("gaia_dr3 ", "gaia_dr2 ", "source_id ")  # the last: as a data set has it
MOST_SOURCES = 16  # of labels that are named


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where spectra come from.

    Attributes
    ----------
    files : tuple of Path
    survey : str, optional
        Recognised by each file's content unless given.
    catalogue : Catalogue, optional
    labels : tuple of str, optional
        That every spectrum must have; those that half of the spectra have unless given.
    split_by : str
        ``source_id``, or a column of the catalogue whose values are kept together, or `FOLDER`:
        every file is of the split that its folder, or itself, is named after.
    prepare : Standardiser, optional
        What is done to every spectrum.
    """

    files: tuple[Path, ...]
    survey: str | None = None
    catalogue: Catalogue | None = None
    labels: tuple[str, ...] | None = None
    split_by: str = "source_id"
    prepare: Standardiser | None = None

    def prepared(self, spectrum: SurveySpectrum) -> SurveySpectrum:
        """A spectrum with what the catalogue says, after all steps."""
        if self.catalogue is not None:
            spectrum = self.catalogue.added_to(spectrum)
        return spectrum if self.prepare is None else self.prepare(spectrum)


@dataclass(eq=False, kw_only=True)
class Scan:
    """What was found: the spectra that are taken, in order.

    Attributes
    ----------
    grid : PixelGrid
        That holds them all.
    unit : str
    has_error : bool
        Whether all have one.
    file, number : int32 arrays, shape (n_spec,)
        Where each is.
    source_id, group : int64 arrays, shape (n_spec,)
        Its star, and what is kept together in a split.
    labels : tuple of str
    label_values : float64, shape (n_spec, n_label)
    named_splits : int8 array, shape (n_spec,), optional
        Split of each, where the catalogue names it.
    label_sources : dict of str to list of str
    surveys, kinds, frames : lists of str
        All there are.
    line_widths : dict of str to dict
        Of each arm: FWHM of lines at some wavelengths, of its first spectrum that tells [Å].
    n_refused : int
    """

    grid: PixelGrid
    unit: str
    has_error: bool
    file: np.ndarray
    number: np.ndarray
    source_id: np.ndarray
    group: np.ndarray
    labels: tuple[str, ...]
    label_values: np.ndarray
    named_splits: np.ndarray | None
    label_sources: dict[str, list[str]]
    surveys: list[str]
    kinds: list[str]
    frames: list[str]
    line_widths: dict[str, dict[str, list[float]]]
    n_refused: int

    @property
    def size(self) -> int:
        """Spectra that are taken."""
        return len(self.file)


class _Found:
    """What a scan gathers as it goes: 60 bytes of every spectrum."""

    def __init__(self, source: Source):
        self.source = source
        self.grid: PixelGrid | None = None
        self.unit = ""
        self.has_error = True
        self.whole = {name: array("q") for name in ("file", "number", "source_id", "group")}
        self.labels = array("d")
        self.splits: array | None = array("b")
        self.line_widths: dict[str, dict[str, list[float]]] = {}
        self.told = {name: {} for name in ("survey", "kind", "frame", *LABELS)}

    def tell(self, kind: str, text: str) -> None:
        """Remember what there is, the first few of a kind."""
        if len(self.told[kind]) < MOST_SOURCES:
            self.told[kind][text] = None

    def _group(self, file: int, spectrum: SurveySpectrum) -> str:
        """What a spectrum is kept together by."""
        if self.source.split_by == FOLDER:
            return split_of_file(self.source.files[file])
        return self.source.catalogue.value(spectrum, self.source.split_by)

    def take(self, file: int, number: int, spectrum: SurveySpectrum) -> None:
        """Take one spectrum; DataError where it does not fit those before it."""
        grid = PixelGrid.of(spectrum) if self.grid is None else self.grid.widened(spectrum)
        if self.unit not in ("", spectrum.unit):
            raise DataError(f"its flux is {spectrum.unit}, that of those before it {self.unit}")
        if not any(arm.usable.any() for arm in spectrum.arms):
            raise DataError("no pixel can be used")
        source_id, group = star_number(spectrum), star_number(spectrum)
        if self.source.split_by != "source_id":
            text = self._group(file, spectrum)
            group = hashed_name(text)
            if text not in SPLITS:
                self.splits = None
            elif self.splits is not None:
                self.splits.append(SPLITS[text])
        self.grid, self.unit = grid, spectrum.unit
        self.has_error &= spectrum.has_error
        for name, value in zip(self.whole, (file, number, source_id, group), strict=True):
            self.whole[name].append(value)
        for name in LABELS:
            known = spectrum.labels.get(name)
            self.labels.append(np.nan if known is None else known.value)
            if known is not None:
                self.tell(name, known.source or "not told")
        for arm in spectrum.arms:
            if arm.fwhm is not None and arm.name not in self.line_widths:
                self.line_widths[arm.name] = _line_widths(arm)
        self.tell("survey", spectrum.survey)
        self.tell("frame", spectrum.velocity.frame)


def split_of_file(path: Path) -> str:
    """Split that a file, or else its folder, is named after; DataError if neither is."""
    for name in (path.name, path.parent.name):
        if found := NAMED_AFTER.match(name):
            return found[1].lower()
    raise DataError("neither it nor its folder is named after train, val or test")


def _line_widths(arm: SpectrumArm) -> dict[str, list[float]]:
    """FWHM of lines at seven wavelengths of an arm [Å], where it is known."""
    fwhm = np.broadcast_to(np.asarray(arm.fwhm, np.float64), arm.wave.shape)
    at = np.linspace(0, arm.wave.size - 1, 7).astype(int)
    at = at[np.isfinite(fwhm[at])]
    return {"lsf_wave": arm.wave[at].tolist(), "lsf_fwhm": fwhm[at].tolist()} if at.size else {}


def files_of(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Files, and in place of every folder all files below it, in order of their names."""
    found = [
        file
        for path in paths
        for file in (sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path])
    ]
    return tuple(found)


def star_number(spectrum: SurveySpectrum) -> int:
    """Gaia's number of the star, or a hash below -1 of its own name; DataError without one."""
    name = spectrum.source_id
    if not name:
        raise DataError("it has no id; give one in a catalogue")
    number = name.partition(" ")[2]
    is_number = name.startswith(NUMBERS) and number.lstrip("-").isdigit()
    return int(number) if is_number else hashed_name(name)


def scan_files(
    source: Source, report: Path, progress: Callable[[int, int], None] = lambda k, n: None
) -> Scan:
    """Read every spectrum of some files once, and refuse those that cannot be used.

    Parameters
    ----------
    source : Source
    report : Path
        One line for each refused spectrum; no such file where none is.
    progress : callable
        ``progress(n_files_done, n_files)``.

    Raises
    ------
    DataError
        If no spectrum can be used.
    """
    found, n_refused, first = _Found(source), 0, ""
    report.unlink(missing_ok=True)
    with staged_file(report) as partial, open(partial, "w") as lines:

        def refuse(text: str) -> None:
            nonlocal n_refused, first
            n_refused, first = n_refused + 1, first or text
            lines.write(f"{text}\n")

        for k, path in enumerate(source.files):
            _scan_file(found, k, path, refuse)
            progress(k + 1, len(source.files))
        scan = _chosen(found, source, refuse)
    if not n_refused:
        report.unlink()
    if scan is None:
        n_files = len(source.files)
        raise DataError(f"no spectrum of {n_files} file(s) can be used; the first: {first}")
    scan.n_refused = n_refused
    return scan


def _scan_file(found: _Found, k: int, path: Path, refuse: Callable[[str], None]) -> None:
    try:
        with open_outside(path) as file:
            spectra = open_spectra(file, found.source.survey)
            found.tell("kind", _kind(file))
            for number in range(len(spectra)):
                try:
                    found.take(k, number, found.source.prepared(spectra[number]))
                except DataError as problem:
                    text = str(problem).removeprefix(f"{path}: ")
                    refuse(f"{path} spectrum {number}: {text}")
    except DataError as problem:
        refuse(str(problem) if str(path) in str(problem) else f"{path}: {problem}")


def _kind(file: OutsideFile) -> str:
    known = recognise(file)
    return known[1].partition(",")[0].partition(" of ")[0] if known else file.kind


def _chosen(found: _Found, source: Source, refuse: Callable[[str], None]) -> Scan | None:
    """The spectra that have all labels; None where there are none."""
    whole = {name: np.frombuffer(v, np.int64) for name, v in found.whole.items() if len(v)}
    if not whole:
        return None
    values = np.frombuffer(found.labels, np.float64).reshape(-1, len(LABELS))
    known = np.isfinite(values)
    labels = source.labels
    if labels is None:
        labels = tuple(n for k, n in enumerate(LABELS) if 2 * known[:, k].sum() >= len(known))
    columns = [LABELS.index(name) for name in labels]
    lacking = ~known[:, columns].all(axis=1)
    for row in np.flatnonzero(lacking).tolist():
        path, number = source.files[whole["file"][row]], whole["number"][row]
        names = ", ".join(n for n, k in zip(labels, columns, strict=True) if not known[row, k])
        refuse(f"{path} spectrum {number}: it has no {names}; --labels says which are needed")
    if lacking.all():
        return None
    taken = {name: v[~lacking] for name, v in whole.items()}
    splits = found.splits if found.splits else None
    return Scan(
        grid=found.grid,
        unit=found.unit,
        has_error=found.has_error,
        labels=tuple(n for n in LABELS if n in labels),
        label_values=values[~lacking][:, sorted(columns)],
        named_splits=None if splits is None else np.frombuffer(splits, np.int8)[~lacking],
        label_sources={name: list(found.told[name]) for name in LABELS},
        surveys=list(found.told["survey"]),
        kinds=list(found.told["kind"]),
        frames=list(found.told["frame"]),
        line_widths=found.line_widths,
        n_refused=0,
        **taken,
    )
