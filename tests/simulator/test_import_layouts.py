"""Spectra of published layouts and of tables become grids that interpolate to a known answer."""

from itertools import product

import h5py
import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract.air import vacuum_to_air
from starsmith.data_contract.errors import GridError
from starsmith.simulator.grids import SpectraRequest, Statement, StellarGrid, holes, import_grid
from tests.reference import model_grids as made

RANGE = {"wave_min": 8450.0, "wave_max": 8700.0}
NODES = [(teff, logg, m_h) for teff, logg, m_h in product((5000, 5250), (4.0, 4.5), (-0.5, 0.0))]
PRINTED = 3e-4  # five digits, and wavelengths of 0.01 Å in steep wings


def imported(source, out, layout=None, labels=None, **request):
    said = {
        name: request.pop(name)
        for name in ("medium", "flux", "flux_unit", "wave_unit", "resolution")
        if name in request
    }
    asked = SpectraRequest(statement=Statement(**said), **request)
    return import_grid(source, out, asked, layout, labels)


def check_truth(path, nodes=NODES, rtol=PRINTED):
    """Every node of the grid is the star that was written, in vacuum and surface flux."""
    grid = StellarGrid.open(path)
    for teff, logg, m_h in nodes:
        place = tuple(
            int(np.flatnonzero(np.isclose(grid.axes[name], value))[0])
            for name, value in zip(("teff", "logg", "m_h"), (teff, logg, m_h), strict=True)
        )
        truth = made.surface_flux(grid.wave, teff=teff, logg=logg, m_h=m_h)
        np.testing.assert_allclose(grid.flux[place], truth, rtol=rtol)
    return grid


@pytest.fixture
def out(tmp_path):
    return tmp_path / "grid.zarr"


def test_phoenix_files_tell_all_by_themselves(tmp_path, out):
    """erg/s/cm²/cm, labels in names, wavelengths in a file of their own: nothing is asked."""
    wave = made.fine_wave()
    for teff, logg, m_h in NODES:
        made.write_phoenix(tmp_path / "p", wave, teff, logg, m_h)
    made.write_phoenix(tmp_path / "p", wave, 5000, 4.0, 0.0, a_m=0.2)
    report = imported(tmp_path / "p", out, **RANGE)
    assert report.refused == ()
    grid = StellarGrid.open(out)
    assert grid.axes["a_m"].tolist() == [0.0, 0.2]
    assert grid.resolution == 500_000
    assert len(holes(grid)) == 7  # [α/M] +0.2 was written for one node
    solar = made.surface_flux(grid.wave, teff=5250, logg=4.5, m_h=-0.5)
    np.testing.assert_allclose(grid.flux[1, 1, 0, 0], solar, rtol=1e-6)
    assert "Ca II triplet in 9 of 9" in report.provenance["medium"]


def test_giants_of_negative_gravity_keep_their_sign(tmp_path, out):
    """``lte03500+0.50``: a hyphen stands before log g, so plus is minus."""
    wave = made.fine_wave()
    assert "lte03500+0.50-0.0" in made.write_phoenix(tmp_path / "p", wave, 3500, -0.5).name
    assert imported(tmp_path / "p", out).axes["logg"].tolist() == [-0.5]


def test_newera_models_of_own_wavelengths_are_sampled_alike(tmp_path, out):
    """Files of different sampling make one grid once a resolution is asked for."""
    for k, (teff, logg, m_h) in enumerate(NODES):
        made.write_newera(tmp_path / "n", made.fine_wave(8400 + k, 8760 - k), teff, logg, m_h)
    report = imported(tmp_path / "n", tmp_path / "raw.zarr", **RANGE)
    assert "--to-resolution" in dict(report.refused)[report.refused[0][0]]
    report = imported(tmp_path / "n", out, to_resolution=20_000, **RANGE)
    assert report.refused == ()
    # lines of 1.4 Å sigma smeared by 0.18 Å: shallower by a hundredth
    grid = check_truth(out, rtol=0.02)
    assert grid.resolution == 20_000
    assert np.allclose(np.diff(np.log(grid.wave)), 1 / 60_000)


def test_atlas_tables_have_a_gravity_a_column(tmp_path, out):
    """Columns of zeros are holes; whether wavelengths are of air must be said."""
    wave = made.fine_wave()
    made.write_stsci(tmp_path / "ck", wave, 5000, (4.0, 4.5), -0.5)
    made.write_stsci(tmp_path / "ck", wave, 5250, (4.5,), -0.5)
    with pytest.raises(GridError, match=r"medium of .* is stated nowhere; add --medium"):
        imported(tmp_path / "ck", out)
    report = imported(tmp_path / "ck", out, medium="vacuum")
    assert report.holes == ({"teff": 5250.0, "logg": 4.0, "m_h": -0.5},)
    check_truth(out, [(5000, 4.0, -0.5), (5000, 4.5, -0.5), (5250, 4.5, -0.5)], rtol=1e-6)


@pytest.mark.parametrize("medium", ["air", "vacuum"])
def test_kurucz_lines_of_eddington_flux(tmp_path, out, medium):
    """F_lambda = 4 pi H_nu c / lambda², wavelengths in nm of the medium that was said."""
    path = made.write_flx(tmp_path / "f.flx", made.fine_wave(resolution=20_000), NODES, medium)
    check_truth(imported(path, out, medium=medium).path, rtol=2e-3)  # 0.01 Å printed
    assert StellarGrid.open(out).continuum is not None
    wrong = {"air": "vacuum", "vacuum": "air"}[medium]
    with pytest.raises(GridError, match=rf"Ca II triplet .* say --medium {medium}"):
        imported(path, tmp_path / "x.zarr", medium=wrong)


def test_kurucz_packed_tables_and_enhanced_alpha(tmp_path, out):
    """``.pck``: wavelengths once, numbers that touch; ``[-0.5a]`` has [α/M] = +0.4."""
    wave = np.round(made.fine_wave(resolution=5_000), 1)
    path = made.write_pck(tmp_path / "f.pck", wave, NODES)
    check_truth(imported(path, out, medium="vacuum").path)
    made.write_flx(tmp_path / "a.flx", wave, [(5000, 4.0, -0.5)], alpha="a")
    report = imported(tmp_path / "a.flx", tmp_path / "a.zarr", medium="vacuum")
    assert report.provenance["fixed_labels"] == {"a_m": 0.4, "c_m": 0.0}


FLUXES = {
    "F_lambda": (lambda wave, flux: flux, {}),
    "F_nu": (lambda wave, flux: flux * wave**2 / made.LIGHT, {}),
    "H_lambda": (lambda wave, flux: flux / (4 * np.pi), {}),
    "H_nu": (lambda wave, flux: flux * wave**2 / made.LIGHT / (4 * np.pi), {}),
    "F_lambda/pi": (lambda wave, flux: flux / np.pi, {}),
    "F_nu/pi": (lambda wave, flux: 1e23 * flux * wave**2 / made.LIGHT / np.pi, {"flux_unit": "Jy"}),
}


@pytest.mark.parametrize("kind", FLUXES)
def test_every_kind_of_flux_is_brought_to_the_surface(tmp_path, out, kind):
    """A list of texts with stated flux, medium and R is the grid that was meant."""
    stored, unit = FLUXES[kind]
    wave = made.fine_wave(resolution=15_000)
    table = made.write_list(
        tmp_path / "l",
        wave,
        NODES[:2],
        write=lambda wave, flux: (vacuum_to_air(wave) / 10.0, stored(wave, flux)),
    )
    said = {"medium": "air", "wave_unit": "nm", "resolution": 30_000, "flux": kind, **unit}
    imported(table, out, **said)
    check_truth(out, NODES[:2], rtol=1e-5)


def test_a_jagged_set_of_nodes_keeps_its_holes(tmp_path, out):
    """Nodes that fill no box are holes of the box their labels span."""
    nodes = [(5000, 4.0, -0.5), (5000, 4.5, 0.0), (5120, 4.0, 0.0), (5250, 4.25, 0.0)]
    wave = made.fine_wave(resolution=15_000)
    meta = {"medium": "vacuum", "flux": "F_lambda", "resolution": 30_000}
    report = imported(made.write_list(tmp_path / "l", wave, nodes, meta).parent, out)
    assert len(report.holes) == 3 * 3 * 2 - len(nodes)
    check_truth(out, nodes, rtol=1e-6)


def _write_arrays(folder, kind, wave):
    flux = np.array([made.surface_flux(wave, teff=t, logg=g, m_h=m) for t, g, m in NODES])
    teff, logg, m_h = np.transpose(NODES)
    arrays = {"teff": teff, "logg": logg, "m_h": m_h, "flux": flux}
    path = folder / f"models.{kind}"
    if kind == "npz":
        np.savez(path, wave=wave, **arrays)
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            for name, array in {"wave": wave, **arrays}.items():
                file[name] = array
    elif kind == "csv":  # a row a sample
        long = {n: np.repeat(a, wave.size) for n, a in arrays.items() if n != "flux"}
        long |= {"wave": np.tile(wave, len(NODES)), "flux": flux.ravel()}
        Table(long).write(path, format="ascii.csv")
    else:
        Table({**arrays, "wave": np.tile(wave, (len(NODES), 1))}).write(path)
    return path


@pytest.mark.parametrize("kind", ["npz", "h5", "fits", "ecsv", "csv"])
def test_one_table_holds_all_models(tmp_path, out, kind):
    """A row a model, a row a sample, or arrays by name: the same grid."""
    path = _write_arrays(tmp_path, kind, made.fine_wave(8480, 8690, resolution=5_000))
    with pytest.raises(GridError, match=r"medium of the wavelengths is stated nowhere"):
        imported(path, out, flux="F_lambda", resolution=30_000)
    report = imported(path, out, medium="vacuum", flux="F_lambda", resolution=30_000)
    assert len(report.imported) == len(NODES)
    check_truth(out, rtol=1e-6)


def test_units_in_the_names_of_columns_are_read(tmp_path, out):
    """A CSV of ``wave_air [nm]`` and ``f_nu [Jy]`` tells medium, kind and units by itself."""
    wave = made.fine_wave(resolution=15_000)
    flux = made.surface_flux(wave, teff=5000)
    table = {
        "wave_air [nm]": vacuum_to_air(wave) / 10,
        "f_nu [Jy]": 1e23 * flux * wave**2 / 2.99792458e18,
    }
    Table(table).write(tmp_path / "star.csv", format="ascii.csv")
    labels = Table({"file": ["star.csv"], "Teff": [5000], "log g": [4.0], "[Fe/H]": [0.0]})
    labels.write(tmp_path / "labels.csv", format="ascii.csv")
    imported(tmp_path, out, resolution=30_000)
    check_truth(out, [(5000, 4.0, 0.0)], rtol=1e-5)
