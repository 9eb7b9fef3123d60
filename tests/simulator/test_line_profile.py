"""Line profiles of stellar spectra: the optics', a Gaussian, a user's table or components."""

import dataclasses

import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.instruments.light.lsf import kernel_weights, pixel_kernel
from starsmith.simulator.rendering.pixels import pixel_operator

ANGSTROM_PER_PIXEL = 0.427246
RESOLUTION = 20_000.0
WAVE = 6900.0 * np.exp(np.arange(30_000) / 110_000)  # 0.07 Å at 8000 Å


def with_lsf(**changes):
    """pfs_mr with another choice of line profile."""
    instrument = load_instrument("pfs_mr")
    folder = changes.pop("folder", instrument.folder)
    arm = dataclasses.replace(instrument.arm, **changes)
    return dataclasses.replace(instrument, arms=(arm,), folder=folder)


def line(centre):
    """Unit Gaussian line of the grid's own width [1/Å]."""
    sigma = centre / RESOLUTION / np.sqrt(8 * np.log(2))
    return np.exp(-0.5 * ((WAVE - centre) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def half_maximum_width(offset, response):
    above = response - response.max() / 2
    k = np.flatnonzero(np.diff(np.sign(above)))
    crossing = offset[k] - above[k] * (offset[k + 1] - offset[k]) / (above[k + 1] - above[k])
    return crossing[-1] - crossing[0]


@pytest.fixture(scope="module")
def optics():
    return load_instrument("pfs_mr")


@pytest.fixture(scope="module")
def kernel(optics):
    return pixel_kernel(optics, np.inf)


def test_optics_kernel_has_the_calculators_width(kernel):
    """1.339, 1.343, 1.357 Å at 710, 800, 885 nm with the pixel, to 1 %."""
    offset = np.arange(-4.0, 4.0, 0.002)
    width = [half_maximum_width(offset, kernel.at(nm, offset)) for nm in (710.0, 800.0, 885.0)]
    found = np.array(width) * ANGSTROM_PER_PIXEL
    np.testing.assert_allclose(found, [1.339, 1.343, 1.357], rtol=0.002)  # printed digits


def test_optics_kernel_has_unit_area_and_lorentz_wings(kernel):
    """1.0 % of the light beyond 4 pixels and 0.35 % beyond 10; a Gaussian has 0.24 % and none."""
    offset = np.arange(-100.0, 100.0, 0.05)
    response = kernel.at(800.0, offset)
    assert np.trapezoid(response, offset) == pytest.approx(1.0, abs=1e-4)
    beyond = [np.sum(response[np.abs(offset) > edge]) * 0.05 for edge in (4.0, 10.0)]
    np.testing.assert_allclose(beyond, [0.0105, 0.0035], rtol=0.05)


@pytest.mark.parametrize("lsf", ["mtf", "gaussian"])
def test_a_line_keeps_its_light_place_and_width(lsf):
    """Grid's profile divided out, pixel integrated once: the line is as the kernel says."""
    instrument = with_lsf(lsf=lsf)
    operator = pixel_operator(WAVE, RESOLUTION, instrument)
    pixel = np.diff(instrument.arm.edge_nm)[0] * 10
    for j in (400, 2000, 3700):
        centre = instrument.wave[j] + 0.3 * pixel
        seen = operator @ line(centre)
        assert seen.sum() * pixel == pytest.approx(1.0, rel=2e-4)  # rows are normalised
        near = slice(j - 30, j + 31)
        place = np.average(instrument.wave[near], weights=seen[near])
        assert place == pytest.approx(centre, abs=2e-3)
        if lsf == "mtf":
            offset = (instrument.wave[near] - centre) / pixel
            own = pixel_kernel(instrument, np.inf).at(centre / 10, offset)
            # samples of 0.07 Å, and 30 knots along the arm
            np.testing.assert_allclose(seen[near] * pixel, own, atol=2e-4)


def test_flat_spectra_stay_flat(optics):
    operator = pixel_operator(WAVE, RESOLUTION, optics)
    np.testing.assert_allclose(operator @ np.ones(WAVE.size), 1.0, rtol=1e-12)


def test_optics_and_gaussian_agree_but_for_the_wings(optics):
    """The Gaussian of the same half-maximum width is the optics' profile to 3 % of the peak."""
    seen = [
        pixel_operator(WAVE, RESOLUTION, one) @ line(optics.wave[2000])
        for one in (optics, with_lsf(lsf="gaussian"))
    ]
    difference = np.abs(seen[0] - seen[1]) / seen[1].max()
    assert 0.005 < difference.max() < 0.03


@pytest.fixture(scope="module")
def table_folder(tmp_path_factory):
    """A Gaussian of the built-in widths as tables of every kind, and as components."""
    folder = tmp_path_factory.mktemp("lsf")
    arm = load_instrument("pfs_mr").arm
    offset = np.arange(-9.0, 9.01, 0.05)
    sigma = np.array(arm.lsf_fwhm_pixel) / np.sqrt(8 * np.log(2))
    values = np.exp(-0.5 * (offset / sigma[:, None]) ** 2) / (sigma[:, None] * np.sqrt(2 * np.pi))
    columns = {str(nm): row for nm, row in zip(arm.lsf_wave_nm, values, strict=True)}
    wide = Table({"offset_pixel": offset, **columns})
    wide.write(folder / "wide.csv", format="ascii.csv")
    wide.write(folder / "wide.ecsv", format="ascii.ecsv")
    wide.write(folder / "wide.fits", format="fits")
    dispersion = {"offset_nm": offset * arm.dispersion_nm}
    scaled = {name: row / arm.dispersion_nm for name, row in columns.items()}
    Table({**dispersion, **scaled}).write(folder / "nm.csv", format="ascii.csv")

    mean = values.mean(axis=0)
    left, amount, parts = np.linalg.svd(values - mean, full_matrices=False)
    weights = (left * amount)[:, :3]
    Table(
        {"offset_pixel": offset, "mean": mean} | {f"component_{k + 1}": parts[k] for k in range(3)}
    ).write(folder / "parts.ecsv", format="ascii.ecsv")
    Table(
        {"wave_nm": np.array(arm.lsf_wave_nm)}
        | {f"coefficient_{k + 1}": weights[:, k] for k in range(3)}
    ).write(folder / "weights.ecsv", format="ascii.ecsv")
    return folder


@pytest.mark.parametrize(
    ("lsf", "coefficients"),
    [
        ("wide.csv", ""),
        ("wide.ecsv", ""),
        ("wide.fits", ""),
        ("nm.csv", ""),
        ("parts.ecsv", "weights.ecsv"),
    ],
)
def test_a_tabulated_gaussian_is_the_gaussian(table_folder, lsf, coefficients):
    """Tables without the pixel render the same line as the closed form does."""
    tabulated = with_lsf(lsf=lsf, lsf_coefficients=coefficients, folder=table_folder)
    analytic = with_lsf(lsf="gaussian")
    spectrum = line(analytic.wave[1500]) + line(analytic.wave[3000])
    seen = pixel_operator(WAVE, RESOLUTION, tabulated) @ spectrum
    expected = pixel_operator(WAVE, RESOLUTION, analytic) @ spectrum
    # linear in the profile between five wavelengths here, in its width there
    np.testing.assert_allclose(seen, expected, atol=1e-3 * expected.max())


def test_a_skewed_table_moves_light_redward(tmp_path):
    """A profile with a red tail shifts the centre of a line by its own mean offset."""
    offset = np.arange(-8.0, 12.01, 0.05)
    tail = np.exp(-0.5 * (offset / 1.3) ** 2) + 0.2 * np.exp(-0.5 * ((offset - 3) / 1.3) ** 2)
    tail /= np.trapezoid(tail, offset)
    Table({"offset_pixel": offset, "800.0": tail}).write(tmp_path / "skew.csv", format="ascii.csv")
    instrument = with_lsf(lsf="skew.csv", folder=tmp_path)
    centre = instrument.wave[2000]
    seen = pixel_operator(WAVE, RESOLUTION, instrument) @ line(centre)
    near = slice(1970, 2031)
    moved = np.average(instrument.wave[near], weights=seen[near]) - centre
    mean_offset = np.trapezoid(tail * offset, offset)
    assert moved / ANGSTROM_PER_PIXEL == pytest.approx(mean_offset, abs=0.01)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("offset_pixel,800.0\n-1,0.5\n0,0.6\n1,0.5\n", "area of 1.1000, expected 1"),
        ("offset_pixel,blue\n-1,0.5\n0,0.5\n1,0.5\n", r"\['blue'\] are neither wavelengths"),
        ("offset,800.0\n-1,0.5\n0,0.5\n1,0.5\n", "needs one column of"),
        ("offset_pixel,800.0\n1,0.5\n0,0.5\n-1,0.5\n", "increasing"),
        ("offset_pixel,800.0\n-1,a\n0,b\n1,c\n", "table of numbers"),
        ("offset_pixel,mean,component_1\n-1,0.5,0\n0,0.5,0\n1,0.5,0\n", "table of their coeff"),
        ("offset_pixel\n-1\n0\n1\n", "no profile beside the offsets"),
        ("offset_pixel,900.0,800.0\n-1,.5,.5\n0,.5,.5\n1,.5,.5\n", "do not increase"),
    ],
)
def test_odd_tables_are_refused(tmp_path, text, words):
    (tmp_path / "odd.csv").write_text(text)
    with pytest.raises(ConfigError, match=words):
        pixel_kernel(with_lsf(lsf="odd.csv", folder=tmp_path), np.inf)


def test_a_grid_blurred_more_than_the_optics_is_refused(optics):
    with pytest.raises(GridError, match=r"resolution 7000 .* blurred more"):
        pixel_kernel(optics, 7000.0)


def test_weights_are_the_kernel_at_each_sample(optics, kernel):
    """A slow look at a few pixels: kernel at the offset, times the sample's share of the axis."""
    wave_nm = WAVE / 10
    cell = np.gradient(wave_nm)
    first = np.searchsorted(wave_nm, optics.arm.wave_nm - 0.3)
    count = np.full(first.size, 90)
    weights = kernel_weights(optics, kernel, (first, count), wave_nm, cell).reshape(-1, 90)
    for j in (0, 1000, 4095):
        centre = optics.arm.wave_nm[j]
        slow = np.array(
            [
                kernel.at(centre, np.array([(centre - wave_nm[i]) / optics.arm.dispersion_nm]))[0]
                * cell[i]
                for i in range(first[j], first[j] + 90)
            ]
        )
        np.testing.assert_allclose(weights[j], slow / slow.sum(), rtol=1e-12)
