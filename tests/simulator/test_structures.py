"""The packaged ATLAS9 structures: the figures they came from, and what holds outside them."""

from importlib.resources import files

import numpy as np
import pytest

from starsmith.data_contract.errors import GridError
from starsmith.simulator.synthesis import Sampling, synthesize, synthetic_spectrum
from starsmith.simulator.synthesis.atmosphere import (
    build_atmosphere,
    depth_grid,
    usual_microturbulence,
)
from starsmith.simulator.synthesis.composition import composition
from starsmith.simulator.synthesis.equation_of_state import solve_gas
from starsmith.simulator.synthesis.structures import (
    IRON_SHIFT,
    NOISY,
    ROUNDING,
    atlas9_structure,
    has_structure,
    smooth_surface,
)

NEAR_TRIPLET = Sampling(wave_min=8450.0, wave_max=8720.0)


@pytest.fixture(scope="module")
def models(shared_data):
    """The models as they were computed, 72 layers each."""
    path = shared_data / "atmospheres" / "atlas9_structures.npz"
    if not path.exists():
        pytest.skip(f"no structures at {path}")
    with np.load(path) as file:
        return dict(file)


def test_the_table_is_the_models_to_its_rounding(models):
    """At a node nothing is interpolated but depth, by splines on layers of 0.125 dex."""
    layers = -6.875 + 0.125 * np.arange(72)
    log_tau = np.log10(depth_grid())
    for place in ((0, 2, 4), (6, 6, 7), (9, 9, 8), (12, 5, 1)):
        labels = [float(models[n][i]) for n, i in zip(("teff", "logg", "m_h"), place, strict=True)]
        found = atlas9_structure(labels[0], labels[1], labels[2] - IRON_SHIFT)
        assert found.genuine
        for name, column in (("temperature", "temperature"), ("pressure", "p_gas")):
            value = np.interp(log_tau, layers, np.log(models[column][place]))
            # linear interpolation of the check itself errs by up to 0.004
            atol = ROUNDING[name] + 0.004
            np.testing.assert_allclose(np.log(getattr(found, name)), value, atol=atol)


def test_electrons_are_those_of_atlas9(models):
    """With their abundances our equation of state finds their electrons: 6 % rms, G and K stars."""
    layers = -6.875 + 0.125 * np.arange(72)
    for place in ((4, 4, 7), (6, 6, 7), (9, 9, 7)):
        rows = (layers >= -4.0) & (layers <= 1.0)
        gas = solve_gas(
            models["temperature"][place][rows].astype(float),
            models["p_gas"][place][rows].astype(float),
            composition(sun="log_eps_1989"),
        )
        ratio = np.log(gas.n_electron / models["n_e"][place][rows])
        assert np.sqrt(np.mean(ratio**2)) < 0.06


def test_where_there_is_no_model_is_known():
    assert has_structure(5777.0, 4.44, 0.0)
    assert has_structure(3500.0, 0.0, 1.0)
    assert not has_structure(5777.0, 5.5, 0.0)  # beyond the table
    assert not has_structure(6500.0, 0.0, 0.0)  # a hole at the Eddington limit
    assert not has_structure(3500.0, 4.5, -2.75)  # a hole among cool metal-poor dwarfs
    assert not atlas9_structure(5777.0, 5.25, 0.0).genuine


def test_a_smooth_surface_is_the_least_squares_one():
    """A dense least-squares solution, its second differences written out, finds the same values."""
    rng = np.random.default_rng(4)
    values, valid = rng.normal(size=(4, 5, 4, 2)), rng.random((4, 5, 4)) < 0.8
    noisy = np.zeros(valid.shape, dtype=bool)
    noisy[:3, 1:, :3] = True
    rows, sides = [], []
    for place in zip(*np.nonzero(noisy & valid), strict=True):
        rows.append({place: 1.0})
        sides.append(values[place])
    for axis in range(3):
        for place in np.ndindex(valid.shape):
            if place[axis] + 2 < valid.shape[axis]:
                three = [tuple(np.add(place, k * np.eye(3, dtype=int)[axis])) for k in range(3)]
                factors = np.sqrt(0.3) * np.array([1.0, -2.0, 1.0])
                pairs = dict(zip(three, factors, strict=True))
                rows.append({p: f for p, f in pairs.items() if noisy[p]})
                sides.append(-sum(f * values[p] for p, f in pairs.items() if not noisy[p]))
    unknown = {place: k for k, place in enumerate(zip(*np.nonzero(noisy), strict=True))}
    matrix = np.zeros((len(rows), len(unknown)))
    for row, pairs in zip(matrix, rows, strict=True):
        for place, factor in pairs.items():
            row[unknown[place]] = factor
    sides = np.array([np.broadcast_to(side, 2) for side in sides])
    found = smooth_surface(values, valid, noisy, 0.3)
    np.testing.assert_allclose(found[noisy], np.linalg.lstsq(matrix, sides)[0], atol=1e-12)
    np.testing.assert_array_equal(found[~noisy], values[~noisy])


def test_cool_metal_poor_dwarfs_do_not_scatter(models):
    """Along log g T bends less than 0.6 % from node to node, where ATLAS9's own does by 1.3-7 %."""
    teff, gravity, m_h = 3750.0, np.arange(3.0, 5.1, 0.5), (-3.0, -2.0, -1.5)
    assert NOISY["logg"][0] < gravity[0]
    bends = {"ours": [], "theirs": []}
    rows = np.arange(24, 55, 10)  # log τ of -3.9 to -0.1
    ours = np.searchsorted(np.log10(depth_grid()), -6.875 + 0.125 * rows)
    for metals in m_h:
        t = [atlas9_structure(teff, g, metals - IRON_SHIFT).temperature[ours] for g in gravity]
        bends["ours"].append(np.abs(np.diff(np.log(t), 2, axis=0)).max())
        place = [list(models[n]).index(v) for n, v in (("teff", teff), ("m_h", metals))]
        at = [list(models["logg"]).index(g) for g in gravity]
        their = np.log(models["temperature"][place[0]][at][:, place[1]][:, rows].astype(float))
        bends["theirs"].append(np.abs(np.diff(their, 2, axis=0)).max())
    assert max(bends["ours"]) < 0.006
    assert min(bends["theirs"]) > 0.012
    stray = atlas9_structure(3750.0, 4.5, -3.0 - IRON_SHIFT)
    assert not stray.genuine


def test_between_models_nothing_jumps():
    """Half-way between nodes T and P lie between their neighbours', or within 1 % of them."""
    for low, middle, high in (
        ((5000, 3.0), (5125, 3.0), (5250, 3.0)),
        ((4000, 1), (4000, 1.25), (4000, 1.5)),
    ):
        found = [atlas9_structure(*labels, 0.0) for labels in (low, middle, high)]
        for name in ("temperature", "pressure"):
            left, inside, right = (np.log(getattr(s, name)) for s in found)
            assert np.all(inside > np.minimum(left, right) - 0.01)
            assert np.all(inside < np.maximum(left, right) + 0.01)


def test_alpha_elements_raise_opacity_and_lower_pressure():
    """More electrons, more H-: the same optical depth lies at a lower pressure; T(τ) stays."""
    plain, rich = build_atmosphere(5000.0, 2.0), build_atmosphere(5000.0, 2.0, a_m=0.4)
    np.testing.assert_array_equal(plain.gas.temperature, rich.gas.temperature)
    middle = (plain.tau > 1e-3) & (plain.tau < 1.0)
    assert np.all(rich.gas.pressure[middle] < 0.97 * plain.gas.pressure[middle])


def test_microturbulence_is_that_of_the_star():
    """Gaia-ESO relation: 1.0-1.1 km/s in the Sun, 1.3-1.5 at 4500 / 2.0; no jump at log g 3.5."""
    assert usual_microturbulence(5777.0, 4.44, 0.0) == pytest.approx(1.07, abs=0.03)
    assert usual_microturbulence(4500.0, 2.0, 0.0) == pytest.approx(1.42, abs=0.05)
    gravity = np.linspace(0.0, 5.5, 56)
    speed = np.array([usual_microturbulence(4000.0, g, -0.5) for g in gravity])
    assert np.abs(np.diff(speed)).max() < 0.06
    assert build_atmosphere(5777.0, 4.44, microturbulence=2.0).microturbulence == 2.0


def test_faster_turbulence_strengthens_saturated_lines():
    """From 1 to 3 km/s the mean depth about the triplet grows by a few per cent, Ca II by less."""
    depth = []
    for speed in (1.0, 3.0):
        sampling = Sampling(wave_min=8450.0, wave_max=8720.0, microturbulence=speed)
        star = synthesize(4750.0, 2.5, sampling=sampling)
        depth.append(np.mean(1.0 - star.flux / star.continuum))
    assert 1.03 < depth[1] / depth[0] < 1.3
    with pytest.raises(GridError, match="0-10 km/s"):
        Sampling(microturbulence=-1.0)


def test_an_unknown_structure_is_refused():
    with pytest.raises(GridError, match="atlas9, marcs_fit"):
        build_atmosphere(5000.0, 2.0, structure="phoenix")


def test_cutting_profiles_by_layer_changes_little(monkeypatch):
    """Ending profiles where a layer cannot matter: 5e-4 of the continuum against CUT everywhere."""
    for star in ((5777.0, 4.44), (4500.0, 1.0)):
        found = synthesize(*star, sampling=NEAR_TRIPLET)
        with monkeypatch.context() as patch:
            patch.setattr(synthetic_spectrum, "layer_cut", lambda depth: np.full(depth.shape, 3e-4))
            exact = synthesize(*star, sampling=NEAR_TRIPLET)
        np.testing.assert_allclose(
            found.flux / found.continuum, exact.flux / exact.continuum, atol=5e-4
        )


def test_the_table_is_small():
    assert len(files("starsmith.simulator.synthesis").joinpath("atlas9.npz").read_bytes()) < 300_000
