"""Spectra from anywhere: what is refused, why, and what repairs it; hostile files stay harmless."""

import os

import h5py
import numpy as np
import pytest
from astropy.table import Table
from scipy.interpolate import make_interp_spline

from starsmith.data_contract.errors import GridError, InputError
from starsmith.data_contract.grid.grid_file import read_grid
from starsmith.simulator.grids import SpectraRequest, Statement, import_grid
from starsmith.simulator.instruments import load_instrument
from tests.reference import model_grids as made
from tests.reference.bosz_archive import write_node

SAID = {"medium": "vacuum", "flux": "F_lambda", "resolution": 30_000}
WAVE = made.fine_wave(8470, 8690, resolution=6_000)
STAR = (5000, 4.0, 0.0)


def imported(source, out, layout=None, labels=None, said=SAID, **request):
    asked = SpectraRequest(statement=Statement(**said), **request)
    return import_grid(source, out, asked, layout, labels)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "grid.zarr"


def listed(tmp_path, write=None, nodes=(STAR,), wave=WAVE):
    return made.write_list(tmp_path / "l", wave, list(nodes), write=write)


def swapped(wave, flux):
    wave[[10, 11]] = wave[[11, 10]]
    return wave, flux


def spoiled(value):
    def spoil(wave, flux):
        flux[50] = value
        return wave, flux

    return spoil


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (swapped, "wavelengths do not run one way"),
        (lambda w, f: (np.append(w, w[-1]), np.append(f, f[-1])), "leave no value twice"),
        (spoiled(np.nan), "flux is nan at"),
        (spoiled(-1.0), "flux is -"),
        (lambda w, f: (-w, f), "not positive"),
        (lambda w, f: (w[:2], f[:2]), "has 2 wavelengths"),
        (lambda w, f: (w, 1e8 * f), "--flux-unit"),
        (lambda w, f: (w, 1e-8 * f), "--flux-unit"),
        (lambda w, f: (w / (1 + 2.78e-4), f), "say --medium air"),
        (lambda w, f: (w, f, f, f), "name them in a line above"),
        (lambda w, f: (w,), "has 1 columns"),
    ],
)
def test_numbers_no_star_has_are_refused_by_name(tmp_path, out, write, why):
    """One bad file among good ones is named with its reason; the others are imported."""
    listed(tmp_path, write)
    bad = (tmp_path / "l" / "star0.txt").read_text()
    table = listed(tmp_path, nodes=[STAR, (5250, 4.0, 0.0)])
    (tmp_path / "l" / "star0.txt").write_text(bad)
    report = imported(table, out)
    assert report.imported == ("star1.txt",)
    assert why in dict(report.refused)["star0.txt"]
    assert read_grid(out).valid.sum() == 1


def test_decreasing_wavelengths_are_read_the_other_way(tmp_path, out):
    """A table in order of frequency is the same spectrum."""
    imported(listed(tmp_path, lambda w, f: (w[::-1], f[::-1])), out)
    truth = made.surface_flux(WAVE, teff=5000, logg=4.0, m_h=0.0)
    np.testing.assert_allclose(read_grid(out).flux[0, 0, 0], truth, rtol=1e-6)


@pytest.mark.parametrize(
    ("missing", "repair"),
    [("medium", "--medium air"), ("flux", "--flux, one of"), ("resolution", "add --resolution")],
)
def test_nothing_is_guessed(tmp_path, out, missing, repair):
    """What nobody states is asked for, with the option that states it; nothing is written."""
    said = {name: value for name, value in SAID.items() if name != missing}
    with pytest.raises(GridError, match=repair):
        imported(listed(tmp_path), out, said=said)
    assert not out.exists()


def test_statements_that_contradict_are_refused(tmp_path, out):
    """A table's own word against an option's; a unit of frequency against F_lambda."""
    table = made.write_list(tmp_path / "l", WAVE, [STAR], {"medium": "air"})
    with pytest.raises(GridError, match="medium is stated as vacuum and as air"):
        imported(table, out)
    with pytest.raises(GridError, match="no unit of flux per Å; correct --flux"):
        imported(listed(tmp_path), out, said={**SAID, "flux_unit": "erg/s/cm2/Hz"})
    made.write_phoenix(tmp_path / "p", made.fine_wave(), 5000, cards={"BUNIT": "erg/s/cm^2/A"})
    with pytest.raises(GridError, match="flux unit is stated as"):
        imported(tmp_path / "p", out, said={})


def test_factors_of_pi_show_where_the_whole_star_is_seen(tmp_path, out):
    """From 0.2 to 30 µm the flux must add up to sigma Teff^4: H taken for F does not."""
    wave = np.geomspace(2000.0, 3e5, 20_000)
    table = listed(tmp_path, lambda w, f: (w, f / (4 * np.pi)), wave=wave)
    said = {**SAID, "resolution": 4000}
    with pytest.raises(GridError, match=r"a factor 1/\(4 pi\) off"):
        imported(table, out, said=said)
    report = imported(table, out, said={**said, "flux": "H_lambda"})
    assert "sigma Teff^4 in 1 of 1" in report.provenance["flux"]


def test_mixed_grids_are_told_apart(tmp_path, out):
    """A folder of two grids is refused until one is chosen."""
    folder = tmp_path / "both"
    made.write_phoenix(folder, made.fine_wave(), 5000)
    write_node(folder, teff=5000)
    with pytest.raises(GridError, match=r"1 phoenix, 1 bosz\); choose one: --layout phoenix"):
        imported(folder, out, said={})
    report = imported(folder, out, layout="phoenix", said={})
    assert len(report.imported) == len(report.ignored) == 1


def test_two_files_of_one_node_are_settled(tmp_path, out):
    """The same spectrum twice is merged; two that differ are both refused."""
    table = listed(tmp_path, nodes=[STAR, STAR, (5250, 4.0, 0.0)])
    assert imported(table, out).merged == (("star1.txt", "star0.txt"),)
    text = (tmp_path / "l" / "star2.txt").read_text()
    (tmp_path / "l" / "star1.txt").write_text(text)
    report = imported(table, out, overwrite=True)
    assert report.imported == ("star2.txt",)
    assert "disagrees with it" in dict(report.refused)["star0.txt"]


def test_few_nodes_are_told(tmp_path, out):
    """A cubic needs four nodes; fewer are imported, and said."""
    report = imported(listed(tmp_path, nodes=[STAR, (5250, 4.0, 0.0)]), out)
    assert report.thin[0] == "teff has 2 nodes: interpolated with degree 1, not 3"
    assert "it cannot be varied" in report.thin[1]


def test_spectra_too_coarse_or_too_short_for_the_instrument_are_refused(tmp_path, out):
    """The grid of an instrument is checked before it is written."""
    instrument = load_instrument("pfs_mr")
    with pytest.raises(GridError, match=r"needs 70[0-9]"):
        imported(listed(tmp_path), out, instrument=instrument)
    wide = made.fine_wave(6900, 9000, resolution=6_000)
    with pytest.raises(GridError, match="the grid's resolution is 4000"):
        imported(
            listed(tmp_path, wave=wide),
            out,
            said={**SAID, "resolution": 4000},
            instrument=instrument,
        )
    with pytest.raises(GridError, match="which cannot be brought to 50000"):
        imported(listed(tmp_path), out, to_resolution=50_000)
    assert not out.exists()


def test_an_imported_grid_interpolates_to_the_star_between(tmp_path, out):
    """PHOENIX files to a grid: the cubic between its nodes is the star that lies there."""
    wave = made.fine_wave(8400, 8750, resolution=25_000)
    for teff in (5000, 5200, 5400, 5600):
        made.write_phoenix(tmp_path / "p", wave, teff)
    made.write_phoenix(tmp_path / "t", wave, 5310)
    asked = {"said": {}, "to_resolution": 20_000, "wave_min": 8450, "wave_max": 8700}
    for folder, path in (("p", out), ("t", tmp_path / "t.zarr")):
        imported(tmp_path / folder, path, **asked)
    grid = read_grid(out)
    between = make_interp_spline(grid.axes["teff"], grid.flux[:, 0, 0], k=3)(5310.0)
    # 3e-6 of a cubic over 200 K, float32 on top
    np.testing.assert_allclose(between, read_grid(tmp_path / "t.zarr").flux[0, 0, 0], rtol=1e-5)


def test_phoenix_without_its_wavelengths_says_where_they_are(tmp_path, out):
    """The library keeps wavelengths in one file, which must lie beside the models."""
    path = made.write_phoenix(tmp_path / "p", made.fine_wave(), 5000)
    (path.parent / made.PHOENIX_WAVE).unlink()
    with pytest.raises(GridError, match=f"no {made.PHOENIX_WAVE} beside it or above; curl"):
        imported(path.parent, out, said={})


def test_a_table_leads_nowhere_but_its_folder(tmp_path, out):
    """Names that climb, are absolute or follow a link out of the folder are not opened."""
    secret = tmp_path / "secret.txt"
    np.savetxt(secret, np.transpose([WAVE, made.surface_flux(WAVE, teff=5000)]))
    table = listed(tmp_path, nodes=[STAR] * 4 + [(5250, 4.0, 0.0)])
    os.symlink(secret, tmp_path / "l" / "linked.txt")
    rows = Table.read(table)
    rows["file"] = ["../secret.txt", str(secret), "linked.txt", "absent.txt", "star4.txt"]
    rows.write(table, overwrite=True)
    report = imported(table, out)
    assert report.imported == ("star4.txt",)
    assert [name for name, _ in report.refused] == list(rows["file"][:4])


def _fifo(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [_fifo, lambda p: p.write_bytes(b"\0" * 9000), lambda p: None])
def test_hostile_files_end_in_one_line(tmp_path, out, change):
    """A pipe, nulls: refused by name in bounded time, the other file imported."""
    table = listed(tmp_path, nodes=[STAR, (5250, 4.0, 0.0)])
    change(tmp_path / "l" / "star0.txt")
    report = imported(table, out)
    assert report.imported[-1] == "star1.txt"
    assert all("\n" not in reason for _, reason in report.refused)


def test_hdf5_links_and_sizes_are_not_followed(tmp_path, out):
    """An external link and a size that nothing backs are refused, not read."""
    path = made.write_newera(tmp_path / "n", WAVE, 5000)
    with h5py.File(path, "r+") as file:
        del file["PHOENIX_SPECTRUM/flux"]
        file["PHOENIX_SPECTRUM/flux"] = h5py.ExternalLink(str(path), "PHOENIX_SPECTRUM/wl")
    with pytest.raises(InputError, match="is a link"):
        imported(path.parent, out, said={})
    with h5py.File(path, "w") as file:
        for name in ("wl", "flux"):
            file.create_dataset(f"PHOENIX_SPECTRUM/{name}", (2**34,), "f8", chunks=(2**16,))
    with pytest.raises(InputError, match="of which 0 are stored"):
        imported(path.parent, out, said={})
