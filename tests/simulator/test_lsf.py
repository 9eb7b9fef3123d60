"""Line-spread function: flux conserved, widths in quadrature, pixels integrated once."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.kernels.lsf import FWHM_TO_SIGMA, convolve_lsf
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.rendering.render import pixel_operator
from tests.reference.lsf import convolve_lsf_dense, pixel_average


@pytest.fixture(scope="module")
def instrument():
    """pfs_mr with a Gaussian profile; that of the optics has its own tests."""
    optics = load_instrument("pfs_mr")
    return dataclasses.replace(optics, arms=(dataclasses.replace(optics.arm, lsf="gaussian"),))


@pytest.fixture(scope="module")
def grid_wave():
    """Constant velocity steps, as stellar grids have: R = 50,000 sampled twice."""
    return 7050.0 * np.exp(np.arange(24_000) / 100_000)


@pytest.fixture(scope="module")
def operator(grid_wave, instrument):
    return pixel_operator(grid_wave, 50_000.0, instrument)


def gaussian(wave, centre, sigma):
    return np.exp(-0.5 * ((wave - centre) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def half_maximum_width(wave, line):
    """Full width at half maximum by linear interpolation of the flanks."""
    peak = np.argmax(line)
    half = line[peak] / 2
    left = np.interp(half, line[: peak + 1], wave[: peak + 1])
    right = np.interp(-half, -line[peak:], wave[peak:])
    return right - left


def test_convolution_equals_dense_matrix():
    rng = np.random.default_rng(5)
    flux = 1.0 + rng.random((3, 200))
    fwhm = np.linspace(2.5, 4.5, 200)

    seen = convolve_lsf(flux, fwhm)

    # the dense twin keeps the wings beyond six sigma: 2e-9 of the flux
    np.testing.assert_allclose(seen, convolve_lsf_dense(flux, fwhm), rtol=1e-8)


def test_line_widths_add_in_quadrature():
    """A Gaussian line of width a through a Gaussian LSF of width b has width hypot(a, b)."""
    pixel = np.arange(400.0)
    line = np.exp(-0.5 * ((pixel - 200) / 4.0) ** 2)[None, :]

    seen = convolve_lsf(line, np.full(400, 3.0 / FWHM_TO_SIGMA))[0]

    assert seen.sum() == pytest.approx(line.sum(), rel=1e-6)  # flux is conserved
    width = np.sqrt(np.sum(seen * (pixel - 200) ** 2) / seen.sum())
    assert width == pytest.approx(5.0, rel=1e-4)  # a 3-4-5 triangle


def test_flat_spectrum_stays_flat_to_the_edges(operator):
    """Rows sum to one, within rounding of some hundred terms."""
    np.testing.assert_allclose(operator @ np.ones(operator.shape[1]), 1.0, rtol=1e-13)
    np.testing.assert_allclose(convolve_lsf(np.ones((1, 50)), np.full(50, 3.1)), 1.0, rtol=1e-13)


def test_line_flux_is_conserved(operator, grid_wave, instrument):
    """All light of a line lands in pixels; the LSF width varies by 1e-5 across a line."""
    for centre in (7105.0, 8000.0, 8845.0):
        seen = operator @ gaussian(grid_wave, centre, 0.3)
        assert seen.sum() * 0.427246 == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize(("centre", "fwhm"), [(7100.0, 1.339), (8000.0, 1.343), (8850.0, 1.357)])
def test_narrow_line_has_the_width_of_the_exposure_time_calculator(instrument, centre, fwhm):
    """Pixel included, to 1 %: the Gaussian stands in for a profile with wings."""
    sigma = FWHM_TO_SIGMA * instrument.lsf_fwhm(np.array([centre]))
    pixel = 0.427246
    offset = np.arange(-4, 4, 0.002)
    box = np.abs(offset) < pixel / 2
    profile = np.convolve(np.exp(-0.5 * (offset / sigma) ** 2), box, "same")

    assert half_maximum_width(offset, profile) == pytest.approx(fwhm, rel=0.01)


def test_operator_shows_that_width(operator, grid_wave, instrument):
    """The line as pixels see it, sampled by sliding it in steps of a tenth of a pixel."""
    shift = np.arange(0, 1, 0.1) * 0.427246
    for start, fwhm in ((7130.0, 1.339), (8000.0, 1.343), (8820.0, 1.357)):
        native = FWHM_TO_SIGMA * start / 50_000.0
        lines = np.stack([gaussian(grid_wave, start + s, native) for s in shift], axis=1)
        seen = (operator @ lines).T
        at = (instrument.wave[None, :] - start - shift[:, None]).ravel()
        order = np.argsort(at)
        near = order[np.abs(at[order]) < 3]
        assert half_maximum_width(at[near], seen.ravel()[near]) == pytest.approx(fwhm, rel=0.01)


def test_operator_equals_quadrature(operator, grid_wave, instrument):
    """Two blended lines through LSF and pixel, by numerical integration at single pixels."""
    grid_sigma = FWHM_TO_SIGMA * 8544.0 / 50_000.0
    narrow = 0.25

    def star(wave, extra):
        width = np.hypot(narrow, extra)
        return 1 - 0.3 * gaussian(wave, 8544.0, width) - 0.2 * gaussian(wave, 8545.1, width)

    seen = operator @ star(grid_wave, grid_sigma)

    centre = int(np.argmin(np.abs(instrument.wave - 8544.4)))
    for j in range(centre - 6, centre + 7, 3):
        fwhm = instrument.lsf_fwhm(instrument.wave[j : j + 1])[0]
        expected = pixel_average(lambda w: star(w, 0.0), instrument.wave[j], 0.427246, fwhm)
        # the grid's own width is divided out for the centre of the pixel, not of each line
        assert seen[j] == pytest.approx(expected, rel=1e-6)


def test_spacing_of_the_grid_does_not_matter(grid_wave, instrument, operator):
    """The same star on uneven samples: trapezoid weights err by the square of the step."""
    rng = np.random.default_rng(2)
    uneven = np.sort(rng.uniform(grid_wave[0], grid_wave[-1], 400_000))
    uneven[[0, -1]] = grid_wave[[0, -1]]

    def star(wave):
        return 1 - 0.4 * np.exp(-0.5 * ((wave - 8000.0) / 0.5) ** 2)

    seen = pixel_operator(uneven, 50_000.0, instrument) @ star(uneven)

    np.testing.assert_allclose(seen, operator @ star(grid_wave), atol=1e-4)


def test_a_line_lands_at_its_wavelength(operator, grid_wave, instrument):
    """Centroid of a narrow line, wherever in the pixel it falls."""
    for centre in (7500.0, 7500.1, 8000.17, 8700.33):
        seen = operator @ gaussian(grid_wave, centre, 0.1)
        centroid = np.sum(seen * instrument.wave) / seen.sum()
        assert centroid == pytest.approx(centre, abs=2e-4)


@pytest.mark.parametrize(
    ("wave", "resolution", "words"),
    [
        (np.arange(7000, 8900, 0.1), 5000.0, "higher resolution"),
        (np.arange(7100, 8850, 0.1), 50_000.0, "import a wider one"),
        (np.arange(7000, 8900, 1.0), 50_000.0, "more samples"),
    ],
)
def test_unsuitable_grids_are_refused(instrument, wave, resolution, words):
    with pytest.raises(GridError, match=words):
        pixel_operator(wave, resolution, instrument)
