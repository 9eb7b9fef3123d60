"""Bound-free absorption of metals: its slow twin, another table of Mg I, and effects on stars."""

import numpy as np
import pytest

from starsmith.simulator.synthesis import Sampling, synthesize
from starsmith.simulator.synthesis.bound_free import metal_bound_free
from starsmith.simulator.synthesis.composition import composition, log_partition
from starsmith.simulator.synthesis.continuum import continuum_opacity
from starsmith.simulator.synthesis.equation_of_state import solve_gas
from starsmith.simulator.synthesis.synthesis_tables import read_table
from tests.reference.synthesis import metal_absorption

TABLE = read_table("bound_free.csv")
ROWS = [dict(zip(TABLE, row, strict=True)) for row in zip(*TABLE.values(), strict=True)]


def _neutral(gas, species):
    """Neutral atoms over their partition function [1/cm³]."""
    row = gas.composition.index(species.split()[0])
    atoms = gas.n_nuclei * gas.composition.ratio[row] * (1.0 - gas.ionised[row])
    return atoms / np.exp(log_partition(species, gas.temperature))


def test_absorption_of_metals_is_its_slow_twins():
    wave = np.array([1600.0, 2400.0, 3400.0, 3750.0, 3765.0, 5000.0, 7000.0, 9000.0, 1.6e4])
    gas = solve_gas(np.array([3800.0, 5800.0, 8000.0]), np.array([1e4, 1e5, 3e4]), composition())
    found = metal_bound_free(wave, gas)
    for k, temperature in enumerate(gas.temperature):
        atoms = {s: _neutral(gas, s)[k] for s in set(TABLE["species"])}
        twin = [metal_absorption(ROWS, atoms, w, temperature) for w in wave]
        np.testing.assert_allclose(found[:, k], twin, rtol=1e-5)  # constants to six digits there
    assert np.all(found[-1] == 0.0)  # the last edge is that of Al I 5p, 1.25 µm


@pytest.mark.parametrize(
    ("wave", "log_sigma"),
    [
        (3755.0, (-50.633, -48.026, -46.220)),
        (3759.0, (-53.028, -49.643, -47.367)),
        (6549.0, (-51.785, -48.352, -46.050)),
    ],
)
def test_magnesium_against_other_calculations(wave, log_sigma):
    """Ln of the cross-section times U at 4000, 5000, 6000 K: Peach (1970), the table in MOOG."""
    gas = solve_gas(np.array([4000.0, 5000.0, 6000.0]), np.full(3, 1e5), composition())
    atoms = _neutral(gas, "Mg I")
    twin = [
        metal_absorption([r for r in ROWS if r["species"] == "Mg I"], {"Mg I": n}, wave, t) / n
        for n, t in zip(atoms, gas.temperature, strict=True)
    ]
    np.testing.assert_allclose(np.log(twin), log_sigma, atol=0.35)


def test_metals_are_part_of_the_continuum_and_of_alpha():
    """Mg I and Fe I hold 1 % of the Sun's opacity at 3500 Å; more Mg, more of it."""
    wave = np.array([3500.0])
    shares = []
    for a_m in (0.0, 0.4):
        gas = solve_gas(np.array([6000.0]), np.array([1e5]), composition(0.0, a_m))
        shares.append((metal_bound_free(wave, gas) / continuum_opacity(wave, gas))[0, 0])
    assert 0.005 < shares[0] < 0.03
    assert shares[1] > 1.2 * shares[0]


@pytest.mark.slow
def test_blue_light_of_giants_falls_at_the_edge_of_magnesium():
    """3757 Å: where lines are left out, the light of a K giant steps down towards the blue."""
    star = synthesize(4250.0, 1.5, sampling=Sampling(wave_min=3650, wave_max=3850, resolution=5e3))
    falls = [
        np.polyfit(star.wave[part], np.log(star.continuum[part]), 1)
        for part in (star.wave < 3745.0, star.wave > 3770.0)
    ]
    step = np.polyval(falls[1], 3757.0) - np.polyval(falls[0], 3757.0)
    assert 0.015 < step < 0.08
