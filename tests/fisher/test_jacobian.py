"""Derivatives of spectra are those of the spectra that are simulated."""

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.covariance import variance_of
from starsmith.data_contract.noise.view import true_error
from starsmith.fisher.information.jacobian import (
    along_axis,
    derivative_matrix,
    label_columns,
    node_flux,
)
from starsmith.fisher.information.nuisances import continuum_columns, velocity_column
from starsmith.simulator.rendering.interpolate import interpolate
from tests.reference.fisher import three_point_slope

STEP = {"teff": 2.0, "logg": 4e-3, "m_h": 4e-3}


@pytest.fixture(scope="module")
def labels():
    return np.array([[4300.0, 2.2, -1.1], [5530.0, 4.4, 0.1]])


@pytest.mark.parametrize("normalise", ["absolute", "known"])
@pytest.mark.parametrize("name", ["teff", "logg", "m_h"])
def test_slopes_are_differences_of_simulated_spectra(toy_bank, labels, name, normalise):
    """Central differences of the interpolated flux; float32 flux over the step leaves 1e-3."""
    mag = np.array([20.0, 20.0])
    columns = label_columns(toy_bank, labels, mag, (name,), normalise)
    k, h = toy_bank.label_names.index(name), STEP[name]
    shift = np.zeros(3)
    shift[k] = h
    pair = [interpolate(toy_bank, labels + s * shift, mag).astype(float) for s in (1, -1)]
    if normalise == "known":
        pair = [f / np.median(f, axis=1)[:, None] for f in pair]
    difference = (pair[0] - pair[1]) / (2 * h)
    if normalise == "known":
        difference *= np.median(columns.flux, axis=1)[:, None]
    scale = np.abs(difference).max()
    np.testing.assert_allclose(columns.values[:, 0], difference, atol=4e-3 * scale)


def test_free_amplitude_adds_the_flux_as_a_column(toy_bank, labels):
    columns = label_columns(toy_bank, labels, np.array([20.0, 21.0]), ("logg",))
    assert columns.names == ("logg", "amplitude")
    np.testing.assert_array_equal(columns.values[:, 1], columns.flux)


def test_unknown_choices_name_the_known_ones(toy_bank, labels):
    with pytest.raises(ConfigError, match="free, known, absolute"):
        label_columns(toy_bank, labels, np.zeros(2), ("logg",), "none")
    with pytest.raises(ConfigError, match="spline, grid"):
        derivative_matrix(np.arange(5.0), "secant")


def test_grid_slope_is_the_three_point_rule():
    x = np.array([1.0, 1.5, 2.5, 3.0, 4.5])
    f = np.exp(0.4 * x)
    slope = derivative_matrix(x, "grid") @ f
    for i in (1, 2, 3):
        assert slope[i] == pytest.approx(three_point_slope(x, f, i), rel=1e-12)


def test_node_slopes_equal_those_of_stars_at_the_nodes(toy_bank):
    """Derivative matrices on node spectra and B-spline derivatives are one spline."""
    flux = node_flux(toy_bank)
    labels = np.array([[toy_bank.axes[0][2], toy_bank.axes[1][0], toy_bank.axes[2][3]]])
    columns = label_columns(toy_bank, labels, np.zeros(1), toy_bank.label_names, "absolute")
    # float32 spectra of order 1e9: six digits
    np.testing.assert_allclose(flux[2, 0, 3], columns.flux[0], rtol=2e-6)
    normalised = columns.flux[0]
    for k, name in enumerate(toy_bank.label_names):
        slope = along_axis(derivative_matrix(toy_bank.axes[k]), flux.astype(float), k)[2, 0, 3]
        step = np.diff(toy_bank.axes[k]).min()
        # band normalisation before or after the spline: equal to the spline's own error
        error = np.abs(slope - columns.values[0, k]) * step / normalised
        assert error.max() < 2e-3, name


def test_moving_a_gaussian_line_is_its_velocity_column():
    """d/dv of a line at rest wavelength λ0 is λ/c (λ - λ0)/s² times the line's depth."""
    wave = 8500.0 + 0.05 * np.arange(2000)
    centre, s = 8550.0, 1.0
    line = np.exp(-0.5 * ((wave - centre) / s) ** 2)
    expected = -wave / 299792.458 * (wave - centre) / s**2 * line
    found = velocity_column(1.0 - line[None], wave)[0, 0]
    # cubic spline: step^4 / 180 of the fifth derivative
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_continuum_columns_are_chebyshev_polynomials():
    wave = np.linspace(1.0, 3.0, 11)
    columns = continuum_columns(np.full((1, 11), 2.0), wave, 2)
    x = wave - 2.0
    np.testing.assert_allclose(columns[0], [2.0 * x, 2.0 * (2 * x**2 - 1)], atol=1e-12)


def test_variance_is_that_of_the_noise_view(toy_bank, toy_stars):
    """Straight line in flux against the contract's own error; float32 storage leaves 1e-6."""
    conditions = toy_stars.draws.conditions[:10]
    sigma = true_error(toy_bank.noise, toy_stars.flux_model[:10], conditions)
    variance = variance_of(toy_bank.noise, toy_stars.flux_model[:10], conditions)
    np.testing.assert_allclose(np.sqrt(variance), sigma, rtol=1e-6)
