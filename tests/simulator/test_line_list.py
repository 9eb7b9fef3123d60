"""The table of atomic lines: where its numbers were read, and that they are possible."""

import re
from collections import Counter

import numpy as np
import pytest

from starsmith.data_contract.constants import LIGHT_SPEED_KM_S
from starsmith.simulator.kernels.synthesis_hydrogen import stark_profile
from starsmith.simulator.synthesis.atomic_constants import AMU, BOLTZMANN
from starsmith.simulator.synthesis.hydrogen import stark_constant
from starsmith.simulator.synthesis.line_list import line_list
from starsmith.simulator.synthesis.synthesis_tables import numbers, read_table

TABLE = "lines.csv"
OPENED = r".+ \((linemake|pymoog)\)"


def test_every_row_names_the_source_that_was_opened():
    sources = read_table(TABLE)["source"]
    assert {text for text in sources if not re.fullmatch(OPENED, text)} == set()
    assert not any("memory" in text for text in sources)


def test_rows_are_possible_lines_listed_once():
    """640-900 nm, levels below 12.6 eV, widths below 1e10 rad/s, one law for each collision."""
    table = read_table(TABLE)
    wave, energy, gf = (numbers(TABLE, name) for name in ("wave_air", "e_low", "log_gf"))
    assert np.all(np.diff(wave) >= 0.0)
    assert wave[0] >= 6400.0
    assert wave[-1] <= 9005.0
    assert np.all((energy >= 0.0) & (energy < 12.6))
    assert np.all((gf > -10.0) & (gf < 1.3))
    rows = Counter(zip(table["species"], wave, energy, gf, strict=True))
    assert [row for row, times in rows.items() if times > 1] == []
    rad, vdw = numbers(TABLE, "log_gamma_rad"), numbers(TABLE, "log_gamma_vdw")
    assert np.nanmax(rad) < 10.0  # the levels of forbidden lines may live for seconds
    assert np.nanmin(vdw) > -10.0
    assert np.nanmax(vdw) < -5.5
    assert not np.any(np.isfinite(vdw) & np.array([text != "" for text in table["abo"]]))


@pytest.mark.parametrize(
    ("species", "wave", "rate"),
    [
        ("Ca II", 8542.09, 1.58e8),  # 4p-4s, 4p-3d
        ("Mg I", 8806.76, 5.03e8),  # 3p-3s 2852 Å, which empties the lower level; 3d-3p
        ("Na I", 8183.26, 1.13e8),  # 3p-3s D lines; 3d-3p
        ("O I", 8446.36, 6.4e8),  # 3s-2p 1302-1306 Å; 3p-3s
    ],
)
def test_strong_lines_are_as_wide_as_their_levels_are_short_lived(species, wave, rate):
    """Decay rates of both levels [1/s] (NIST); the classical width would be 3e7."""
    lines = line_list(6400.0, 9000.0)
    near = np.abs(lines.wave / 1.000275 - wave) < 0.05
    (found,) = lines.gamma_rad[near & np.array([name == species for name in lines.species])]
    assert found == pytest.approx(rate, rel=0.15)


LEMKE = {  # profile [1/Å] at 1, 2, 4, 8, 16 Å, 6000 K and 1e14 electrons/cm³ (Lemke 1997)
    (2, 3): (9.10e-3, 1.49e-3, 2.79e-4, 5.43e-5, 1.06e-5),
    (3, 11): (4.28e-2, 4.15e-2, 3.73e-2, 2.40e-2, 8.26e-3),
    (3, 16): (2.05e-2, 2.04e-2, 1.99e-2, 1.81e-2, 1.26e-2),
}


@pytest.mark.parametrize("levels", LEMKE)
def test_hydrogen_profiles_follow_the_tables_of_unified_theory(levels):
    """Vidal, Cooper & Smith (1973) as tabulated by Lemke: one shape for all lines errs by 30 %."""
    lower, upper = levels
    scale = 1.25e-9 * 1e14 ** (2.0 / 3.0) * stark_constant(np.array([lower]), np.array([upper]))[0]
    thermal = np.sqrt(2.0 * BOLTZMANN * 6000.0 / (1.008 * AMU)) * 1e-5
    centre = 911.76 / (1.0 / lower**2 - 1.0 / upper**2)
    doppler = centre * thermal / LIGHT_SPEED_KM_S
    distance = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    found = [stark_profile(d / scale, doppler / scale) / scale for d in distance]
    np.testing.assert_allclose(found, LEMKE[levels], rtol=0.3)
