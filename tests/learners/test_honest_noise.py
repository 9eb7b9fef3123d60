"""The error a learner is given tells it nothing that the noisy flux does not.

The sigma the noise is drawn with does: in the published set a ridge read log g from it at R2 0.99.
"""

import numpy as np
import pytest

from starsmith.data_contract.noise import observe_spectra
from starsmith.simulator import Prior, cached_bank, draw_stars
from starsmith.simulator.observe import model_flux

pytestmark = pytest.mark.slow

N_TRAIN, N_TEST = 5000, 6000
BIN = 8  # pixels; the triplet's lines are wider
COLOUR_BIN = 512  # pixels: eight broad bands
BLOCK = 500


def binned(spectra, size=BIN):
    return spectra.reshape(len(spectra), -1, size).mean(axis=2)


def over_median(spectra):
    return spectra / np.median(spectra, axis=1, keepdims=True)


def features(bank, n, split):
    """Inputs by name, (n, n_feature) each, and log g."""
    draws = draw_stars(bank, Prior.default(), 11, split, np.arange(n))
    model = model_flux(bank, draws)
    found = {}
    for start in range(0, n, BLOCK):
        part = draws.take(slice(start, start + BLOCK))
        noiseless = model[start : start + BLOCK]
        view = {
            kind: observe_spectra(bank.noise, noiseless, part.conditions, part.key, kind)
            for kind in ("observed", "smooth")
        }
        flux, observed, true = view["observed"]
        median = np.median(flux, axis=1, keepdims=True)
        made = {
            "flux": binned(flux / median),
            "level": np.median(observed, axis=1, keepdims=True) / median,
            "observed": binned(observed / median),
            "smooth": binned(view["smooth"][1] / median),
            "true": binned(true / median),
            "smooth shape": binned(over_median(view["smooth"][1])),
            "true shape": binned(over_median(true)),
            "colour": over_median(binned(flux, COLOUR_BIN)),
        }
        for name, values in made.items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}, draws.label("logg")


@pytest.fixture(scope="module")
def spectra():
    """5000 training and 6000 test spectra of the demo grid, magnitudes 20.5 to 22.5."""
    bank = cached_bank("demo", "pfs_mr")
    return features(bank, N_TRAIN, "train"), features(bank, N_TEST, "test")


def ridge(x, y, x_test):
    model = pytest.importorskip("sklearn.linear_model")
    mean, std = x.mean(axis=0), x.std(axis=0)
    fitted = model.RidgeCV(np.logspace(0, 6, 13)).fit((x - mean) / std, y)
    return fitted.predict((x_test - mean) / std)


def trees(x, y, x_test):
    """Mean of two forests of boosted trees that see other columns: alone they differ by 0.01."""
    lightgbm = pytest.importorskip("lightgbm")
    models = [
        lightgbm.LGBMRegressor(
            n_estimators=150, num_leaves=15, min_child_samples=40, colsample_bytree=0.3,
            n_jobs=1, verbose=-1, random_state=seed,
        )
        for seed in (0, 1)
    ]  # fmt: skip
    return np.mean([model.fit(x, y).predict(x_test) for model in models], axis=0)


def r2(method, spectra, *names):
    (train, y), (test, y_test) = spectra
    x, x_test = (np.hstack([part[name] for name in names]) for part in (train, test))
    residual = y_test - method(x, y, x_test)
    return 1 - residual.var() / y_test.var()


@pytest.mark.parametrize("method", [ridge, trees])
@pytest.mark.parametrize("kind", ["observed", "smooth"])
def test_error_beside_flux_adds_nothing(kind, method, spectra):
    """[flux, error] scores less than 0.01 above flux alone; the true sigma adds 0.1 or more.

    Error is in units of the flux's median, as flux is. How noisy a spectrum is, one number, may
    be known to both: trees lean less on faint stars for it, which is no leak.
    """
    flux = r2(method, spectra, "flux", "level")
    assert flux > 0.25  # there is something to be read
    assert r2(method, spectra, "flux", "level", kind) - flux < 0.01
    assert r2(method, spectra, "flux", "level", "true shape") - flux > 0.1


@pytest.mark.parametrize("method", [ridge, trees])
def test_the_smooth_error_alone_is_the_colour(method, spectra):
    """Its shape scores less than 0.05 above eight broad bands; that of the true sigma 0.5."""
    colour = r2(method, spectra, "colour")
    assert r2(method, spectra, "smooth shape") < colour + 0.05
    assert r2(method, spectra, "true shape") > colour + 0.5
