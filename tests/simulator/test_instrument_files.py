"""Instrument files: what they may hold, what is refused by name, what a figure changes."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.instruments import (
    list_instruments,
    load_instrument,
    noise_tables,
)
from starsmith.simulator.instruments.light.mtf import modulation, pixel_response
from starsmith.simulator.instruments.light.sky import sky_lines, sky_rate


@pytest.fixture(scope="module")
def instrument():
    return load_instrument("pfs_mr")


@pytest.fixture
def edited(tmp_path, instrument):
    """Write pfs_mr.toml with one text replaced by another, and return its path."""
    number = itertools.count()

    def edit(old, new):
        text = (instrument.folder / "pfs_mr.toml").read_text()
        assert old in text
        path = tmp_path / f"edited{next(number)}.toml"
        path.write_text(text.replace(old, new, 1))
        return path

    return edit


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("n_pixel = 4096", "n_pixels = 4096", r"unknown key.*n_pixels"),
        ("n_pixel = 4096", "", r"lacks key.*n_pixel"),
        ("n_pixel = 4096", "n_pixel = 4096.5", r"n_pixel is 4096.5, expected int"),
        ("n_pixel = 4096", "n_pixel = true", r"n_pixel is True"),
        ("wave_max_nm = 885.0", "wave_max_nm = 700.0", r"wave_min_nm \(710.0\) must be below"),
        ("read_noise_electron = 4.0", "read_noise_electron = -4.0", "read_noise_electron is -4"),
        ("0.94, 0.90, 0.84", "0.94, 0.90", "lists of different lengths"),
        ("0.94, 0.90, 0.84", "1.94, 0.90, 0.84", r"vignetting is .*expected 0 to 1"),
        ("0.0, 0.1625, 0.325", "0.0, 0.325, 0.1625", "expected increasing"),
        ('profile = "optics"', 'profile = "lorentz"', "choose one of"),
        ("wave_min_nm = 710.0", "wave_min_nm = 705.0", r"lsf_wave_nm spans .* cover 705-885 nm"),
        ("= [650.0, 700.0,", "= [711.0, 720.0,", r"extinction_wave_nm spans 711-900 nm"),
        ("throughput = [", "throughput = 0.2\nsilent = [", r"unknown key.*silent"),
        ("lsf_wave_nm = [710.0, 755.0, 800.0, 842.5, 885.0]", "lsf_wave_nm = 710.0", "a list of"),
        ("schema = 1", "schema = 1\nfibre = 3", "not valid TOML"),
        ('name = "pfs_mr"', "name = 3", "name is 3, expected str"),
        ("schema = 1", "schema = 2", "schema is 2"),
        ("[sky]", "[skies]", r"unknown or missing key"),
        ("\n[arm.optics]\n", "\n[arm.lens]\n", r"lacks its table \[arm.optics\]"),
        ("[[arm]]", "[arm]", "at least one"),
        ("[[arm]]", "[[arm]]\nname = 'blue'\n[[arm]]", r"'blue' lacks its table"),
        ("star_shift_pixel = -0.5", "star_shift_pixel = 1.5", "star_shift_pixel is 1.5"),
        ('sampling = "calculator"', 'sampling = "coarse"', "telluric_sampling is 'coarse'"),
        ("offset_arcsec = 0.10", "offset_arcsec = 0.10\nreff_arcsec = -1", "reff_arcsec is -1"),
        ("pixel_um = 15", "detector = 'film'\npixel_um = 15", "detector is 'film'; choose one"),
        ('lsf = "mtf"', "lsf = 'box'", r"lsf is 'box'; choose one of .*mtf"),
        ('lsf = "mtf"', "lsf = {file = 'x.csv'}", r"expected .table = "),
        ("schema = 1", "schema = 1\ndust_table = 3", "dust_table is 3, expected str"),
        ("[fibre]", "[fibre]\nshape = 'square'", r"\[fibre\] has unknown key\(s\) \['shape'\]"),
        ("schema = 1", "schema = ", "not valid TOML"),
        ("diameter_m = 8.3", "diameter_m = nan", "diameter_m is nan"),
    ],
)
def test_wrong_figures_are_refused_by_name(edited, old, new, words):
    with pytest.raises(ConfigError, match=words):
        load_instrument(edited(old, new))


def test_unknown_instrument_is_refused():
    with pytest.raises(ConfigError, match="pfs_mr"):
        load_instrument("pfs_xx")


def test_missing_table_is_refused(edited):
    other = load_instrument(edited('"sky_lines_mr.csv"', '"no_such_table.csv"'))
    with pytest.raises(ConfigError, match=r"no_such_table\.csv"):
        noise_tables(other)


def test_tables_follow_their_files(edited, tmp_path):
    """What is kept of an instrument is made again once a file of it has changed."""
    lines = tmp_path / "own.csv"
    own = load_instrument(edited('"sky_lines_mr.csv"', '"own.csv"'))
    lines.write_text("wave_nm,intensity\n800,1e3\n801,0\n")
    first = noise_tables(own).sky_rate
    dim = first.copy()
    first[:] = 0.0  # of the caller's own array
    np.testing.assert_array_equal(noise_tables(own).sky_rate, dim)
    lines.write_text("wave_nm,intensity\n800,2e3\n801,0\n")
    at = np.argmax(dim[0])
    assert noise_tables(own).sky_rate[0, at] > 1.5 * dim[0, at]


def test_sharp_profile_cannot_undo_a_smooth_table(edited):
    smoother = load_instrument(edited("sigma_nm = 0.03845", "sigma_nm = 0.05"))
    with pytest.raises(ConfigError, match="sharper telluric_table"):
        noise_tables(smoother)


@pytest.mark.parametrize("rows", ["700,1\n690,1\n", "700,a\n", "700,1,2\n710,1,2\n"])
def test_spoiled_table_is_refused(edited, tmp_path, rows):
    (tmp_path / "spoiled.csv").write_text(f"wave_nm,transmission\n{rows}")
    other = load_instrument(edited('"telluric_mr.csv"', '"spoiled.csv"'))
    with pytest.raises(ConfigError, match=r"spoiled\.csv"):
        noise_tables(other)


def test_telluric_table_must_reach_beyond_the_arm(edited, tmp_path):
    (tmp_path / "short.csv").write_text("wave_nm,transmission\n709.9,1\n886.0,1\n")
    short = load_instrument(edited('"telluric_mr.csv"', '"short.csv"'))
    with pytest.raises(ConfigError, match=r"'short\.csv' spans 709\.9-886 nm"):
        noise_tables(short)


def test_sky_continuum_is_not_extrapolated(instrument):
    bluer = dataclasses.replace(
        instrument.arm,
        wave_min_nm=350.0,
        lsf_wave_nm=(350.0, 885.0),
        lsf_fwhm_pixel=(3.1, 3.1),
        throughput_wave_nm=(350.0, 885.0),
        throughput=(0.2, 0.2),
    )
    atmosphere = dataclasses.replace(
        instrument.atmosphere, extinction_wave_nm=(350.0, 700.0, 800.0, 900.0)
    )
    other = dataclasses.replace(instrument, arms=(bluer,), atmosphere=atmosphere)
    with pytest.raises(ConfigError, match="sky continuum is known from 370 nm"):
        sky_rate(other, np.array([0.0]), np.ones(4096))


def test_every_built_in_instrument_makes_tables():
    for name in list_instruments():
        tables = noise_tables(load_instrument(name))
        assert np.all(tables.conversion > 0)
        assert tables.conversion.shape == tables.wave.shape
        assert np.all(np.diff(tables.encircled_energy, axis=0) < 0)  # worse seeing, less light
        assert np.all(tables.sky_rate > 0)


def test_resolved_figures_are_complete_and_hashed(edited, instrument):
    """JSON-able, and any changed figure changes the hash."""
    figures = instrument.resolved()
    assert json.loads(json.dumps(figures))["arms"][0]["optics"]["camera_focal_ratio"] == 1.1
    copy = load_instrument(edited("schema = 1", "schema = 1  # copied"))
    assert copy.resolved()["sha256"] == figures["sha256"]
    darker = load_instrument(edited("read_noise_electron = 4.0", "read_noise_electron = 3.9"))
    assert darker.resolved()["sha256"] != figures["sha256"]


def test_gaussian_profile_is_as_wide_as_the_optics(edited, instrument):
    """Without optics figures the LSF table alone shapes sky lines: half-maximum to 1 %."""
    gaussian = load_instrument(edited('profile = "optics"', 'profile = "gaussian"'))
    offset = np.arange(-3.0, 3.0, 0.001)
    width = [
        np.sum(p > p.max() / 2) * 0.001
        for arm in (gaussian.arm, instrument.arm)
        for p in pixel_response(modulation(arm, np.array([800.0])), offset)
    ]
    assert width[0] == pytest.approx(width[1], rel=0.01)


def test_line_shift_moves_sky_lines_by_half_a_pixel(edited, instrument):
    """At a shift of zero the calculator's sky moves half a pixel to the blue, unchanged."""
    unshifted = load_instrument(edited("line_shift_pixel = 0.5", "line_shift_pixel = -0.5"))
    zenith = np.array([30.0])
    as_shipped, moved = sky_lines(instrument, zenith)[0], sky_lines(unshifted, zenith)[0]
    # within 32 pixels of the ends lines fill the first or last 32 pixels instead
    np.testing.assert_allclose(moved[40:-40], as_shipped[41:-39], rtol=1e-9)
