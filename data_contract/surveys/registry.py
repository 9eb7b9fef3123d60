"""Surveys by name: how each recognises its files, and reads them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.surveys.outside_file import OutsideFile, damage_of, open_outside
from starsmith.data_contract.surveys.spectrum import SurveySpectrum

__all__ = [
    "SpectraFile",
    "Survey",
    "list_surveys",
    "open_spectra",
    "read_spectra",
    "recognise",
    "register_survey",
    "survey",
]

BUILT_IN = ("desi", "lamost", "apogee", "sdss", "pfs", "gaia_xp", "published", "library")
"""Modules of `readers`, each of which registers a survey of its name; recognised in order."""


@dataclass(frozen=True)
class SpectraFile:
    """The spectra of one file, read one at a time.

    Attributes
    ----------
    size : int
    get : callable
        Number of a spectrum -> it; DataError where this one cannot be used.
    """

    size: int
    get: Callable[[int], SurveySpectrum]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, number: int) -> SurveySpectrum:
        """One spectrum; DataError where it cannot be used."""
        if not 0 <= number < self.size:
            raise IndexError(number)
        return self.get(number)

    def __iter__(self) -> Iterator[SurveySpectrum]:
        return map(self.get, range(self.size))


@dataclass(frozen=True)
class Survey:
    """How the files of a survey are read.

    Attributes
    ----------
    name : str
    about : str
        Which files, in words.
    recognise : callable
        What a file is (``DESI coadd, 5 spectra``), by its content; empty if it is none of these.
    read : callable
        An opened file -> its spectra; DataError where it is damaged.
    needs : callable
        What the user has to install first, in words; empty where nothing lacks.
    """

    name: str
    about: str
    recognise: Callable[[OutsideFile], str]
    read: Callable[[OutsideFile], SpectraFile]
    needs: Callable[[], str] = str


_SURVEYS: dict[str, Survey] = {}


def register_survey(survey: Survey) -> None:
    """Make a survey known, by its name; one of the same name is replaced."""
    _SURVEYS[survey.name] = survey


def list_surveys() -> tuple[str, ...]:
    """Names of all surveys: those built in, then those registered."""
    return (*BUILT_IN, *(name for name in _SURVEYS if name not in BUILT_IN))


def survey(name: str) -> Survey:
    """Survey of a name; DataError for an unknown one."""
    if name in BUILT_IN and name not in _SURVEYS:
        import_module(f"starsmith.data_contract.surveys.readers.{name}")
    if name not in _SURVEYS:
        raise DataError(f"survey {name!r} is not one of {', '.join(list_surveys())}")
    return _SURVEYS[name]


def recognise(file: OutsideFile) -> tuple[Survey, str] | None:
    """Survey that a file belongs to and what it is, by content; None where none knows it."""
    for name in list_surveys():
        if what := _what(survey(name), file):
            return survey(name), what
    return None


def _what(survey: Survey, file: OutsideFile) -> str:
    return damage_of(file.path, lambda: survey.recognise(file))


def _opened(survey: Survey, file: OutsideFile) -> SpectraFile:
    """Spectra of a file, where every damage is a DataError that names it."""
    spectra = damage_of(file.path, lambda: survey.read(file))
    if not len(spectra):
        raise file.error("it holds no spectra")
    return SpectraFile(len(spectra), lambda k: damage_of(file.path, lambda: spectra.get(k)))


def open_spectra(file: OutsideFile, name: str | None = None) -> SpectraFile:
    """Spectra of an opened file; of the survey it is recognised as unless one is named.

    Raises
    ------
    DataError
        If the file is damaged, or nobody's, or another survey's than the one named.
    """
    if name is None:
        known = recognise(file)
        if known is None:
            raise DataError(
                f"{file.path}: {file.kind} of no survey that is known "
                f"({', '.join(list_surveys())}); `specdata info` says what is read of each"
            )
        return _opened(known[0], file)
    chosen = survey(name)
    if not _what(chosen, file):
        known = recognise(file)
        other = (
            f"it is a {known[1]}: read it as {known[0].name}" if known else f"{file.kind} of none"
        )
        raise DataError(f"{file.path}: no file of {name} ({chosen.about}); {other}")
    return _opened(chosen, file)


def read_spectra(path: Path | str, survey: str | None = None) -> Iterator[SurveySpectrum]:
    r"""Read the spectra of a file of any survey, one after the other.

    Parameters
    ----------
    path : path
    survey : str, optional
        One of `list_surveys`; recognised by the file's content unless given.

    Yields
    ------
    spectrum : SurveySpectrum

    Raises
    ------
    DataError
        If the file is damaged or of no survey, or one of its spectra cannot be used.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("hd1.csv").write_text("wave,flux,error\n5000,1,0.1\n5001,2,0.1\n")
    >>> [spectrum.source_id for spectrum in starsmith.read_spectra("hd1.csv")]
    ['name HD1']
    """
    with open_outside(Path(path)) as file:
        yield from open_spectra(file, survey)
