"""BOSZ 2024: air wavelengths by formula, Eddington fluxes, two model atmospheres."""

import gzip
from itertools import product

import numpy as np
import pytest
from scipy.constants import sigma

from starsmith.data_contract.errors import DataError, GridError
from starsmith.data_contract.grid.grid_file import read_grid
from starsmith.simulator.grids import import_bosz
from starsmith.simulator.grids.bosz.conventions import check_flux_factor, check_medium
from starsmith.simulator.grids.bosz.cropped import cropped_bytes, cropped_content, read_cropped
from starsmith.simulator.grids.bosz.names2017 import ArchiveName, NodeLabels
from starsmith.simulator.grids.bosz.release2024 import (
    ATMOSPHERES,
    bosz2024_name,
    bosz2024_url,
    bosz2024_wave,
    parse_bosz2024,
    read_bosz2024,
)
from starsmith.simulator.grids.bosz.releases import parse_archive_name
from tests.reference.bosz_archive import file_name_2024, star, write_node, write_node_2024


def read(path):
    return read_bosz2024(path.read_bytes(), path.name, parse_bosz2024(path.name))


def refraction_morton(wave_vacuum):
    """Refractive index less one after Morton (1991), another fit than the reader's."""
    wavenumber2 = (1e4 / wave_vacuum) ** 2
    return 6.4328e-5 + 2.94981e-2 / (146.0 - wavenumber2) + 2.5540e-4 / (41.0 - wavenumber2)


def test_every_label_survives_its_name():
    """Name -> labels is the inverse of labels -> name."""
    quarter = np.arange(-10, 4) / 4.0
    for m_h, a_m, c_m in product(quarter, quarter[9:], quarter[7:]):
        for letters, logg in (("mp", 4.5), ("ms", -0.5), ("ap", 5.0)):
            name = ArchiveName(
                "2024", NodeLabels(5750.0, logg, m_h, a_m, c_m), 20000, 1.0, ATMOSPHERES[letters]
            )
            assert parse_bosz2024(bosz2024_name(name)) == name


def test_names_and_addresses_are_spelled_as_the_archive_does():
    name = ArchiveName(
        "2024", NodeLabels(4250.0, -0.5, 0.25, -0.25, 0.0), 50000, 2.0, "MARCS spherical"
    )
    file = "bosz2024_ms_t4250_g-0.5_m+0.25_a-0.25_c+0.00_v2_r50000_resam.txt.gz"
    assert bosz2024_name(name) == file
    assert bosz2024_url(name) == (
        "https://archive.stsci.edu/hlsps/bosz/bosz2024/r50000/m%2B0.25/" + file.replace("+", "%2B")
    )


@pytest.mark.parametrize(
    "name",
    [
        "bosz2024_xx_t5000_g+4.5_m+0.00_a+0.00_c+0.00_v2_r5000_resam.txt.gz",
        "bosz2024_mp_t5000_g+4.5_m+0.00_a+0.00_c+0.00_v3_r5000_resam.txt.gz",
        "bosz2024_mp_t5000_g+4.5_m+0.00_a+0.00_c+0.00_v2_r5001_resam.txt.gz",
        "bosz2024_mp_t5000_g+4.5_m-0.00_a+0.00_c+0.00_v2_r5000_resam.txt.gz",
        "bosz2024_mp_t5000_g+4.5_m+0.00_a+0.00_c+0.00_v2_r5000_noresam.txt.gz",
    ],
)
def test_names_the_release_cannot_have_are_refused(name):
    with pytest.raises(GridError):
        parse_bosz2024(name)


def test_wavelengths_follow_the_formula():
    """15 R samples from 500 Å towards 32 µm; 25,573 of r50000 lie in 710-885 nm."""
    wave = bosz2024_wave(50000)
    assert wave.size == 750_000
    step = np.log(640.0) / 750_000
    np.testing.assert_allclose(np.diff(np.log(wave)), step, rtol=1e-8)  # of numbers near 10
    assert wave[0] == 500.0
    assert wave[-1] * np.exp(step) == pytest.approx(320000.0)
    # the archive's figure counts a range between samples, hence give or take one
    assert abs(np.count_nonzero((wave >= 7100) & (wave <= 8850)) - 25_573) <= 1


def test_air_becomes_vacuum_above_2000_angstrom(tmp_path):
    """An error here is 83 km/s; two fits of the refraction of air agree to 6 m/s."""
    wave = read(write_node_2024(tmp_path, teff=5000)).wave
    stored = bosz2024_wave(500)
    np.testing.assert_array_equal(wave[stored <= 2000], stored[stored <= 2000])
    optical = (stored > 3000) & (stored < 10000)
    back = wave[optical] / (1.0 + refraction_morton(wave[optical]))
    np.testing.assert_allclose(back, stored[optical], rtol=2e-8)
    assert np.all(np.diff(wave) > 0)


def test_surface_flux_is_four_pi_times_the_archives_value(tmp_path):
    path = write_node_2024(tmp_path, teff=5000)
    spectrum = read(path)
    intensity, continuum = star(bosz2024_wave(500), 5000, medium="air")
    # seven printed digits, then float32
    np.testing.assert_allclose(spectrum.flux, np.pi * intensity, rtol=1e-6)
    np.testing.assert_allclose(spectrum.continuum, np.pi * continuum, rtol=1e-6)
    total = np.trapezoid(spectrum.flux.astype(float), spectrum.wave)
    assert total == pytest.approx(sigma * 1e3 * 5000.0**4, rel=0.01)  # the lines take 0.1 %
    assert check_flux_factor(spectrum, parse_bosz2024(path.name))


def test_fluxes_of_the_older_convention_are_refused(tmp_path):
    """F/pi in place of F/(4 pi): a factor 4."""
    path = write_node_2024(tmp_path, teff=5000, factor=1.0)
    with pytest.raises(GridError, match="factor 4"):
        check_flux_factor(read(path), parse_bosz2024(path.name))


def test_the_triplet_verifies_the_conversion(tmp_path):
    path = write_node_2024(tmp_path, resolution=5000, teff=5000)
    assert check_medium(read(path), parse_bosz2024(path.name))


def test_vacuum_wavelengths_in_the_air_release_are_refused(tmp_path):
    """Converting them once more would shift every line by 83 km/s."""
    path = write_node_2024(tmp_path, resolution=5000, teff=5000, medium="vacuum")
    with pytest.raises(GridError, match="vacuum wavelengths in an air release"):
        check_medium(read(path), parse_bosz2024(path.name))


@pytest.mark.parametrize("kept", [0.7, 0.001, 0.0])
def test_files_cut_short_are_refused(tmp_path, kept):
    path = write_node_2024(tmp_path, teff=5000)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError):
        read(path)


@pytest.mark.parametrize(
    "edit", [lambda rows: rows[1:], lambda rows: rows[::2], lambda rows: np.tile(rows, (2, 1))]
)
def test_another_number_of_rows_is_refused(tmp_path, edit):
    """Without wavelengths in the file, one row lost would shift all the others."""
    with pytest.raises(DataError, match="expected 7500 rows"):
        read(write_node_2024(tmp_path, teff=5000, edit=edit))


def test_a_node_computed_with_two_atmospheres_is_taken_from_marcs(tmp_path):
    """7500-8000 K exists twice."""
    for teff, atmosphere in ((7250, "mp"), (7500, "mp"), (7500, "ap"), (8250, "ap")):
        write_node_2024(tmp_path / "archive", teff=teff, atmosphere=atmosphere)
    report = import_bosz(tmp_path / "archive", tmp_path / "grid.zarr", 7000.0, 9000.0)
    double = file_name_2024(500, "ap", teff=7500)
    assert [file for file, _ in report.refused] == [double]
    assert report.provenance["atmospheres"] == {"MARCS plane-parallel": 2, "ATLAS9": 1}
    assert report.provenance["stored_medium"] == "air above 2000 Angstrom"
    assert read_grid(tmp_path / "grid.zarr").axes["teff"].tolist() == [7250.0, 7500.0, 8250.0]


def test_releases_and_microturbulences_are_not_mixed(tmp_path):
    folder = tmp_path / "archive"
    for teff in (5000, 5250, 5500):
        write_node_2024(folder, teff=teff)
    strangers = {
        write_node_2024(folder, teff=5750, microturbulence=1).name,
        write_node(folder, resolution=500, teff=6000).name,
    }
    report = import_bosz(folder, tmp_path / "grid.zarr", 8460.0, 8690.0)
    assert {file for file, _ in report.refused} == strangers
    assert len(report.imported) == 3


def test_a_file_that_a_browser_unpacked_is_the_same(tmp_path):
    """Without .gz, packed or not as its name says: the same spectrum, and imported."""
    packed = write_node_2024(tmp_path, teff=5000)
    plain = tmp_path / "plain" / packed.name.removesuffix(".gz")
    plain.parent.mkdir()
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    np.testing.assert_array_equal(read(plain).flux, read(packed).flux)
    (plain.parent / "notes.txt").write_text("not of the archive")
    report = import_bosz(plain.parent, tmp_path / "grid.zarr")
    assert report.imported == (plain.name,)
    assert report.ignored == ("notes.txt",)


def test_a_cropped_file_keeps_the_air_wavelengths_of_its_release(tmp_path):
    """Wavelengths rebuilt from two numbers are those of the whole file, air brought to vacuum."""
    path = write_node_2024(tmp_path / "a", resolution=5000, teff=5000)
    name = parse_archive_name(path.name)
    cropped = tmp_path / "c.npz"
    cropped.write_bytes(cropped_content(path.read_bytes(), path.name, name, 8460.0, 8690.0))
    read = read_cropped(cropped, name)
    whole = read_bosz2024(path.read_bytes(), path.name, name).crop(8460.0, 8690.0)
    np.testing.assert_allclose(read.spectrum.wave, whole.wave, rtol=1e-13)
    assert read.spectrum.flux.tobytes() == whole.flux.tobytes()
    assert (read.medium_verified, read.flux_verified) == (True, True)
    size = cropped.stat().st_size
    assert size == pytest.approx(cropped_bytes(name, 8460.0, 8690.0), rel=0.05)
