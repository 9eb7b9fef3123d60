"""The error that is served follows from the noisy flux and the sky: nothing else goes into it.

What is a function of flux and conditions cannot tell more about a star than these do, whatever
learner reads it.
"""

import numpy as np
import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.noise.coadd import Coadd
from starsmith.data_contract.noise.observation import spectrum_mask
from starsmith.data_contract.noise.view import (
    ERROR_KINDS,
    NoiseModel,
    honest_error,
    observe_spectra,
)
from tests.data_contract.example import draw, make_header, model_flux, write_example

MODELS = {
    "calculator": {},
    "correlated sky": {"sky_floor": "correlated"},
    "counted photons": {"counts": "poisson"},
    "calibration": {"telluric_residual": 0.05, "flux_calibration": 0.03},
    "cosmic rays": {"cosmic_rays": 0.5},
    "drift": {"seeing_drift": 0.05, "zenith_drift": 3.0},
}
COUNT = 12  # exposures of every star of the example


@pytest.mark.parametrize("kind", ERROR_KINDS)
@pytest.mark.parametrize("terms", MODELS)
def test_error_is_computed_from_flux_and_sky_alone(noise, terms, kind):
    """An observer who has the served flux and the sky's history gets the error, to the last bit.

    Where cosmic rays took k of 12 exposures it is larger by √(12 / (12 − k)), which the mask
    tells to within k. The σ of the noiseless flux is no such function: it differs by 1 % and
    more, where the noise moved the flux or a line is deep.
    """
    model = NoiseModel(**MODELS[terms])
    stars = draw(3, "train", np.arange(60))
    noiseless, sky, key = model_flux(stars, noise.wave), stars.conditions, stars.key

    flux, error, sigma = observe_spectra(noise, noiseless, sky, key, kind, model=model)

    again = Coadd.of(noise, sky, model, key).response.honest_error(flux, kind)
    whole = spectrum_mask(model, sky, key, noise.wave.size) == 0
    np.testing.assert_array_equal(error[whole], again[whole])
    left = COUNT * (again[~whole].astype(float) / error[~whole]) ** 2
    np.testing.assert_allclose(left, np.round(left), atol=1e-4)  # float32
    assert whole.all() == (terms != "cosmic rays")
    assert np.abs(sigma / again - 1)[whole].max() > 0.01


@pytest.mark.parametrize("kind", ERROR_KINDS)
def test_stars_that_differ_look_alike_once_their_flux_does(noise, kind):
    """Two stars, one noisy flux: the same error, though their σ differ by up to a tenth."""
    stars = draw(3, "train", np.arange(40))
    sky = np.repeat(stars.conditions[:1], 40, axis=0)
    noiseless = model_flux(stars, noise.wave)
    flux, _, sigma = observe_spectra(noise, noiseless, sky, stars.key)

    error = honest_error(noise, np.repeat(flux[:1], 40, axis=0), sky, kind)

    np.testing.assert_array_equal(error, error[[0] * 40])
    assert np.ptp(np.log(sigma), axis=0).max() > 0.1


@pytest.mark.parametrize("kind", ERROR_KINDS)
def test_a_file_serves_what_can_be_recomputed_from_it(noise, pristine, tmp_path, kind):
    """Training and test views: the last bit. Frozen, where flux and error are rounded: 2^-10."""
    dataset = open_dataset(pristine)
    test = dataset.split("test")
    seen = test.observe(error=kind)
    again = honest_error(dataset.noise, seen.flux, test.draws.conditions, kind)
    np.testing.assert_array_equal(seen.error, again)

    train, sky = dataset.training().train, dataset.split("train").draws.conditions
    for epoch in (None, 0, 7):
        seen = train.observe(epoch=epoch)
        again = honest_error(dataset.noise, seen.flux, sky, dataset.header.error_kind)
        np.testing.assert_array_equal(seen.error, again)

    path = tmp_path / "frozen.zarr"
    write_example(path, make_header(noise, store="frozen", keep_bits=10, error_kind=kind))
    frozen = open_dataset(path).split("test")
    seen = frozen.observe()
    again = honest_error(noise, seen.flux, frozen.draws.conditions, kind)
    np.testing.assert_allclose(seen.error, again, rtol=2**-10)
