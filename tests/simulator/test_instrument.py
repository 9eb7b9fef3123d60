"""The PFS MR instrument: its figures, its noise tables, and the official calculator."""

import dataclasses
import json

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.noise.view import background, sensitivity
from starsmith.simulator.instruments import (
    compare_with_etc,
    instrument_summary,
    load_instrument,
    noise_tables,
    resolution_element,
)
from starsmith.simulator.instruments.light.aperture import (
    collecting_area,
    encircled_energy,
    fibre_radius,
)
from starsmith.simulator.instruments.light.extinction import extinction, telluric
from starsmith.simulator.instruments.light.mtf import (
    FREQUENCY,
    modulation,
    pixel_response,
    trace_fraction,
)
from starsmith.simulator.instruments.light.sky import sky_continuum, sky_lines, sky_rate
from tests.reference import instrument as plain


@pytest.fixture(scope="module")
def instrument():
    return load_instrument("pfs_mr")


@pytest.fixture(scope="module")
def tables(instrument):
    return noise_tables(instrument)


def one_condition(seeing=0.8, zenith=35.0, field=0.45, exp_time=900.0, exp_count=12.0):
    return np.array([[seeing, zenith, field, 90.0, 90.0, 0.0, exp_time, exp_count]])


def test_pixels_span_the_arm(instrument):
    wave = instrument.wave
    assert wave.size == 4096
    np.testing.assert_allclose(np.diff(wave), 0.427246, rtol=1e-5)
    assert wave[0] - 0.2136 == pytest.approx(7100.0, abs=1e-3)
    assert wave[-1] + 0.2136 == pytest.approx(8850.0, abs=1e-3)


@pytest.mark.parametrize(
    ("field", "radius", "vignetting", "degrade", "energy"),
    [
        (0.0, 0.5600, 0.940, 0.9012, (0.8784, 0.6077, 0.4719, 0.2635)),
        (0.1625, 0.5476, 0.900, 0.8745, (0.8608, 0.5899, 0.4560, 0.2533)),
        (0.325, 0.5350, 0.840, 0.8477, (0.8412, 0.5712, 0.4398, 0.2430)),
        (0.45, 0.5253, 0.794, 0.8272, (0.8238, 0.5559, 0.4268, 0.2349)),
        (0.65, 0.5100, 0.710, 0.7942, (0.7904, 0.5291, 0.4049, 0.2220)),
    ],
)
def test_aperture_has_the_calculators_figures(
    instrument, field, radius, vignetting, degrade, energy
):
    """Fibre radius, area and encircled energy at 800 nm to the last printed digit."""
    at = np.array([field])
    seeing = np.array([0.5, 0.8, 1.0, 1.5])
    seen = encircled_energy(instrument.telescope, instrument.fibre, seeing, at, np.array([800.0]))

    assert fibre_radius(instrument.telescope, instrument.fibre, at)[0] == pytest.approx(
        radius, abs=5e-5
    )
    assert collecting_area(instrument.telescope, at)[0] == pytest.approx(
        51.487 * vignetting * degrade, rel=3e-4
    )
    np.testing.assert_allclose(seen[:, 0, 0], energy, atol=5.1e-5)


def test_trace_fraction_has_the_calculators_figures(instrument):
    wave = np.array([710.0, 800.0, 885.0])
    own = trace_fraction(instrument.arm, wave)
    np.testing.assert_allclose(own, [0.9460, 0.9438, 0.9393], atol=5.1e-5)
    sky = trace_fraction(instrument.arm, wave, n_neighbour=1)
    np.testing.assert_allclose(sky[[0, -1]], [0.951, 0.946], atol=5.1e-4)


def test_line_profile_has_the_calculators_width(instrument):
    """Half-maximum width 3.135, 3.144, 3.176 pixels; all light is accounted for."""
    offset = np.arange(-3.0, 3.0, 0.001)
    transfer = modulation(instrument.arm, np.array([710.0, 800.0, 885.0]))
    profile = pixel_response(transfer, offset)
    width = np.sum(profile > profile.max(axis=1, keepdims=True) / 2, axis=1) * 0.001
    np.testing.assert_allclose(width, [3.135, 3.144, 3.176], atol=2e-3)

    # Lorentz wings: 0.35 % lies beyond ten pixels, so 0.04 % beyond ninety
    light = pixel_response(transfer, np.arange(-90.0, 91.0)).sum(axis=1)
    np.testing.assert_allclose(light, 1.0, atol=1e-3)


def test_resolution_is_the_calculators(instrument):
    """R 5301, 5956, 6522 at 710, 800, 885 nm, from the profile with its pixel."""
    width = np.interp([710.0, 800.0, 885.0], instrument.arm.wave_nm, resolution_element(instrument))
    # the calculator's widths are printed to 0.001 pixel
    np.testing.assert_allclose(width, [3.135, 3.144, 3.176], atol=1e-3)

    summary = instrument_summary(instrument)
    assert summary["resolution"][0] == pytest.approx(5301, abs=3)
    assert summary["resolution"][2] == pytest.approx(6522, abs=3)
    assert json.loads(json.dumps(summary)) == summary


@pytest.mark.parametrize("profile", ["optics", "gaussian"])
def test_smoothing_of_a_table_is_divided_out(instrument, profile):
    """A table blurred beforehand, through what is left of the profile, is blurred once."""
    arm = dataclasses.replace(instrument.arm, profile=profile)
    wave = np.array([715.0, 880.0])
    before = np.exp(-2 * (np.pi * FREQUENCY * 0.03845 / arm.dispersion_nm) ** 2)
    np.testing.assert_allclose(modulation(arm, wave, 0.03845) * before, modulation(arm, wave))


def test_lsf_table_is_the_profile_without_its_pixel(instrument):
    """The instrument file's widths agree with the optics they were computed from."""
    arm = instrument.arm
    wave = np.array(arm.lsf_wave_nm)
    offset = np.arange(-3.0, 3.0, 0.001)
    profile = pixel_response(modulation(arm, wave) / np.sinc(FREQUENCY), offset)
    width = np.sum(profile > profile.max(axis=1, keepdims=True) / 2, axis=1) * 0.001
    np.testing.assert_allclose(width, arm.lsf_fwhm_pixel, atol=2e-3)


def test_sky_continuum_has_the_calculators_brightness():
    """AB magnitudes per square arcsecond at one airmass, to the printed hundredth."""
    wave = np.array([710.0, 750.0, 800.0, 850.0, 885.0])
    photons = sky_continuum(wave)  # per nm
    ab_zero = 3631e-26 / 6.62607015e-34 / wave  # photon/s/m²/nm
    mag = -2.5 * np.log10(photons / ab_zero)
    np.testing.assert_allclose(mag, [21.29, 21.21, 21.13, 20.94, 20.85], atol=0.006)


def test_tables_equal_the_formulae(instrument, tables):
    """Linear interpolation between nodes errs by less than 5e-4."""
    rng = np.random.default_rng(8)
    profile_at = {}

    def response(wave_nm, offset):
        transfer = profile_at.setdefault(
            wave_nm, modulation(instrument.arm, np.array([wave_nm]))[0]
        )
        return 0.01 * np.sum(transfer * np.cos(2 * np.pi * FREQUENCY * offset))

    dense = np.linspace(710.0, 885.0, 351)
    fractions = trace_fraction(instrument.arm, dense, n_neighbour=1)

    def sky_fraction(wave_nm):
        return np.interp(wave_nm, dense, fractions)

    lines = instrument.table(instrument.sky.line_table).T
    through = telluric(instrument)
    for _ in range(6):
        seeing, zenith, field = rng.uniform((0.5, 0.0, 0.0), (1.5, 60.0, 0.65))
        condition = one_condition(seeing, zenith, field)
        fast = sensitivity(tables, condition)[0]
        sky_only = background(tables, condition)[0]
        area = plain.area_plainly(instrument, field)
        fibre = plain.fibre_area_plainly(instrument, field)
        pixels = rng.integers(1, 4095, 5)
        for j in pixels:
            slow = plain.sensitivity_plainly(instrument, tables, j, seeing, zenith, field, 900.0)
            assert fast[j] == pytest.approx(slow, rel=5e-4)
            sky = [
                plain.sky_plainly(instrument, lines, response, k, zenith, through[k], sky_fraction)
                * (area * fibre * 900.0)
                for k in (j - 1, j, j + 1)
            ]
            mean_sky = np.interp(zenith, tables.zenith_angle, tables.sky_rate.mean(axis=1))
            stray = 0.02 * mean_sky * area * fibre * 900.0 * 5 * 15 / 100
            variance = sky[1] + (0.01 * np.sqrt(12) * max(sky)) ** 2 + stray
            variance = 1.015 * (variance + 1e-4 * 900 * 5 + 4**2 * 5)
            # the floor squares the sky, and so doubles its interpolation error
            assert sky_only[j] == pytest.approx(variance, rel=1e-3)


def test_interpolation_of_the_tables_errs_by_less_than_5e_4(instrument, tables):
    """Between nodes in zenith angle, field angle, seeing and exposure, at 300 random conditions.

    Against the same formulae at the conditions themselves; the moon is not tabulated but
    evaluated.
    """
    rng = np.random.default_rng(4)
    telescope, fibre = instrument.telescope, instrument.fibre
    wave = instrument.arm.wave_nm[::256]
    worst = 0.0
    for seeing, zenith, field in rng.uniform((0.4, 0.0, 0.0), (2.0, 60.0, 0.65), (300, 3)):
        at = np.array([field])
        exact = encircled_energy(telescope, fibre, np.array([seeing]), at, wave)[0, 0]
        exact = exact * collecting_area(telescope, at)
        exact *= 10 ** (-0.4 * extinction(instrument.atmosphere, wave) / np.cos(np.radians(zenith)))
        condition = one_condition(seeing, zenith, field, exp_time=700.0)
        seen = sensitivity(tables, condition)[0, ::256] / tables.conversion[::256] / 700.0
        worst = max(worst, np.max(np.abs(seen / exact - 1)))
        on_sky = collecting_area(telescope, at) * np.pi * fibre_radius(telescope, fibre, at) ** 2
        area, share = (
            np.interp(field, tables.field_angle, values)
            for values in (tables.collecting_area, tables.fibre_area)
        )
        worst = max(worst, abs(area * share / on_sky[0] - 1))
    between = rng.uniform(0.0, 60.0, 20)
    exact = sky_rate(instrument, between, telluric(instrument))
    for zenith, row in zip(between, exact, strict=True):
        node = int(zenith)
        below, above = tables.sky_rate[node], tables.sky_rate[node + 1]
        seen = below + (zenith - node) * (above - below)
        worst = max(worst, np.max(np.abs(seen / row - 1)))
    assert worst < 5e-4


def reference_conversion(instrument):
    """Conversion without telluric lines, from the formula."""
    arm = instrument.arm
    wave = instrument.wave / 10 + arm.star_shift_pixel * arm.dispersion_nm
    photons = 1e-17 * 1e4 * 4.27246094e-1 * 5.034116567e8 * wave
    throughput = 1.2 * np.interp(wave, arm.throughput_wave_nm, arm.throughput)
    return photons * throughput * trace_fraction(arm, wave)


def test_telluric_lines_have_the_calculators_depth(instrument, tables):
    """Transmission at zenith angle 35 deg with continuum extinction, 1 % of full light.

    The calculator weights five subsamples per pixel with a profile centred 0.4 pixel to the
    blue of them, and evaluates stars at the blue edges of pixels; so do the tables.
    """
    wave = np.array([710.0, 720.0, 740.0, 760.0, 765.0, 780.0, 820.0, 850.0, 880.0])
    printed = [0.8937, 0.8108, 0.9001, 0.3569, 0.6900, 0.9181, 0.7861, 0.9225, 0.9394]
    lines = tables.conversion / reference_conversion(instrument)
    seen = np.interp(wave, instrument.wave / 10 - 0.5 * 0.0427246, lines)
    seen *= 10 ** (-0.4 * extinction(instrument.atmosphere, wave) / np.cos(np.radians(35.0)))
    np.testing.assert_allclose(seen, printed, atol=0.01)


def test_sky_lines_keep_their_light(instrument):
    """Electrons over all pixels are those of the lines; wings beyond 16 pixels are lost."""
    arm = instrument.arm
    wave, intensity = instrument.table(instrument.sky.line_table)
    inside = (wave > 711) & (wave < 884)
    photons = 1e-12 * intensity * 5.034116567e8 * wave
    dimmed = 10 ** (-0.4 * extinction(instrument.atmosphere, wave)) / 1.1
    electrons = photons * 1.2 * np.interp(wave, arm.throughput_wave_nm, arm.throughput) * dimmed
    electrons *= trace_fraction(arm, wave, n_neighbour=1)
    seen = sky_lines(instrument, np.array([0.0]))[0]
    assert np.sum(electrons[inside]) < seen.sum() / 0.996 < np.sum(electrons) * 1.002


def test_floor_and_read_noise_terms(tables):
    """The terms printed for 900 s, zenith angle 35 deg, field 0.45 deg."""
    area = np.interp(0.45, tables.field_angle, tables.collecting_area * tables.fibre_area)
    sky = 900.0 * area * tables.sky_rate[35]
    # between lines, merging 972 of them into 560 takes out 1.2 % of the faintest
    assert np.median(sky) == pytest.approx(108.4, rel=0.02)
    assert sky.mean() == pytest.approx(281.7, rel=0.01)
    assert tables.stray_fraction * sky.mean() == pytest.approx(4.23, rel=0.01)
    assert tables.dark_rate * 900 == pytest.approx(0.45)
    assert tables.read_variance == 80.0


def test_agrees_with_the_exposure_time_calculator(instrument, shared_data):
    """Built-in tables, 525 telluric nodes and 560 sky lines, against the C engine."""
    csv = shared_data / "instrument" / "etc_mr_i21.5_za35_fa0.45_see0.8.csv"

    found = compare_with_etc(instrument, csv)

    assert found.snr_ratio == pytest.approx(1.0, abs=0.02)
    assert found.snr_within_5_percent > 0.90
    assert found.signal_ratio == pytest.approx(1.0, abs=0.01)
    assert found.noise_ratio == pytest.approx(1.0, abs=0.02)


def test_comparison_refuses_other_files(instrument, tmp_path):
    csv = tmp_path / "other.csv"
    csv.write_text("# flat AB 21.5; 12x900 s\nsnr_coadd12,signal_e_per_exp\n1,2\n")
    with pytest.raises(DataError, match=r"seeing.*noise_var_noobj"):
        compare_with_etc(instrument, csv)


@pytest.mark.parametrize("rows", ["", "1,2\n", "1,2,3\n1,2\n", "1,2,three\n"])
def test_comparison_refuses_spoiled_rows(instrument, tmp_path, rows):
    csv = tmp_path / "spoiled.csv"
    settings = '# flat AB 21.5; 12x900 s; seeing 0.8", ZA 35, field 0.45'
    columns = "snr_coadd12,signal_e_per_exp,noise_var_noobj_e2_per_exp"
    csv.write_text(f"{settings}\n{columns}\n{rows}")
    with pytest.raises(DataError, match=r"spoiled\.csv: rows"):
        compare_with_etc(instrument, csv)
