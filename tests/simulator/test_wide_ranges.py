"""Light of 320-1060 nm and 1.5-1.7 µm: lines, bands and hydrogen where they are observed."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from starsmith.data_contract.air import air_to_vacuum, vacuum_to_air
from starsmith.data_contract.errors import GridError
from starsmith.data_contract.files.outside import read_npz
from starsmith.simulator.grids import StellarGrid
from starsmith.simulator.grids.cached_demo import named_grid_key
from starsmith.simulator.grids.demo import build_demo_grid
from starsmith.simulator.grids.demo_ranges import DEMO_RANGES
from starsmith.simulator.synthesis import Sampling, synthesize
from starsmith.simulator.synthesis.hydrogen import hydrogen_lines
from starsmith.simulator.synthesis.molecular.diatomics import system_lines
from starsmith.simulator.synthesis.wide.wide_lines import packed, wide_line_list

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "wide_ranges.py"
STRONG = {  # species, wavelength in air [Å] -> lower level [eV], log gf; NIST
    ("Ca II", 3933.663): (0.0, 0.135),
    ("Ca I", 4226.728): (0.0, 0.244),
    ("Fe I", 4045.812): (1.485, 0.280),
    ("Mg I", 5183.604): (2.717, -0.239),
    ("Na I", 5889.951): (0.0, 0.108),
    ("Fe I", 5269.537): (0.859, -1.321),
}


@pytest.mark.parametrize("line", STRONG, ids=str)
def test_strong_lines_have_their_lower_level(line):
    """Gfall states the even level's energy; the lower one was told, as of Mg b (5.11 - 2.39 eV)."""
    species, air = line
    near = float(air_to_vacuum(air))
    found = wide_line_list(near - 0.03, near + 0.03)
    strongest = max(
        (k for k, name in enumerate(found.species) if name == species), key=lambda k: found.gf[k]
    )
    e_low, log_gf = STRONG[line]
    assert found.e_low[strongest] == pytest.approx(e_low, abs=2e-3)
    assert np.log10(found.gf[strongest]) == pytest.approx(log_gf, abs=0.05)


def test_the_list_is_as_dense_as_told_and_names_its_sources():
    """Eight lines of an Å in the blue at most, and no row of VALD."""
    table = packed("lines.npz")
    blue = table["wave_air"] < 4_500_000
    span = np.ptp(table["wave_air"][blue]) / 1000.0
    assert 6.0 < blue.sum() / span < 8.2
    assert table["source"].max() < len(table["sources"])
    assert not any("VALD" in source for source in table["sources"])


HEADS = {  # system -> head of its 0-0 band in air [Å], Pearse & Gaydon; P heads but CH, a Q head
    "CN violet": 3883.4,
    "C2": 5165.2,
    "MgH": 5211.1,
    "CH": 4314.0,
}


@pytest.mark.parametrize("system", HEADS)
def test_bands_begin_where_they_are_observed(system):
    """Lines crowd blueward of the observed head, and are few redward of it."""
    lines = system_lines(system)
    air = vacuum_to_air(1e8 / lines.wavenumber)
    strength = lines.gf * np.exp(-lines.energy / (8.617e-5 * 5000.0))
    head = HEADS[system]
    blueward = strength[(air > head - 8.0) & (air < head + 1.0)].sum()
    redward = strength[(air > head + 3.0) & (air < head + 12.0)].sum()
    assert blueward > 1.5 * redward


def test_hydrogen_series_have_exact_places_and_strengths():
    """Hβ ... H8 and Br11 of Wiese & Fuhr (2009): wavelengths in air, f."""
    known = {
        (2, 4): (4861.35, 0.1193),
        (2, 5): (4340.47, 0.0447),
        (2, 7): (3970.08, 0.0127),
        (2, 8): (3889.06, 0.00804),
        (4, 11): (16806.5, 0.00819),
    }
    for (lower, upper), (air, f) in known.items():
        lines = hydrogen_lines(air - 1.0, air + 1.0)
        k = int(np.flatnonzero((lines["lower"] == lower) & (lines["upper"] == upper))[0])
        assert vacuum_to_air(lines["wave"][k]) == pytest.approx(air, rel=2e-5)
        assert lines["f"][k] == pytest.approx(f, rel=0.01)


def depth(spectrum, low, high):
    """Share of the continuum blocked between two vacuum wavelengths [Å]."""
    inside = (spectrum.wave > low) & (spectrum.wave < high)
    return 1.0 - np.mean(spectrum.flux[inside] / spectrum.continuum[inside])


def test_the_h_band_tells_giants_from_dwarfs_and_hot_from_cool():
    """CO 6-3 at 1.619 µm deepens in giants, Br11 in hot stars; OH is one of the cool."""
    sampling = Sampling(16_150.0, 16_900.0, resolution=20_000.0)
    giant, dwarf = (synthesize(4000.0, g, 0.0, sampling=sampling) for g in (1.0, 4.5))
    hot = synthesize(6500.0, 4.5, 0.0, sampling=sampling)
    co, brackett = (16_189.0, 16_215.0), (16_800.0, 16_822.0)
    assert depth(giant, *co) > 1.5 * depth(dwarf, *co) > 3.0 * depth(hot, *co)
    assert depth(hot, *brackett) > 0.05


@pytest.mark.slow
def test_the_sun_of_miles_is_met(shared_data):
    """Mean of Sun-like stars, 4000-5600 Å at 2.5 Å: rms of 4 % at most (3.2 % seen)."""
    path = shared_data / "libraries" / "miles_v9.1.npz"
    if not path.exists():
        pytest.skip(f"no MILES in {path}")
    names = ("wave_air", "flux", "teff", "logg", "fe_h")
    script = runpy.run_path(str(SCRIPT))
    library = read_npz(path, names, 2**28)
    n_star, _, rms, colour = script["compare"](library, script["GROUPS"]["Sun-like"])
    assert n_star == 6
    assert rms < 0.04
    assert abs(colour - 1.0) < 0.05


def test_named_grids_are_apart_and_small_ones_build(tmp_path):
    """Each range has a key of its own; a build in the H band keeps its labels and notice."""
    assert len({named_grid_key(name) for name in DEMO_RANGES}) == len(DEMO_RANGES) == 3
    axes = {"teff": np.array([4500.0, 5000.0]), "logg": np.array([2.0, 4.0])}
    sampling = DEMO_RANGES["demo-h"]
    grid = build_demo_grid(axes=axes, workers=1, cache_dir=tmp_path, sampling=sampling)
    assert (grid.wave[0], grid.resolution) == (15_000.0, 35_000.0)
    assert grid.wave[-1] >= 17_000.0
    assert grid.flux.shape == (2, 2, grid.wave.size)
    assert grid.notice.startswith("DEMO GRID")


def test_ranges_without_lines_are_refused(tmp_path):
    """Between 1.06 and 1.5 µm there is no line list; a name that is none lists those there are."""
    with pytest.raises(GridError, match=r"3200-10600 Å or 15000-17000 Å"):
        Sampling(11_000.0, 12_000.0)
    with pytest.raises(GridError, match="'demo', 'demo-optical', 'demo-h'"):
        StellarGrid.open(tmp_path / "demo-uv")
