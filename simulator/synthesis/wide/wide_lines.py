"""Atomic lines of 316-640, 900-1068 and 1490-1710 nm.

``lines.npz`` holds, of every line, its wavelength in air [mÅ], lower level [0.2 meV], log gf
[mdex], van der Waals width [0.01 dex], cross-section and velocity exponent after Anstee, Barklem &
O'Mara, and its source: Kurucz's gfall of 2017; Heiter+ (2021, A&A 645, A106); Shetrone+ (2015,
ApJS 221, 24) in 1.5-1.7 µm; Ca II H and K: cross-sections of Barklem & O'Mara (1998, MNRAS 300,
863). All lists were read in the package pymoog 0.0.3 (PyPI); no row of VALD is taken. gfall states
the energy of the even level: which of the two is the lower was told by the levels that recur in
the list, right in 24,380 of 24,431 lines that Heiter+ have too. Hyperfine and isotopic components
of gfall are one line here. Kept are the eight strongest of every Å, where a line adds more than 2 %
to the continuum in one of four stars (4000 K and log g 4.5, 4500/2, 5777/4.44, 6500/4).
"""

import io
from functools import lru_cache
from importlib.resources import files

import numpy as np

from starsmith.data_contract import fixed_math as fixed
from starsmith.data_contract.air import air_to_vacuum
from starsmith.simulator.synthesis.line_list import LineList, estimated_damping, line_list
from starsmith.simulator.synthesis.sampling import LINES_COVER

__all__ = [
    "E_LOW_UNIT",
    "LOG_GF_UNIT",
    "WAVE_UNIT",
    "packed",
    "wide_line_list",
]

PACKAGE = "starsmith.simulator.synthesis.wide"
E_LOW_UNIT, LOG_GF_UNIT, VDW_UNIT, WAVE_UNIT = 2e-4, 1e-3, 1e-2, 1e-3


@lru_cache(maxsize=2)
def packed(name: str) -> dict[str, np.ndarray]:
    """Arrays of a packaged table, in its units."""
    content = files(PACKAGE).joinpath(name).read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return dict(stored)


@lru_cache(maxsize=4)
def wide_line_list(wave_min: float, wave_max: float) -> LineList:
    """Lines of both tables between two vacuum wavelengths [Å], sorted."""
    table = packed("lines.npz")
    wave = air_to_vacuum(WAVE_UNIT * table["wave_air"])
    rows = np.flatnonzero((wave >= wave_min) & (wave <= wave_max))
    species = tuple(table["species"][table["kind"][rows]].tolist())
    wave, e_low = wave[rows], E_LOW_UNIT * table["e_low"][rows]
    guess = estimated_damping(species, wave, e_low)
    vdw = table["vdw"][rows]
    known = table["abo_sigma"][rows] > 0
    here = line_list(max(wave_min, LINES_COVER[0]), min(wave_max, LINES_COVER[1]))
    parts = {
        "wave": wave,
        "e_low": e_low,
        "gf": fixed.power(10.0, LOG_GF_UNIT * table["log_gf"][rows]),
        "gamma_rad": guess["rad"],
        "gamma_stark": guess["stark"],
        "gamma_vdw": np.where(vdw < 0, fixed.power(10.0, VDW_UNIT * vdw), guess["vdw"]),
        "abo_sigma": np.where(known, table["abo_sigma"][rows], np.nan),
        "abo_alpha": np.where(known, table["abo_alpha"][rows] / 1000.0, np.nan),
    }
    merged = {name: np.concatenate([part, getattr(here, name)]) for name, part in parts.items()}
    order = np.argsort(merged["wave"], kind="stable")
    names = np.array(species + here.species)[order]
    return LineList(
        species=tuple(names.tolist()), **{name: part[order] for name, part in merged.items()}
    )
