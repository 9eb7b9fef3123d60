"""The BOSZ 2017 reader on a genuine node in both formats, and on spoiled ones."""

import bz2

import numpy as np
import pytest
from scipy.constants import sigma

from starsmith.data_contract.errors import DataError, GridError
from starsmith.simulator.grids.bosz.bosz_spectrum import geometric_wave
from starsmith.simulator.grids.bosz.conventions import (
    check_flux_factor,
    check_medium,
    triplet_medium,
)
from starsmith.simulator.grids.bosz.names2017 import NodeLabels, parse_bosz2017
from starsmith.simulator.grids.bosz.read2017 import read_bosz2017
from tests.reference.bosz_archive import (
    archive_wave,
    header_of,
    star,
    write_fits,
    write_node,
)

REAL_NODE = "amp00cp00op00t10000g40v20modrt0b200rs"
FLOAT32 = 1.2e-7  # one unit in the last place, relative


def read(path):
    return read_bosz2017(path.read_bytes(), path.name, parse_bosz2017(path.name))


@pytest.fixture(scope="module")
def real(shared_data):
    """The genuine node from each format."""
    folder = shared_data / "bosz"
    return read(folder / f"{REAL_NODE}.asc.bz2"), read(folder / f"{REAL_NODE}.fits")


@pytest.fixture(scope="module")
def raw(shared_data):
    """Columns of the genuine text file, parsed here."""
    text = bz2.decompress((shared_data / "bosz" / f"{REAL_NODE}.asc.bz2").read_bytes()).decode()
    return np.array([line.split() for line in text.splitlines()], dtype=float).T


def test_real_name_gives_labels_and_resolution():
    parsed = parse_bosz2017(f"{REAL_NODE}.fits")
    assert parsed.labels == NodeLabels(10000.0, 4.0, 0.0, 0.0, 0.0)
    assert (parsed.resolution, parsed.microturbulence) == (200, 2.0)


def test_real_formats_agree_to_their_printed_digits(real):
    """Text has 5 digits and the table stores the same numbers in float32."""
    text, table = real
    np.testing.assert_array_equal(text.wave, table.wave)
    np.testing.assert_allclose(text.flux, table.flux, rtol=2 * FLOAT32)
    np.testing.assert_allclose(text.continuum, table.continuum, rtol=2 * FLOAT32)


def test_real_surface_flux_is_pi_times_the_archives_value(real, raw):
    for spectrum in real:
        np.testing.assert_allclose(spectrum.flux, np.pi * raw[1], rtol=2 * FLOAT32)
        np.testing.assert_allclose(spectrum.continuum, np.pi * raw[2], rtol=2 * FLOAT32)


def test_real_flux_integrates_to_stefan_boltzmann(real):
    """An independent sign of the factor pi: 1 % allows for what lies below 1000 Å."""
    name = parse_bosz2017(f"{REAL_NODE}.fits")
    for spectrum in real:
        total = np.trapezoid(spectrum.flux.astype(float), spectrum.wave)
        assert total == pytest.approx(sigma * 1e3 * 10000.0**4, rel=0.01)
        assert check_flux_factor(spectrum, name)


def test_real_wavelengths_are_the_geometric_line_behind_the_column(real, raw):
    """Equal steps of 1/(2R) in ln(wave), within the column's float32 arithmetic."""
    wave = real[0].wave
    step = np.diff(np.log(wave))
    np.testing.assert_allclose(step, step.mean(), atol=1e-14 * np.log(wave[-1]))
    assert step.mean() == pytest.approx(1.0 / 400.0, rel=1e-5)
    np.testing.assert_allclose(wave, raw[0], rtol=4 * FLOAT32, atol=1e-4)


def test_real_medium_cannot_be_told_at_low_resolution(real):
    """R = 200 and 10000 K: neither vacuum nor air may be claimed."""
    assert not check_medium(real[0], parse_bosz2017(f"{REAL_NODE}.fits"))


def test_real_wavelengths_lie_on_the_lattice_of_their_synthesis(real):
    """Every 750th point of 10 (1 + 1/300000)^k Å, recovered from float32 to 1 m/s."""
    ratio = np.log1p(1.0 / 300_000.0)
    first = np.ceil(np.log(100.0) / ratio)
    lattice = 10.0 * np.exp(ratio * (first + 750.0 * np.arange(2308)))
    np.testing.assert_allclose(real[0].wave, lattice, rtol=3e-9)


@pytest.mark.parametrize("resolution", [200, 5000, 50000])
def test_rounded_wavelengths_are_recovered(resolution):
    """Rounding to float32 averages out, as 1/sqrt(n): the line beats the column."""
    exact = archive_wave(resolution, 1000.0, 320000.0)
    stored = np.round(np.float32(exact).astype(float), 4)
    column_error = np.std(stored / exact - 1.0)
    line_error = np.max(np.abs(geometric_wave(stored, resolution) / exact - 1.0))
    assert line_error < 6.0 * column_error / np.sqrt(exact.size)  # 3 sigma of a line's end


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda wave: np.delete(wave, 100), "geometric"),
        (lambda wave: wave[::2], "for R = 5000"),
        (lambda wave: np.linspace(wave[0], wave[-1], wave.size), "apart in ln"),
        (lambda wave: wave[:2], "no wavelengths"),
        (lambda wave: np.where(wave > 8500, np.nan, wave), "no wavelengths"),
    ],
)
def test_wavelengths_of_another_kind_are_refused(spoil, complaint):
    """A row lost, every second row lost, linear steps, hardly any rows, not numbers."""
    with pytest.raises(GridError, match=complaint):
        geometric_wave(spoil(archive_wave(5000, 7000.0, 10000.0)), 5000)


def test_text_and_table_of_one_synthetic_star_agree(tmp_path):
    text = read(write_node(tmp_path, teff=5000, m_h=-0.25))
    table = read(write_node(tmp_path, ".fits", teff=5000, m_h=-0.25))
    np.testing.assert_allclose(text.flux, table.flux, rtol=5e-5)  # half of the fifth digit
    intensity, _ = star(text.wave, teff=5000, m_h=-0.25)
    np.testing.assert_allclose(table.flux, np.pi * intensity, rtol=1e-4)  # 3e-5 Å on a flank


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("T_EFF", 5250.0),
        ("LOGG", 4.5),
        ("MH", 0.25),
        ("CM", 0.25),
        ("ALPHA", 0.25),
        ("INSBROAD", 60.0),  # km/s, as its comment has it
        ("ROTBROAD", 10.0),
        ("MICROTUR", 40.0),
        ("MH", "solar"),
    ],
)
def test_a_header_that_contradicts_the_name_is_refused(tmp_path, key, value):
    path = tmp_path / "amp00cp00op00t5000g40v20modrt0b5000rs.fits"
    wave = archive_wave(5000, 8450.0, 8700.0)
    header = header_of(5000, 5000) | {key: value}
    write_fits(path, wave, *star(wave, 5000), header)
    with pytest.raises(GridError, match=f"{key} = {value}"):
        read(path)


def test_a_header_without_a_label_is_refused(tmp_path):
    path = tmp_path / "amp00cp00op00t5000g40v20modrt0b5000rs.fits"
    wave = archive_wave(5000, 8450.0, 8700.0)
    header = header_of(5000, 5000)
    del header["CM"]
    write_fits(path, wave, *star(wave, 5000), header)
    with pytest.raises(GridError, match="CM = None"):
        read(path)


@pytest.mark.parametrize("suffix", [".fits", ".asc.bz2"])
@pytest.mark.parametrize("kept", [0.5, 0.02, 0.0])
def test_files_cut_short_are_refused(tmp_path, suffix, kept):
    """Whatever part of a download arrived, it is not read as a spectrum."""
    path = write_node(tmp_path, suffix, teff=5000)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError):
        read(path)


@pytest.mark.parametrize("text", [b"8500.0 1.0E+00\n8501.0 1.0E+00\n", b"one two three\n", b""])
def test_text_that_is_no_spectrum_is_refused(tmp_path, text):
    path = tmp_path / "amp00cp00op00t5000g40v20modrt0b5000rs.asc.bz2"
    path.write_bytes(bz2.compress(text))
    with pytest.raises(DataError):
        read(path)


@pytest.mark.parametrize("medium", ["vacuum", "air"])
@pytest.mark.parametrize("teff", [3500, 7000])
def test_the_triplet_tells_the_medium(tmp_path, medium, teff):
    """Lines 2.3 Å apart are told at R = 5000, one sample being 0.85 Å."""
    spectrum = read(write_node(tmp_path, teff=teff, medium=medium))
    assert triplet_medium(spectrum) == medium


def test_a_featureless_spectrum_has_no_medium(tmp_path):
    def flat(wave, intensity, continuum):
        return wave, continuum, continuum

    assert triplet_medium(read(write_node(tmp_path, teff=5000, edit=flat))) is None


@pytest.mark.parametrize("factor", [np.pi, 1 / np.pi, 4.0, 0.25])
def test_another_convention_of_flux_is_refused(tmp_path, factor):
    """pi: fluxes stored as flux; 1/pi, 4, 1/4: Eddington fluxes of another release."""

    def scale(wave, intensity, continuum):
        return wave, factor * intensity, factor * continuum

    whole = {"resolution": 200, "wave_range": (1000.0, 320000.0)}
    path = write_node(tmp_path, teff=5000, edit=scale, **whole)
    with pytest.raises(GridError, match="factor"):
        check_flux_factor(read(path), parse_bosz2017(path.name))


def test_a_partial_range_says_nothing_about_the_flux_factor(tmp_path):
    path = write_node(tmp_path, teff=5000)
    assert not check_flux_factor(read(path), parse_bosz2017(path.name))
