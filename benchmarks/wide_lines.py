"""Carry line figures over into the compact tables of 316-640, 900-1068 and 1490-1710 nm.

    python -m benchmarks.wide_lines LINELISTS simulator/synthesis/wide

``LINELISTS`` is ``pymoog/files/linelist`` of the package pymoog 0.0.3 (PyPI), its Kurucz list
unpacked: ``kurucz/kurucz.list`` (gfall of 2017), ``ges/ges_nohfs_noiso.list`` (Heiter+ 2021) and
``apogee/apogee.list`` (Shetrone+ 2015). What is done to them is told in `wide_lines`; both tables
come out as they lie in the package.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from starsmith.data_contract.air import air_to_vacuum, vacuum_to_air
from starsmith.simulator.synthesis.atmosphere import build_atmosphere
from starsmith.simulator.synthesis.continuum import continuum_opacity
from starsmith.simulator.synthesis.line_list import composition, ion_densities
from starsmith.simulator.synthesis.synthesis_tables import read_table

HC = 12398.41984  # eV Å
ELEMENTS = (
    *("H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S"),
    *("Cl", "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn"),
)
RANGES = ((3150.0, 6405.0), (8995.0, 10_700.0), (14_900.0, 17_100.0))  # air [Å]
KEPT = ((3160, 6405), (8995, 10_680), (14_900, 17_100))
H_BAND = (14_999.0, 17_000.0)
STARS = ((5777, 4.44), (4500, 2.0), (4000, 4.5), (6500, 4.0))
LEAST, PER_ANGSTROM, WINDOW = 0.02, 8, 20.0
COMPONENTS = 0.12  # Å between hyperfine or isotopic components of a line
SAME_LINE, SAME_LEVEL = 0.012, 0.01  # Å, eV between lists
KNOWN_ABO = {
    ("Ca II", 3933.663): (234, 223),
    ("Ca II", 3968.469): (234, 223),
    ("Ca I", 4226.728): (372, 238),
}
MOLECULES = {"CO": "608.01216", "OH": "108.00116"}
SOURCES = (
    "Kurucz gfall 2017 (pymoog)",
    "Heiter+ 2021 (pymoog)",
    "Shetrone+ 2015 (pymoog)",
)


def read_list(path: Path) -> pd.DataFrame:
    """Wavelength [Å], species code, energy [eV], log gf and damping of a MOOG list."""
    columns = ["wave", "code", "energy", "log_gf", "vdw"]
    table = pd.read_fwf(path, skiprows=1, header=None, widths=[10] * 5, names=columns)
    table = table.apply(pd.to_numeric, errors="coerce").dropna(subset=columns[:4])
    charge = np.rint((table.code - table.code.astype(int)) * 10).astype(int)
    table = table[(table.code < 93) & (charge <= 1)].copy()
    number = table.code.astype(int).to_numpy()
    stage = np.where(charge[table.index] > 0, " II", " I")
    names = [*ELEMENTS, *[""] * 25, "Ba"]
    table["name"] = [
        (names[z - 1] if z <= 56 else "") + s for z, s in zip(number, stage, strict=True)
    ]
    return table


def lower_levels(table: pd.DataFrame) -> np.ndarray:
    """Lower level of each line [eV], where the list states the level of even parity.

    The other level is then above or below by the photon's energy. True levels recur in many
    lines, false ones do not: of the two candidates the one that more even levels lead to is taken.
    """
    vacuum = np.where(
        table.wave > 2000, air_to_vacuum(np.maximum(table.wave.to_numpy(), 2000)), table.wave
    )
    photon, energy = HC / vacuum, table.energy.to_numpy()
    lower = np.empty(len(table))
    for _, rows in table.reset_index(drop=True).groupby("code").groups.items():
        here = np.asarray(rows)
        up, down = energy[here] + photon[here], energy[here] - photon[here]
        pairs = np.rint(np.c_[np.append(up, down), np.tile(energy[here], 2)] / 1e-4).astype(int)
        levels, counts = np.unique(np.unique(pairs, axis=0)[:, 0], return_counts=True)

        def seen(level: np.ndarray, levels=levels, counts=counts) -> np.ndarray:
            key = np.rint(level / 1e-4).astype(int)
            near = [np.searchsorted(levels, key + shift) for shift in (-1, 0, 1)]
            hit = [
                np.where(levels[np.minimum(at, levels.size - 1)] == key + shift, at, -1)
                for at, shift in zip(near, (-1, 0, 1), strict=True)
            ]
            return np.max([np.where(at >= 0, counts[at], 0) for at in hit], axis=0)

        is_even = (down < -2e-4) | (seen(up) >= seen(down))
        lower[here] = np.where(is_even, energy[here], down)
    return np.maximum(lower, 0.0)


def usable(table: pd.DataFrame) -> pd.DataFrame:
    """Lines of `RANGES` whose species have a partition function here."""
    have = set(read_table("partition_functions.csv")["species"])
    elements = set(read_table("elements.csv")["element"]) - {"H", "He"}
    known = table.name.isin([n for n in have if n.split()[0] in elements])
    near = np.any([(table.wave > low) & (table.wave < high) for low, high in RANGES], axis=0)
    return table[known & near]


def merged(table: pd.DataFrame) -> pd.DataFrame:
    """Hyperfine and isotopic components, listed with the whole gf each, as one line."""
    table = table.assign(
        level=np.rint(table.lower * 1e3).astype(int), strength=np.rint(table.log_gf * 1e3)
    ).sort_values(["name", "level", "strength", "wave"])
    new = (table.name != table.name.shift()) | (table.strength != table.strength.shift())
    new |= (table.level.diff().abs() > 1) | (table.wave.diff() > COMPONENTS)
    means = {"wave": ("wave", "mean"), "lower": ("lower", "mean"), "log_gf": ("log_gf", "first")}
    means |= {"vdw": ("vdw", "first"), "name": ("name", "first")}
    return table.groupby(new.cumsum()).agg(**means).sort_values("wave").reset_index(drop=True)


def overridden(lines: pd.DataFrame, better: pd.DataFrame) -> pd.DataFrame:
    """Lines with gf and damping of another list where exactly one of them is the same."""
    lines = lines.assign(source=0, sigma=0, alpha=0)
    wave, name = lines.wave.to_numpy(), lines.name.to_numpy()
    low = lines.lower.to_numpy()
    columns = {c: lines[c].to_numpy(copy=True) for c in ("log_gf", "vdw", "source")}
    abo = np.zeros((len(lines), 2), dtype=int)
    for row in better.itertuples():
        first, stop = np.searchsorted(wave, [row.wave - SAME_LINE, row.wave + SAME_LINE])
        same = [
            i
            for i in range(first, stop)
            if name[i] == row.name and abs(low[i] - row.energy) < SAME_LEVEL
        ]
        if len(same) != 1:
            continue
        columns["log_gf"][same[0]], columns["source"][same[0]] = row.log_gf, 1
        if row.vdw > 20:  # σ.α in one number
            abo[same[0]] = int(row.vdw), round((row.vdw - int(row.vdw)) * 1000)
        elif row.vdw < 0:
            columns["vdw"][same[0]] = row.vdw
    return lines.assign(**columns, sigma=abo[:, 0], alpha=abo[:, 1])


def contrast(lines: pd.DataFrame) -> np.ndarray:
    """Largest line opacity over the continuum's, of all `STARS`, where weak lines form."""
    wave, ratio = air_to_vacuum(lines.wave.to_numpy()), np.zeros(len(lines))
    names, kind = np.unique(lines.name.to_numpy().astype(str), return_inverse=True)
    mass = np.array([composition().mass[composition().index(n.split()[0])] for n in names])[kind]
    coarse = np.geomspace(3100, 17_200, 600)
    for teff, logg in STARS:
        gas_of = build_atmosphere(float(teff), logg, 0.0, 0.0, 0.0, "atlas9")
        for log_tau, weight in ((-1.0, 1.0), (-2.5, 0.3)):
            k = int(np.argmin(np.abs(np.log10(gas_of.tau) - log_tau)))
            continuum = np.interp(wave, coarse, continuum_opacity(coarse, gas_of.gas)[:, k])
            t = gas_of.gas.temperature[k]
            ions = ion_densities(tuple(names), gas_of)[kind, k]
            doppler = np.sqrt(2 * 1.380649e-16 * t / (mass * 1.66054e-24) * 1e-10 + 4.0)  # km/s
            level = ions * np.exp(-lines.lower.to_numpy() / (8.617333e-5 * t))
            level *= 1.0 - np.exp(-1.438777e8 / (wave * t))
            area = 0.02654 * 10.0 ** lines.log_gf.to_numpy() * wave * 1e-13 / np.sqrt(np.pi)
            ratio = np.maximum(ratio, weight * area / doppler * level / continuum)
    return ratio


def strongest(lines: pd.DataFrame) -> pd.DataFrame:
    """The `PER_ANGSTROM` strongest lines of every Å that reach `LEAST`."""
    wave, ratio = lines.wave.to_numpy(), contrast(lines)
    kept = np.zeros(len(lines), dtype=bool)
    for first, last in KEPT:
        for low in np.arange(first, last, WINDOW):
            here = np.flatnonzero((wave >= low) & (wave < low + WINDOW) & (ratio > LEAST))
            kept[here[np.argsort(-ratio[here])[: int(PER_ANGSTROM * WINDOW)]]] = True
    return lines[kept & ~((wave >= 6400.0) & (wave <= 9000.0))]


def atomic_table(folder: Path) -> dict[str, np.ndarray]:
    """Arrays of ``lines.npz``."""
    kurucz = read_list(folder / "kurucz" / "kurucz.list")
    kurucz = merged(usable(kurucz.assign(lower=lower_levels(kurucz))))
    lines = overridden(kurucz, usable(read_list(folder / "ges" / "ges_nohfs_noiso.list")))
    apogee = usable(read_list(folder / "apogee" / "apogee.list"))
    apogee = apogee.assign(
        wave=vacuum_to_air(apogee.wave.to_numpy()), lower=apogee.energy, source=2, sigma=0, alpha=0
    )
    lines = lines[~((lines.wave > H_BAND[0]) & (lines.wave < H_BAND[1]))]
    lines = pd.concat([lines, apogee[lines.columns]]).sort_values("wave", kind="stable")
    lines = strongest(lines.reset_index(drop=True))
    for (name, wave), (sigma, alpha) in KNOWN_ABO.items():
        here = (lines.name == name) & ((lines.wave - wave).abs() < 0.02)
        lines.loc[here, ["sigma", "alpha"]] = sigma, alpha
    species = np.array(sorted(set(lines.name)))
    return {
        "species": species,
        "sources": np.array(SOURCES),
        "wave_air": np.rint(lines.wave * 1e3).to_numpy(np.int32),
        "kind": np.searchsorted(species, lines.name.to_numpy().astype(str)).astype(np.uint8),
        "e_low": np.rint(lines.lower * 5e3).to_numpy(np.uint16),
        "log_gf": np.rint(lines.log_gf * 1e3).to_numpy(np.int16),
        "vdw": np.rint(lines.vdw.where(lines.vdw < 0, 0.0) * 100).to_numpy(np.int16),
        "abo_sigma": lines.sigma.to_numpy(np.uint16),
        "abo_alpha": lines.alpha.to_numpy(np.uint16),
        "source": lines.source.to_numpy(np.uint8),
    }


def molecular_table(folder: Path) -> dict[str, np.ndarray]:
    """Arrays of ``h_band.npz``: lines down to 4.5 dex below the strongest at 4000 K."""
    rows = [line.split() for line in (folder / "apogee" / "apogee.list").open()]
    found = {}
    for name, code in MOLECULES.items():
        lines = np.array([[r[0], r[2], r[3]] for r in rows if r[1:2] == [code]], dtype=float)
        seen = lines[:, 2] - lines[:, 1] * 5040 / 4000
        wave, e_low, log_gf = lines[seen > seen.max() - 4.5].T
        order = np.argsort(wave)
        found[f"{name}_wave"] = np.rint(wave[order] * 1e3).astype(np.int32)
        found[f"{name}_e_low"] = np.rint(e_low[order] * 5e3).astype(np.uint16)
        found[f"{name}_log_gf"] = np.rint(log_gf[order] * 1e3).astype(np.int16)
    return found


def main(source: str, target: str) -> None:
    """Write both tables and print their sizes."""
    for name, table in (("lines", atomic_table), ("h_band", molecular_table)):
        path = Path(target) / f"{name}.npz"
        np.savez_compressed(path, **table(Path(source)))
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
