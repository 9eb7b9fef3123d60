"""Read the official PFS exposure-time calculator's own configuration and tables.

Subaru-PFS/spt_ExposureTimeCalculator (MIT), from a user's copy: ``config/PFS.*.dat`` and
``modeldata.npz``. What the calculator keeps in its source instead of these files (extinction,
obscuration by the camera, empirical factors) is written here, as of its commit aac84fa.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.outside import read_npz, read_text
from starsmith.simulator.instruments.parts import Arm, Optics, Telescope

__all__ = [
    "EXTINCTION_MAG",
    "EXTINCTION_NM",
    "Calculator",
    "find_calculator",
    "read_calculator",
]

EXTINCTION_NM = (
    *(310.0, 320.0, 340.0, 360.0, 380.0, 400.0, 450.0, 500.0),
    *(550.0, 600.0, 650.0, 700.0, 800.0, 900.0, 1500.0),
)
EXTINCTION_MAG = (
    *(1.37, 0.82, 0.51, 0.37, 0.30, 0.25, 0.17, 0.13),
    *(0.12, 0.11, 0.11, 0.10, 0.07, 0.05, 0.05),
)
"""Mauna Kea median continuum extinction [mag/airmass], gsAtmContOp."""

CAMERA_OBSCURATION = {
    "camera_obscuration_centre": 0.27,
    "camera_obscuration_edge": 0.36,
    "camera_obscuration_edge_deg": 0.675,
    "camera_obscuration_reference": 0.19,
}
ARM_LETTERS = {"b": "blue", "r": "red", "m": "red-mr", "n": "nir"}
# Empirical factors on throughput and on object-free variance, from observations; gsetc.c.
EMPIRICAL = {
    "blue": (1.08, 0.752),
    "red": (1.05, 0.722),
    "red-mr": (1.20, 1.015),
    "nir": (1.24, 2.694),
}
RAMP_SAMPLE_FACTOR = 1.2
LINE_AIRMASS = 1.1
# OH lines are tabulated for J = 14.8 mag/arcsec² at airmass 1, the sky is taken as 15.8.
OH_SCALE = float(np.exp((14.8 - 15.8) / 1.086)) * LINE_AIRMASS

TABLES = {
    "uves_lambda": 1,
    "uves_int": 1,
    "oh_data": 2,
    "atm_trans_kp": 1,
    "mk_trans_3mm": 1,
    "dust_norm": 1,
}
MOST_TABLES = 2**29  # bytes
KITT_PEAK_NM = (500.0, 0.025)
MAUNA_KEA_NM = (900.0, 0.02)


@dataclass(frozen=True, kw_only=True)
class Calculator:
    """One configuration of the calculator.

    Attributes
    ----------
    config, modeldata : Path
        The files it was read from.
    telescope : Telescope
    fibre_radius_um : float
    arms : dict of str to Arm
        By name: blue, red or red-mr, nir; profiles from the optics.
    lines : float64 array, shape (2, n_line)
        Vacuum wavelength, increasing [nm]; intensity at airmass 1.1 [1e-12 erg/s/m²/arcsec²].
    telluric : float64 array, shape (2, n_row)
        Vacuum wavelength [nm] and transmission of the telluric lines.
    dust : float64 array, shape (2, n_row)
        Wavelength [nm] and A / E(B-V).
    """

    config: Path
    modeldata: Path
    telescope: Telescope
    fibre_radius_um: float
    arms: dict[str, Arm]
    lines: np.ndarray
    telluric: np.ndarray
    dust: np.ndarray


def find_calculator(folder: Path, mode: str, config: str | None = None) -> tuple[Path, Path]:
    """Find a configuration and the tables within a copy of the calculator.

    Parameters
    ----------
    folder : Path
        Searched with all folders below it.
    mode : str
        ``mr`` or ``lr``: the red arm's resolution. Without ``config`` the newest average
        spectrograph is taken.
    config : str, optional
        Name of the configuration file.

    Returns
    -------
    config, modeldata : Path

    Raises
    ------
    DataError
        If one is missing, or several tables differ; names what was found.
    """
    found = sorted(folder.rglob("PFS*.dat"))
    if config is None:
        pattern = r"PFS\.redMR\.\d{8}\.dat" if mode == "mr" else r"PFS\.\d{8}\.dat"
        chosen = [path for path in found if re.fullmatch(pattern, path.name)]
    else:
        chosen = [path for path in found if path.name == Path(config).name]
    if not chosen:
        names = sorted({path.name for path in found})
        raise DataError(
            f"{folder}: no {config or 'PFS.redMR.<date>.dat or PFS.<date>.dat'} in it for mode "
            f"{mode!r}; found {names}; give the calculator's folder, or --config one of these"
        )
    tables = sorted(folder.rglob("*modeldata*.npz"))
    if not tables:
        raise DataError(
            f"{folder}: no modeldata.npz in it; it lies in src/pfsspecsim/etc/data of the "
            "calculator; give a folder that holds both it and the configuration"
        )
    return max(chosen, key=lambda path: path.name), tables[0]


def read_calculator(config: Path, modeldata: Path) -> Calculator:
    """Read one configuration with the calculator's tables.

    Parameters
    ----------
    config : Path
        ``PFS.<date>.dat`` or ``PFS.redMR.<date>.dat``.
    modeldata : Path
        ``modeldata.npz``.

    Returns
    -------
    calculator : Calculator

    Raises
    ------
    DataError
        If a file is damaged or lacks an entry; names it.
    """
    entries, throughput = _read_config(config)
    optics = _numbers(config, entries, "OPTICS", 8)
    tables = _read_tables(modeldata)
    telescope = Telescope(
        diameter_m=optics[0],
        central_obscuration=optics[1],
        field_angle_deg=tuple(round(float(x), 6) for x in np.linspace(0.0, optics[2], 5)),
        focal_length_m=tuple(optics[3:]),
        spot_rms_um=tuple(_numbers(config, entries, "SPOT", 5)),
        vignetting=tuple(_numbers(config, entries, "VIGNET", 5)),
        **CAMERA_OBSCURATION,
    )
    return Calculator(
        config=config,
        modeldata=modeldata,
        telescope=telescope,
        fibre_radius_um=_numbers(config, entries, "FIBER", 1)[0],
        arms=_read_arms(config, entries, throughput),
        lines=_lines(tables),
        telluric=_telluric(tables),
        dust=_dust(tables["dust_norm"]),
    )


def _read_config(path: Path) -> tuple[dict[str, list[list[str]]], list[np.ndarray]]:
    """Entries by keyword, a row each; and the throughput tables (2, n_row), an arm each."""
    entries: dict[str, list[list[str]]] = {}
    throughput: list[np.ndarray] = []
    rows: list[tuple[float, float]] | None = None
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if rows is None or len(throughput) == _n_arm(path, entries):
            entries.setdefault(words[0], []).append(words[1:])
            rows = [] if words[0] == "THRPUT" else rows
        elif words[0] == "D":
            throughput.append(np.array(rows).reshape(-1, 2).T)
            rows = []
        else:
            try:
                wave, *factors = (float(word) for word in words[:6])
            except ValueError:
                raise DataError(
                    f"{path}: line {number} of THRPUT is not numbers: {line!r}"
                ) from None
            rows.append((wave, float(np.prod(factors))))
    return entries, throughput


def _n_arm(path: Path, entries: dict[str, list[list[str]]]) -> int:
    return int(_numbers(path, entries, "ARMS", 1)[0])


def _numbers(
    path: Path, entries: dict[str, list[list[str]]], key: str, n: int, arm: int | None = None
) -> list[float]:
    """Numbers of an entry, those of one arm where its rows begin with the arm's number."""
    rows = entries.get(key, [])
    if arm is not None:
        rows = [row[1:] for row in rows if row and row[0] == str(arm)]
    try:
        values = [float(word) for word in rows[-1]]
    except (IndexError, ValueError):
        values = []
    if len(values) != n:
        where = key if arm is None else f"{key} {arm}"
        raise DataError(
            f"{path}: entry {where} needs {n} numbers, found {rows[-1] if rows else 'none'}; "
            "give a configuration of the exposure-time calculator"
        )
    return values


def _read_arms(
    path: Path, entries: dict[str, list[list[str]]], throughput: Sequence[np.ndarray]
) -> dict[str, Arm]:
    medium = _numbers(path, entries, "MEDIUM_RESOLUTION", 1)[0] == 1
    names = ("blue", "red-mr" if medium else "red", "nir")
    n_arm = _n_arm(path, entries)
    if n_arm != len(names) or len(throughput) != n_arm:
        raise DataError(
            f"{path}: expected {len(names)} arms with a throughput table each, found ARMS "
            f"{n_arm} and {len(throughput)} tables ended by D"
        )
    ramps = [row[0] for row in entries.get("HGCDTE", []) if row]
    return {
        name: _read_arm(path, entries, k, name, str(k) in ramps, throughput[k])
        for k, name in enumerate(names)
    }


def _read_arm(
    path: Path,
    entries: dict[str, list[list[str]]],
    k: int,
    name: str,
    ramp: bool,
    throughput: np.ndarray,
) -> Arm:
    low, high, n_pixel, width = _numbers(path, entries, "PARAM", 4, k)
    camera = _numbers(path, entries, "CAMERA", 9, k)
    optics = Optics(
        pixel_um=camera[2],
        fibre_image_um=camera[5],
        camera_spot_um=camera[4],
        camera_focal_ratio=camera[0],
        trace_separation_um=camera[8],
        silicon_thickness_um=camera[1],
        silicon_temperature_k=camera[3],
        grating_line_count=_numbers(path, entries, "NLINES", 1, k)[0],
        detector="hgcdte" if ramp else "silicon",
    )
    boost, variance = EMPIRICAL[name]
    arm = Arm(
        name=name,
        wave_min_nm=low,
        wave_max_nm=high,
        n_pixel=int(n_pixel),
        trace_width_pixel=int(width),
        star_shift_pixel=-0.5,
        lsf_wave_nm=tuple(float(x) for x in np.linspace(low, high, 9)),
        lsf_fwhm_pixel=(1.0,) * 9,
        profile="optics",
        throughput_wave_nm=tuple(throughput[0].tolist()),
        throughput=tuple(throughput[1].tolist()),
        throughput_factor=boost,
        variance_factor=variance,
        sample_factor=RAMP_SAMPLE_FACTOR if ramp else 1.0,
        dark_electron_per_s=camera[6],
        read_noise_electron=camera[7],
        optics=optics,
        lsf="mtf",
    )
    return with_optics_width(arm)


def with_optics_width(arm: Arm) -> Arm:
    """Return the arm with the half-maximum widths of its optics' profile, without the pixel."""
    from starsmith.simulator.instruments.light.mtf import pixel_free_fwhm

    width = pixel_free_fwhm(arm, np.array(arm.lsf_wave_nm))
    return replace(arm, lsf_fwhm_pixel=tuple(float(round(w, 4)) for w in width))


def _read_tables(path: Path) -> dict[str, np.ndarray]:
    try:
        tables = read_npz(path, TABLES, MOST_TABLES)
    except DataError as problem:
        raise DataError(f"not the calculator's modeldata.npz: {problem}; copy it again") from None
    if odd := [name for name, values in tables.items() if values.ndim != TABLES[name]]:
        raise DataError(
            f"{path}: table(s) {odd} are of another shape; copy modeldata.npz from the calculator "
            "again"
        )
    return {name: values.astype(np.float64) for name, values in tables.items()}


def _vacuum(air_nm: np.ndarray) -> np.ndarray:
    """Vacuum wavelengths of air wavelengths [nm]; Edlén (1953), as in the calculator."""
    vacuum = air_nm.copy()
    for _ in range(10):
        inverse = 1e6 / vacuum**2
        index = 1.000064328 + 0.0294981 / (146.0 - inverse) + 0.0002554 / (41.0 - inverse)
        vacuum += air_nm - vacuum / index
    return vacuum


def _lines(tables: dict[str, np.ndarray]) -> np.ndarray:
    """UVES and OH lines together, scaled to one airmass; of equal wavelengths the sum."""
    wave = np.concatenate([_vacuum(tables["uves_lambda"]), tables["oh_data"][:, 0]])
    intensity = np.concatenate([tables["uves_int"], tables["oh_data"][:, 1] * OH_SCALE])
    unique, row = np.unique(wave, return_inverse=True)
    return np.array([unique, np.bincount(row, np.maximum(intensity, 0.0))])


def _telluric(tables: dict[str, np.ndarray]) -> np.ndarray:
    """Kitt Peak to 900 nm, ATRAN for Mauna Kea redward, nothing below 500 nm."""
    kitt_peak, mauna_kea = tables["atm_trans_kp"], tables["mk_trans_3mm"]
    blue = KITT_PEAK_NM[0] + KITT_PEAK_NM[1] * np.arange(kitt_peak.size)
    red = MAUNA_KEA_NM[0] + MAUNA_KEA_NM[1] * np.arange(mauna_kea.size)
    used = blue <= MAUNA_KEA_NM[0]
    red[0] += 1e-6  # the Kitt Peak table still holds at 900 nm itself
    wave = np.concatenate([[300.0, blue[0] - 1e-6], blue[used], red])
    return np.array([wave, np.concatenate([[1.0, 1.0], kitt_peak[used], mauna_kea])])


def _dust(norm: np.ndarray) -> np.ndarray:
    """A / E(B-V) on 100 steps per decade from 10 µm down, turned to increasing wavelength."""
    wave_nm = 1e4 * 10.0 ** (-np.arange(norm.size) / 100.0)
    return np.array([wave_nm[::-1], norm[::-1]])
