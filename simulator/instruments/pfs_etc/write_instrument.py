"""Write an instrument file with its tables: `load_instrument` reads back what was written."""

import hashlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import tomli_w

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.files.atomic import write_text
from starsmith.data_contract.files.lock import writer_lock
from starsmith.simulator.instruments.config import load_instrument
from starsmith.simulator.instruments.instrument import Instrument
from starsmith.simulator.instruments.parts import Arm, Atmosphere, Fibre, Sky
from starsmith.simulator.instruments.pfs_etc.read_calculator import (
    ARM_LETTERS,
    EXTINCTION_MAG,
    EXTINCTION_NM,
    LINE_AIRMASS,
    Calculator,
    find_calculator,
    read_calculator,
)

__all__ = ["import_calculator"]

REACH_PIXEL = 24.0  # of tables beyond the pixels: profiles are followed over 16
DEFAULT_ARMS = {"mr": "m", "lr": "b+r+n"}
FIBRE_OFFSET_ARCSEC = 0.10
TABLE_HEADS = {
    "telluric": ("Telluric line absorption, vacuum wavelength", "wave_nm,transmission"),
    "lines": (
        "Night-sky emission lines, vacuum wavelength, at airmass 1.1",
        "wave_nm,intensity_1e-12_erg_s_m2_arcsec2",
    ),
    "dust": ("Interstellar extinction per reddening", "wave_nm,a_per_ebv"),
}


def import_calculator(
    folder: Path,
    out: Path,
    *,
    mode: str = "mr",
    arms: str | None = None,
    config: str | None = None,
    overwrite: bool = False,
) -> tuple[Instrument, list[Path]]:
    """Turn a copy of the PFS exposure-time calculator into an instrument file with tables.

    Parameters
    ----------
    folder : Path
        Holds ``PFS.*.dat`` and ``modeldata.npz``, at any depth.
    out : Path
        The .toml to write; tables lie beside it as ``<stem>_lines.csv`` and so on.
    mode : str
        ``mr`` or ``lr``.
    arms : str, optional
        Letters joined by ``+``: all of ``b+r+n`` by default, the red arm alone in mode mr.
    config : str, optional
        Name of the configuration, instead of the newest of the mode.
    overwrite : bool
        Replace files that are there.

    Returns
    -------
    instrument : Instrument
        As read back.
    written : list of Path

    Raises
    ------
    DataError
        If the calculator's files are missing or damaged, or another process writes there.
    ConfigError
        If an arm is unknown, or files would be replaced.
    """
    if out.suffix != ".toml":
        raise ConfigError(f"--out {out} does not end in .toml; choose such a name")
    calculator = read_calculator(*find_calculator(folder, mode, config))
    chosen = _choose(calculator, arms or DEFAULT_ARMS[mode])
    tables = _tables(calculator, chosen)
    paths = {name: out.with_name(f"{out.stem}_{name}.csv") for name in tables}
    written = [*paths.values(), out]
    if (there := [str(path) for path in written if path.exists()]) and not overwrite:
        raise ConfigError(f"{', '.join(there)} exist; choose another --out, or --overwrite")
    texts = {paths[name]: _csv(name, values, calculator) for name, values in tables.items()}
    texts[out] = _text(calculator, chosen, paths, out.stem)
    with writer_lock(out):
        for path, text in texts.items():
            write_text(path, text)
    return load_instrument(out), written


def _choose(calculator: Calculator, letters: str) -> list[Arm]:
    known = {letter: name for letter, name in ARM_LETTERS.items() if name in calculator.arms}
    wanted = letters.split("+")
    if unknown := [letter for letter in wanted if letter not in known]:
        raise ConfigError(
            f"--arms {letters}: {unknown} are not arms of {calculator.config.name}, which has "
            f"{'+'.join(known)}"
        )
    return [calculator.arms[known[letter]] for letter in dict.fromkeys(wanted)]


def _tables(calculator: Calculator, arms: list[Arm]) -> dict[str, np.ndarray]:
    """Rows within reach of the arms, a column of wavelength and one of values each."""
    low = min(arm.wave_min_nm - REACH_PIXEL * arm.dispersion_nm for arm in arms)
    high = max(arm.wave_max_nm + REACH_PIXEL * arm.dispersion_nm for arm in arms)

    def within(table: np.ndarray) -> np.ndarray:
        return table[:, (table[0] >= low) & (table[0] <= high)]

    wave = calculator.telluric[0]
    first = max(int(np.searchsorted(wave, low)) - 1, 0)
    last = min(int(np.searchsorted(wave, high)) + 1, wave.size)
    return {
        "telluric": calculator.telluric[:, first:last],
        "lines": within(calculator.lines),
        "dust": calculator.dust,
    }


def _csv(name: str, table: np.ndarray, calculator: Calculator) -> str:
    title, head = TABLE_HEADS[name]
    source = f"# {title}.\n# From {calculator.modeldata.name} of the PFS exposure-time calculator"
    rows = (f"{wave!r},{value!r}" for wave, value in table.T.tolist())
    return "\n".join([source, head, *rows, ""])


def _text(calculator: Calculator, arms: list[Arm], tables: dict[str, Path], name: str) -> str:
    atmosphere = Atmosphere(
        extinction_wave_nm=EXTINCTION_NM,
        extinction_mag_per_airmass=EXTINCTION_MAG,
        telluric_table=tables["telluric"].name,
        telluric_smoothing_sigma_nm=0.0,
        telluric_sampling="calculator",
    )
    sky = Sky(
        line_table=tables["lines"].name,
        line_airmass=LINE_AIRMASS,
        line_shift_pixel=0.5,
        continuum_scale=1.0,
        floor_fraction=0.01,
        stray_fraction=0.02,
    )
    fibre = Fibre(radius_um=calculator.fibre_radius_um, offset_arcsec=FIBRE_OFFSET_ARCSEC)
    sources = [
        f"#   {path.name}  sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in (calculator.config, calculator.modeldata)
    ]
    described = f"Imported from {calculator.config.name}: {', '.join(arm.name for arm in arms)}"
    parts = {
        "telescope": calculator.telescope,
        "fibre": fibre,
        "atmosphere": atmosphere,
        "sky": sky,
    }
    comments = [
        "# Subaru/PFS as the official exposure-time calculator knows it",
        "# (Subaru-PFS/spt_ExposureTimeCalculator); made by specsim instrument import from",
        *sources,
    ]
    content = {
        "schema": 1,
        "name": name,
        "description": described,
        "dust_table": tables["dust"].name,
        **{section: _keys(part) for section, part in parts.items()},
        "arm": [_keys(arm) | {"optics": _keys(arm.optics)} for arm in arms],
    }
    return "\n".join([*comments, tomli_w.dumps(content)])


def _keys(part: object) -> dict[str, object]:
    named = {field.name: getattr(part, field.name) for field in fields(part)}
    return {k: v for k, v in named.items() if k != "optics" and v != ""}
