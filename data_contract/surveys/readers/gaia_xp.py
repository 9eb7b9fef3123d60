"""Gaia XP spectra: 55 + 55 coefficients to 343 samples of 2 nm, with their covariance.

The sampled spectrum is a design matrix times the coefficients (Montegriffo+ 2023, A&A 674, A3; De
Angeli+ 2023, A&A 674, A2): Hermite functions of the pseudo-wavelength, combined by the inverse
bases, times hc / (pupil area, response, wavelength). Dispersion, response and bases are read from
the user's GaiaXPy: installed, or its wheel or config folder named by ``STARSMITH_GAIAXPY``.
"""

import importlib.util
import io
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import read_file
from starsmith.data_contract.surveys.outside_file import OutsideFile
from starsmith.data_contract.surveys.readers.cards import number
from starsmith.data_contract.surveys.registry import SpectraFile, Survey, register_survey
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum, Velocity

__all__ = ["SAMPLES", "design_matrix"]

SAMPLES = np.arange(336.0, 1021.0, 2.0)  # nm: 343 of them
N_BASES = 55
BANDS = {"bp": "bpC03_v375wi", "rp": "rpC03_v142r"}
PUPIL_AREA = 0.7278  # m²
HC = 6.62607004e-34 * 2.99792458e8  # J m
BP_HIGH, RP_LOW = 643.0, 635.0  # nm; between them BP goes over into RP
CGS_PER_SI = 100.0  # 1e-17 erg/s/cm²/Å of 1e-17 W/m²/nm
PLACE = "STARSMITH_GAIAXPY"
MOST_MODEL = 2**22  # bytes
LACKING = (
    "XP coefficients become samples by the instrument model of GaiaXPy: pip install gaiaxpy, or "
    f"set {PLACE} to its wheel (pip download --no-deps gaiaxpy) or to its folder config"
)
WANTED = ("coefficients", "coefficient_errors", "coefficient_correlations")


def _recognise(file: OutsideFile) -> str:
    table = file.table
    if table is None or "source_id" not in table.columns:
        return ""
    wanted = [f"{band}_{name}" for band in BANDS for name in WANTED]
    if not set(wanted) <= set(table.columns):
        return ""
    return f"Gaia XP continuous coefficients, {len(table)} spectra"


def _read(file: OutsideFile) -> SpectraFile:
    table, design = file.table, design_matrix(*_model_place())
    return SpectraFile(len(table), lambda k: _spectrum(table.columns, k, design))


def _spectrum(
    columns: Mapping[str, object], k: int, design: Mapping[str, np.ndarray]
) -> SurveySpectrum:
    bp_share = np.clip((BP_HIGH - SAMPLES) / (BP_HIGH - RP_LOW), 0.0, 1.0)
    shares = {"bp": bp_share, "rp": 1.0 - bp_share}
    flux, covariance = np.zeros(SAMPLES.size), np.zeros((SAMPLES.size, SAMPLES.size))
    for band, share in shares.items():
        value, error, tail = (_numbers(columns[f"{band}_{name}"][k]) for name in WANTED)
        if value.size != N_BASES or error.size != N_BASES or tail.size != N_BASES * 54 // 2:
            raise DataError(f"{band}: {value.size} coefficients, expected {N_BASES}; none is left")
        correlation = np.zeros((N_BASES, N_BASES))
        correlation[np.tril_indices(N_BASES, -1)] = tail
        correlation += correlation.T + np.eye(N_BASES)
        matrix = np.where(share > 0.0, share * design[band], 0.0)
        flux += value @ matrix
        covariance += matrix.T @ (error[:, None] * correlation * error) @ matrix
    scale = CGS_PER_SI * 1e17
    arm = SpectrumArm(
        wave=10.0 * SAMPLES,
        flux=scale * flux,
        error=scale * np.sqrt(np.diag(covariance)),
        fwhm=10.0 * SAMPLES / np.interp(SAMPLES, (336.0, 640.0, 1020.0), (70.0, 30.0, 70.0)),
    )
    row = {name: columns[name][k] for name in ("ra", "dec") if name in columns}
    return SurveySpectrum(
        survey="gaia_xp",
        arms=(arm,),
        ids={"gaia_dr3": str(int(columns["source_id"][k]))},
        velocity=Velocity(frame="barycentric"),
        meta={name: number(row, name) for name in ("ra", "dec")},
        covariance=scale**2 * covariance,
    )


def _numbers(cell: object) -> np.ndarray:
    """Numbers of a cell: an array, or a text of them in brackets."""
    if isinstance(cell, str | bytes):
        words = (cell.decode() if isinstance(cell, bytes) else cell).strip().strip("()[]")
        return np.array([float(word) for word in words.replace(",", " ").split()])
    return np.ma.filled(np.ma.asarray(cell, np.float64), np.nan).ravel()


def _lacking() -> str:
    """What to install for the instrument model; empty where it is there."""
    return "" if _place() and Path(_place()).exists() else LACKING


def _place() -> str:
    """The user's GaiaXPy: the one named, or the one installed."""
    place = os.environ.get(PLACE, "")
    if not place and (spec := importlib.util.find_spec("gaiaxpy")) and spec.origin:
        place = str(Path(spec.origin).parent / "config")
    return place


def _model_place() -> tuple[str, int]:
    """Where the instrument model is, and the time of its last change."""
    if lacking := _lacking():
        raise DataError(lacking)
    return _place(), Path(_place()).stat().st_mtime_ns


@dataclass(frozen=True)
class _Model:
    """The instrument model of one band."""

    dispersion: np.ndarray  # (2, n): wavelength [nm], pseudo-wavelength
    response: np.ndarray  # (2, n): wavelength [nm], share of photons
    bases: Mapping[str, np.ndarray]


@lru_cache(maxsize=2)
def design_matrix(place: str, changed: int = 0) -> dict[str, np.ndarray]:
    """Flux [W/m²/nm] at `SAMPLES` of every coefficient of ``bp`` and ``rp``.

    Parameters
    ----------
    place : str
        GaiaXPy's wheel, or its folder ``config``.
    changed : int
        Time of its last change, so that another model is read again.

    Returns
    -------
    design : dict of str to float64, shape (55, 343)

    Raises
    ------
    DataError
        If files are missing, or no such models.
    """
    try:
        return {band: _design(_model(Path(place), name)) for band, name in BANDS.items()}
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as problem:
        raise DataError(f"{place} holds no instrument model of GaiaXPy ({problem})") from None


def _model(place: Path, name: str) -> _Model:
    def content(kind: str) -> str:
        file = f"{name}_{kind}.csv"
        if place.is_dir():
            return read_file(place / file, MOST_MODEL).decode()
        with zipfile.ZipFile(place) as wheel, wheel.open(f"gaiaxpy/config/{file}") as member:
            return member.read(MOST_MODEL).decode()

    head, row = content("bases").strip().split("\n", 1)
    cells = _cells(row)
    bases = {key: _numbers(cell) for key, cell in zip(head.split(","), cells, strict=True)}
    dispersion, response = (
        np.loadtxt(io.StringIO(content(kind)), delimiter=",") for kind in ("dispersion", "response")
    )
    return _Model(dispersion, response, bases)


def _cells(row: str) -> list[str]:
    """Cells of a line of CSV, of which those in quotes hold commas."""
    parts = row.strip().split('"')
    cells: list[str] = []
    for k, part in enumerate(parts):
        cells += [part] if k % 2 else [cell for cell in part.split(",") if cell]
    return cells


def _design(model: _Model) -> np.ndarray:
    bases = model.bases
    low, high = bases["pwlRangeMin"][0], bases["pwlRangeMax"][0]
    span = bases["normRangeMax"][0] - bases["normRangeMin"][0]
    pseudo = _spline(model.dispersion)(SAMPLES)
    at = bases["normRangeMin"][0] + (pseudo - low) * span / (high - low)
    inverse = bases["inverseBasesCoefficients"].reshape(N_BASES, -1)
    transform = bases["transformationMatrix"].reshape(N_BASES, -1)
    functions = _hermite_functions(inverse.shape[1], at)
    response = _spline(model.response)(SAMPLES)
    with np.errstate(divide="ignore"):
        norm = np.where(response > 0, 1e9 * HC / (PUPIL_AREA * response * SAMPLES), 0.0)
    return (transform @ (inverse @ functions)) * norm


def _spline(table: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return CubicSpline(table[0], table[1], bc_type="not-a-knot")


def _hermite_functions(count: int, x: np.ndarray) -> np.ndarray:
    """Orthonormal Hermite functions (count, n), by their recurrence of three terms."""
    functions = np.empty((count, x.size))
    functions[0] = np.pi**-0.25 * np.exp(-0.5 * x**2)
    functions[1] = np.sqrt(2.0) * x * functions[0]
    for n in range(2, count):
        functions[n] = (
            np.sqrt(2.0 / n) * x * functions[n - 1] - np.sqrt((n - 1) / n) * functions[n - 2]
        )
    return functions


register_survey(
    Survey("gaia_xp", "continuous coefficients, CSV, ECSV or FITS", _recognise, _read, _lacking)
)
