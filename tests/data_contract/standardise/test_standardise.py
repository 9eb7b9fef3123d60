"""Recipes, and spectra of several arms brought to common pixels by them."""

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.surveys.spectrum import SpectrumArm, SurveySpectrum, Velocity
from starsmith.data_contract.surveys.standardise.recipe import (
    LAMOST_PIXELS,
    ORDER,
    StandardRecipe,
    list_standard_recipes,
    load_standard,
)
from starsmith.data_contract.surveys.standardise.standardise import standardise

PIXELS = {"start": 8100.0, "step": 0.427, "count": 800}


def star(wave, fwhm, centre=8250.0):
    sigma = fwhm / 2.3548
    return 2.0 - 0.6 / sigma * np.exp(-0.5 * ((wave - centre) / sigma) ** 2)


def spectrum(
    rv=0.0, fwhm=1.2, snr=100.0, seed=0, arms=((8000.0, 8300.0), (8280.0, 8600.0)), **more
):
    rng = np.random.default_rng(seed)
    stretch = np.sqrt((1 + rv / 299792.458) / (1 - rv / 299792.458))
    made = []
    for name, (low, high) in zip("br", arms, strict=False):
        wave = np.arange(low, high, 0.4)
        flux = star(wave / stretch, fwhm) / stretch
        error = flux / snr
        made.append(
            SpectrumArm(
                wave=wave, flux=flux + rng.normal(0, error), error=error, name=name, fwhm=fwhm
            )
        )
    return SurveySpectrum(
        survey="toy",
        arms=tuple(made),
        ids={"star": "1"},
        velocity=Velocity(frame="barycentric", rv=rv),
        **more,
    )


def test_two_arms_moved_smeared_and_joined():
    """Closed form: a line at rest, of the target's width; residuals are noise (χ² per pixel)."""
    recipe = StandardRecipe(fwhm=2.0, **PIXELS)
    found = standardise(spectrum(rv=80.0), recipe)
    assert found.usable.all()
    pull = (found.flux - star(found.wave, 2.0)) / found.error
    assert np.mean(pull**2) == pytest.approx(1.0, abs=0.25)  # 800 pixels, 4.6 of them one
    smear = np.sqrt(2.0**2 - 1.2**2) / 2.3548 / 0.427  # σ [pixel]; white noise through a Gaussian
    assert found.correlation_length == pytest.approx(2 * np.sqrt(np.pi) * smear, rel=0.02)
    assert found.snr == pytest.approx(100.0, rel=0.02)
    assert found.rv == 80.0
    assert not found.doubts
    assert [word for word in ("rest", "lines", "resampled") if word in "; ".join(found.done)]


def test_overlapping_arms_are_weighed_by_their_errors():
    both = standardise(spectrum(), StandardRecipe(**PIXELS))
    overlap = (both.wave > 8282) & (both.wave < 8298)
    alone = (both.wave > 8200) & (both.wave < 8240)
    ratio = np.median(both.error[alone]) / np.median(both.error[overlap])
    assert ratio == pytest.approx(np.sqrt(2.0), rel=0.05)


def test_gaps_are_masked():
    found = standardise(
        spectrum(arms=((8150.0, 8200.0), (8300.0, 8400.0))), StandardRecipe(**PIXELS)
    )
    inside = ((found.wave > 8151) & (found.wave < 8199)) | (
        (found.wave > 8301) & (found.wave < 8399)
    )
    outside = (
        (found.wave < 8150) | ((found.wave > 8200) & (found.wave < 8300)) | (found.wave > 8400)
    )
    assert found.usable[inside].all()
    assert not found.usable[outside].any()


def test_doubts_are_said_or_refused():
    recipe = StandardRecipe(fwhm=1.0, **PIXELS)
    assert standardise(spectrum(), recipe).doubts == ("broad_lines",)
    with pytest.raises(DataError, match=r"1\.20 Å are broader than the 1\.00 Å"):
        standardise(spectrum(), StandardRecipe(fwhm=1.0, broader="refuse", **PIXELS))
    blind = SurveySpectrum(
        survey="toy",
        arms=(SpectrumArm(wave=np.arange(8000.0, 8600.0, 0.4), flux=np.ones(1500)),),
        ids={},
    )
    assert standardise(blind, recipe).doubts == ("unknown_resolution", "unknown_velocity")
    with pytest.raises(DataError, match="no usable pixel"):
        standardise(blind, StandardRecipe(start=9000.0, step=1.0, count=10))
    with pytest.raises(DataError, match="no pixels are stated"):
        standardise(blind)


def test_spikes_are_masked_on_native_pixels():
    clean = spectrum()
    arm = clean.arms[0]
    hit = arm.flux.copy()
    hit[400] += 20 * arm.error[400]
    struck = SurveySpectrum(
        survey="toy",
        arms=(
            SpectrumArm(wave=arm.wave, flux=hit, error=arm.error, fwhm=1.2),
            clean.arms[1],
        ),
        ids={},
        velocity=clean.velocity,
    )
    found = standardise(struck, StandardRecipe(**PIXELS))
    near = np.abs(found.wave - arm.wave[400]) < 0.4
    assert not found.usable[near].any()
    assert "1 spikes masked" in found.done
    assert standardise(struck, StandardRecipe(spikes="", **PIXELS)).usable.all()


def test_the_median_is_what_it_is_told_to_be():
    found = standardise(spectrum(), StandardRecipe(median=0.5, **PIXELS))
    assert np.median(found.flux[found.usable]) == pytest.approx(0.5, rel=1e-12)
    assert np.median(found.flux / found.error) == pytest.approx(112.0, rel=0.1)  # some averaging


def test_the_bins_of_lamost():
    assert LAMOST_PIXELS.size == 1462
    assert LAMOST_PIXELS[0] == pytest.approx(3999.447, abs=1e-3)
    assert LAMOST_PIXELS[-1] == pytest.approx(5598.865, abs=1e-3)
    wave = np.arange(3700.0, 9000.0, 1.5)
    lamost = SurveySpectrum(
        survey="toy",
        arms=(SpectrumArm(wave=wave, flux=3.0 + star(wave, 6.0, 4861.0)),),
        ids={},
        velocity=Velocity(frame="rest"),
    )
    found = standardise(lamost, load_standard("lamost_lrs"))
    np.testing.assert_array_equal(found.wave, LAMOST_PIXELS)
    assert np.median(found.flux) == pytest.approx(1.0, abs=0.02)
    assert found.wave[np.argmin(found.flux)] == pytest.approx(4861.0, abs=2.0)


def test_packaged_recipes_state_their_order():
    for name in list_standard_recipes():
        recipe = load_standard(name)
        assert recipe.recorded()["order"] == list(ORDER)
        assert StandardRecipe.of_table(recipe.recorded(), "header") == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spike = true", "unknown keys"),
        ('spikes = "all"', "spikes = 'all'"),
        ("fwhm = -1", "fwhm = -1"),
        ("fwhm = 1.0\nresolution = 2000", "both given"),
        ('median = "one"', "median = 'one'"),
        ("count = 1\nstart = 1.0\nstep = 1.0", "count = 1"),
        ("rest = 1", "expected a bool"),
        ('start = 3.6\nstep = 1.0\ncount = 900\nspacing = "log10"', "pixels from"),
        ('order = ["rest"]', "steps are taken"),
        ("spikes = [", "not valid TOML"),
    ],
)
def test_recipes_that_cannot_be(tmp_path, text, message):
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_standard(file)


def test_a_recipe_that_is_not_there():
    with pytest.raises(ConfigError, match="nor a packaged recipe: desi_as_printed, lamost_lrs"):
        load_standard("lamost")


def test_snr_is_not_read_off_resampled_flux():
    """Without errors the flux of native pixels tells; that of others does not."""
    wave = np.arange(8000.0, 8600.0, 0.4)
    flux = np.random.default_rng(3).normal(1.0, 0.02, wave.size)
    arm = SpectrumArm(wave=wave, flux=flux)
    known = {"survey": "toy", "arms": (arm,), "ids": {}, "velocity": Velocity(frame="rest")}
    recipe = StandardRecipe(**PIXELS)
    assert standardise(SurveySpectrum(**known), recipe).snr == pytest.approx(50.0, rel=0.1)
    resampled = SurveySpectrum(**known, meta={"resampled": True})
    assert np.isnan(standardise(resampled, recipe).snr)
