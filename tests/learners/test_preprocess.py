"""Networks see brightness-free, standardised, honest input."""

import warnings

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError
from starsmith.learners.preprocess import LabelScale, Normaliser, median_normalise
from starsmith.learners.row_median import row_median
from tests.learners.worlds import make_data, uniform_logg


def sloped(labels, n_wave=40):
    return np.repeat(1e3 * np.linspace(1, 2, n_wave)[None], len(labels), axis=0)


def good(flux):
    return np.zeros(flux.shape, np.uint32)


def test_brightness_is_divided_out():
    """A star twice as bright is the same input, bit for bit."""
    flux = np.random.default_rng(0).normal(10, 1, (5, 33)).astype(np.float32)

    np.testing.assert_array_equal(
        median_normalise(flux, good(flux))[0], median_normalise(2 * flux, good(flux))[0]
    )
    assert np.median(median_normalise(flux, good(flux))[0], axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("n_wave", [1, 2, 33, 64])
def test_row_median_is_the_median(n_wave):
    """The search gives numpy's median, for odd and even lengths, ties, infinities and NaN."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, n_wave)).astype(np.float32)
    values[20:30] = np.round(values[20:30])
    values[30:40][rng.random((10, n_wave)) < 0.3] = np.inf
    values[40:50][rng.random((10, n_wave)) < 0.5] = np.nan
    values[50:] = np.nan

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of rows of NaN
        expected = np.nanmedian(values, axis=1)
    np.testing.assert_array_equal(row_median(values), expected)


def test_masked_pixels_neither_count_nor_speak():
    """A cosmic ray under the mask changes nothing, and becomes the training mean: zero."""
    data = make_data(sloped, uniform_logg, 50.0, (200, 10, 10))
    normaliser = Normaliser.fit(data.split("train"))
    flux = data.split("test").observe().flux
    mask = good(flux)
    mask[:, 7] = 4
    struck = flux.copy()
    struck[:, 7] = 1e9

    seen = normaliser.apply(struck, mask)

    np.testing.assert_array_equal(seen, normaliser.apply(flux, mask))
    assert not seen[:, 7].any()


def test_training_input_has_mean_zero_and_unit_spread():
    """Statistics over many blocks equal those of the whole array."""
    data = make_data(sloped, uniform_logg, 50.0, (5000, 10, 10))
    seen = data.split("train").observe()

    scaled = Normaliser.fit(data.split("train")).apply(seen.flux, seen.mask).astype(float)

    assert np.abs(scaled.mean(axis=0)).max() < 1e-4  # float32 input
    assert scaled.std(axis=0) == pytest.approx(1.0, abs=1e-4)


def test_negative_flux_is_not_clipped():
    """Noise below zero is information; the input keeps it."""
    normaliser = Normaliser(mean=np.ones(5), std=np.ones(5))
    flux = np.array([[1, 1, 1, -3, 1]], dtype=np.float32)

    assert normaliser.apply(flux, good(flux))[0, 3] == -4.0


def test_a_pixel_that_never_varies_stays_finite():
    """No division by zero where training flux is constant."""
    data = make_data(sloped, uniform_logg, 0.0, (50, 10, 10))

    assert (Normaliser.fit(data.split("train")).std > 0).all()


def test_a_drowned_spectrum_is_shown_as_masked(caplog):
    """A median at or below zero is no scale: the spectrum is neither counted nor seen."""
    data = make_data(sloped, uniform_logg, 50.0, (200, 10, 10))
    expected = Normaliser.fit(data.split("train"))
    data.split("train").labels = np.append(data.split("train").labels, [[3.0]], axis=0)
    model = data.split("train").flux_model
    data.split("train").flux_model = np.append(model, np.full_like(model[:1], -1e3), axis=0)

    found = Normaliser.fit(data.split("train"))
    scaled = found.apply(*(getattr(data.split("train").observe(), n) for n in ("flux", "mask")))

    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    assert "1 of 201 training spectra" in caplog.text
    assert not scaled[200].any()
    assert scaled[:200].any(axis=1).all()


def test_labels_return_from_their_scale():
    """z-scores and back, in float32 steps of the label's spread."""
    labels = np.random.default_rng(0).uniform([3750, 1], [6000, 5], (100, 2))
    scale = LabelScale.fit(labels, ("teff", "logg"))

    np.testing.assert_allclose(scale.to_labels(scale.to_scaled(labels)), labels, rtol=1e-6)
    assert scale.to_scaled(labels).std(axis=0) == pytest.approx(1.0, abs=1e-5)


def test_a_constant_or_missing_target_is_refused():
    """There is nothing to learn from one value, or from none; gaps are stepped over."""
    with pytest.raises(DataError, match="nothing to learn"):
        LabelScale.fit(np.full((9, 1), 4.0), ("logg",))
    with pytest.raises(DataError, match="missing"):
        LabelScale.fit(np.array([[np.nan], [np.nan]]), ("logg",))
    with pytest.raises(DataError, match="infinite"):
        LabelScale.fit(np.array([[1.0], [np.inf]]), ("logg",))
    assert LabelScale.fit(np.array([[1.0], [np.nan], [5.0]]), ("logg",)).mean == [3.0]
