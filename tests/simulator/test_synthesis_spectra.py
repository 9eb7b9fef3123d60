"""Synthetic stars: what gravity, temperature and metallicity do, and full LTE syntheses."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from starsmith.data_contract.air import air_to_vacuum
from starsmith.data_contract.constants import FWHM_TO_SIGMA
from starsmith.data_contract.errors import GridError
from starsmith.simulator.synthesis import Sampling, synthesize, wavelength_grid

TRIPLET = air_to_vacuum(np.array([8498.02, 8542.09, 8662.14]))
NEAR_TRIPLET = Sampling(wave_min=8450.0, wave_max=8720.0)


def normalised(*labels, sampling=NEAR_TRIPLET):
    spectrum = synthesize(*labels, sampling=sampling)
    return spectrum.wave, spectrum.flux / spectrum.continuum


def equivalent_width(wave, flux, centre, half_width=15.0):
    """[Å] within ``half_width`` of ``centre``."""
    near = np.abs(wave - centre) < half_width
    return np.trapezoid(1.0 - flux[near], wave[near])


@pytest.mark.parametrize("teff", [4500, 5500])
def test_calcium_wings_widen_with_gravity_in_dwarfs(teff):
    """Pressure broadening: the mean flux 4-10 Å from 8542 falls from log g 4 to 5 to 5.5."""
    gravities = (4.0, 5.0, 5.5)
    wave = normalised(teff, 4.0)[0]
    distance = np.abs(wave - TRIPLET[1])
    wing = (distance > 4.0) & (distance < 10.0)
    flux = np.array([normalised(teff, g)[1][wing].mean() for g in gravities])
    assert np.all(np.diff(flux) < 0.0)
    assert flux[-1] - flux[0] < -0.005


def test_calcium_strengthens_toward_low_gravity_in_giants():
    """Jones, Alloin & Jones (1984): H- opacity falls, so the triplet grows, ever faster."""
    widths = [equivalent_width(*normalised(4500, g), TRIPLET[1]) for g in (3.0, 2.0, 1.0)]
    assert widths[1] > 1.1 * widths[0]
    assert widths[2] - widths[1] > widths[1] - widths[0]


def test_giants_have_stronger_calcium_than_the_sun():
    """MARCS syntheses: 5.6 Å (4500/2.0), 4.4 (5500/3.0), 3.9 (Sun) for 8542; ratios within 8 %."""
    stars = [(4500, 2.0), (5500, 3.0), (5777, 4.44)]
    widths = np.array([equivalent_width(*normalised(*star), TRIPLET[1]) for star in stars])
    np.testing.assert_allclose(widths / widths[2], np.array([5.6, 4.4, 3.9]) / 3.9, rtol=0.08)


def test_lines_deepen_with_metallicity():
    depth = [1.0 - normalised(5000, 3.0, m)[1] for m in (-2.5, -1.5, -0.5, 0.5)]
    assert np.all(np.diff([d.mean() for d in depth]) > 0.0)
    weak = np.abs(normalised(5000, 3.0)[0] - air_to_vacuum(8611.80)) < 0.5
    assert np.all(np.diff([d[weak].max() for d in depth]) > 0.02)


def test_paschen_lines_appear_in_warm_stars():
    """P12 at 8750.5 Å (air): nothing in a K star, a few per cent at 5500 K, strong in an F star."""
    sampling = Sampling(wave_min=8700.0, wave_max=8800.0)
    centre = air_to_vacuum(8750.47)
    depth = []
    for teff in (4500, 5500, 6000, 6500):
        wave, flux = normalised(teff, 4.0, -1.0, sampling=sampling)
        depth.append(1.0 - np.median(flux[np.abs(wave - centre) < 2.0]))
    assert depth[0] < 0.005
    assert depth[1] > 0.01
    assert depth[3] > 0.08
    assert np.all(np.diff(depth) > 0)


def test_h_alpha_grows_with_temperature_and_has_wide_wings():
    sampling = Sampling(wave_min=6500.0, wave_max=6630.0)
    widths = [
        equivalent_width(*normalised(t, 4.0, -0.5, sampling=sampling), 6564.6, 40.0)
        for t in (4500, 5500, 6500)
    ]
    # the convection of ATLAS9 (l/H 1.25, with overshooting) makes weak wings in G stars
    assert np.all(np.diff(widths) > (0.2, 1.5))
    assert 2.0 < widths[1] < 5.0  # the Sun's, cooled and metal-poor: 3 to 4 Å


def test_titanium_oxide_appears_in_cool_stars():
    """The γ head at 7054 Å: flux falls across it below 4000 K, not above 4500 K."""
    sampling = Sampling(wave_min=7000.0, wave_max=7120.0)

    def drop(teff, logg):
        wave, flux = normalised(teff, logg, sampling=sampling)
        edge = air_to_vacuum(7054.2)
        blue, red = (wave > edge - 12) & (wave < edge - 2), (wave > edge + 2) & (wave < edge + 12)
        return np.median(flux[blue]) - np.median(flux[red])

    assert drop(3500, 4.5) > 0.1
    assert drop(3500, 1.0) > 0.1
    assert abs(drop(4750, 3.0)) < 0.03


def test_alpha_and_carbon_act_on_their_own_lines():
    """Ca II and Si I answer to [α/M], Fe I less; C I and CN answer to [C/M]."""
    wave, solar = normalised(5000, 2.0)
    alpha = normalised(5000, 2.0, 0.0, 0.4)[1]
    widths = [equivalent_width(wave, flux, TRIPLET[1]) for flux in (alpha, solar)]
    assert widths[0] > 1.07 * widths[1]  # damped: the square root of 2.5, less the α electrons
    iron = air_to_vacuum(8688.62)
    ratio = equivalent_width(wave, alpha, iron, 1.0) / equivalent_width(wave, solar, iron, 1.0)
    assert 0.85 < ratio < 1.05  # only through the electrons the α elements give
    near_cn = Sampling(wave_min=7880.0, wave_max=8000.0)
    bands = [
        1.0 - normalised(4500, 2.0, 0.0, 0.0, c, sampling=near_cn)[1] for c in (-0.3, 0.0, 0.3)
    ]
    assert np.all(np.diff([np.median(b) for b in bands]) > 0.005)


def test_halving_the_step_changes_little():
    """The stated sampling error: 2e-3 of the continuum at R = 20,000."""
    coarse = Sampling(wave_min=8600.0, wave_max=8720.0)
    fine = Sampling(wave_min=8600.0, wave_max=8720.0, step_km_s=0.5, stride=10)
    wave, flux = normalised(4500, 2.0, sampling=coarse)
    fine_wave, fine_flux = normalised(4500, 2.0, sampling=fine)
    np.testing.assert_allclose(flux, np.interp(wave, fine_wave, fine_flux), atol=2e-3)


def test_a_range_gives_the_same_spectrum_as_the_whole():
    """Lines outside a range act inside it; cubic interpolation between grids errs by 1e-3."""
    narrow = synthesize(5500, 4.0, sampling=Sampling(wave_min=8520, wave_max=8560, stride=2))
    wide = synthesize(5500, 4.0, sampling=Sampling(wave_min=8400, wave_max=8700, stride=2))
    found = CubicSpline(wide.wave, wide.flux / wide.continuum)(narrow.wave)
    np.testing.assert_allclose(narrow.flux / narrow.continuum, found, atol=2e-3)


def test_wavelengths_are_uniform_in_velocity_and_fine_enough():
    sampling = Sampling()
    wave = wavelength_grid(sampling)
    step = np.diff(np.log(wave))
    np.testing.assert_allclose(step, step[0], rtol=1e-8)
    assert 1.0 / (sampling.resolution * step[0]) >= 2.5
    assert wave[0] == 6400.0
    assert wave[-1] >= 9000.0


@pytest.mark.parametrize(
    ("options", "word"), [({"wave_min": 3000.0}, "3200-10600"), ({"stride": 9}, "stride")]
)
def test_impossible_samplings_are_refused(options, word):
    with pytest.raises(GridError, match=word):
        Sampling(**options)


REFERENCES = {
    "synspec_sun_5777_4.44_0.00.npz": (5777.0, 4.44, 0.0),
    "synspec_5500_3.0_0.00.npz": (5500.0, 3.0, 0.0),
}


@pytest.fixture(params=REFERENCES, scope="module")
def reference_pair(request):
    """Wave [Å, vacuum], flux and continuum of a full synthesis, and our spectrum of that star."""
    shared = request.getfixturevalue("shared_data")
    path = shared / "reference" / request.param
    if not path.exists():
        pytest.skip(f"no reference spectrum at {path}")
    with np.load(path) as file:
        wave = air_to_vacuum(file["wave_air_angstrom"])
        flux, continuum = (4.0 * np.pi * file[name].astype(float) for name in ("flux", "cont"))
    return wave, flux, continuum, synthesize(*REFERENCES[request.param])


def at_resolution(wave, flux, resolution, points):
    """Gaussian smoothing on a fine grid in ln λ, interpolated to ``points``."""
    step = 5e-6
    log_wave = np.arange(np.log(wave[0]), np.log(wave[-1]), step)
    fine = np.interp(log_wave, np.log(wave), flux)
    smooth = gaussian_filter1d(fine, FWHM_TO_SIGMA / resolution / step)
    return np.interp(np.log(points), log_wave, smooth)


def test_normalised_spectra_match_full_syntheses(reference_pair):
    """At R = 5000, 710-885 nm: rms 0.03 is the aim; line lists and microturbulence differ."""
    wave, flux, continuum, ours = reference_pair
    points = np.arange(max(7100.0, wave[0] + 10.0), 8850.0, 0.5)
    left = (5000.0**-2 - ours.resolution**-2) ** -0.5
    theirs = at_resolution(wave, flux / continuum, 5000.0, points)
    found = at_resolution(ours.wave, ours.flux / ours.continuum, left, points)
    assert np.sqrt(np.mean((found - theirs) ** 2)) < 0.012


def test_calcium_grows_toward_low_gravity_as_in_full_syntheses(shared_data):
    """From the Sun to 5500 K, log g 3: each line's growth within 5 % of the MARCS syntheses'."""
    widths = []
    for name, labels in REFERENCES.items():
        path = shared_data / "reference" / name
        if not path.exists():
            pytest.skip(f"no reference spectrum at {path}")
        with np.load(path) as file:
            wave = air_to_vacuum(file["wave_air_angstrom"])
            theirs = file["flux"].astype(float) / file["cont"]
        ours = normalised(*labels)
        widths.append(
            [equivalent_width(*ours, c) / equivalent_width(wave, theirs, c) for c in TRIPLET]
        )
    np.testing.assert_allclose(widths[1], widths[0], rtol=0.05)


def test_calcium_widths_match_full_syntheses(reference_pair):
    wave, flux, continuum, ours = reference_pair
    for centre in TRIPLET:
        theirs = equivalent_width(wave, flux / continuum, centre)
        found = equivalent_width(ours.wave, ours.flux / ours.continuum, centre)
        assert found == pytest.approx(theirs, rel=0.15)


def test_absolute_flux_matches_full_syntheses(reference_pair):
    """Surface flux at 800 nm within 5 %: F = 4π H of the reference."""
    wave, _, continuum, ours = reference_pair
    theirs = np.interp(8000.0, wave, continuum)
    assert np.interp(8000.0, ours.wave, ours.continuum) == pytest.approx(theirs, rel=0.05)


@pytest.mark.parametrize("sampling", [Sampling(8480.0, 8560.0), Sampling(4290.0, 4320.0)])
def test_layers_that_no_light_leaves_change_no_bit(sampling, monkeypatch):
    """Without the deepest layers, which the continuum hides, the flux is the same."""
    from starsmith.simulator.synthesis import synthetic_spectrum

    kept, seen = [], synthetic_spectrum.seen_layers

    def told(atmosphere, smooth):
        found = seen(atmosphere, smooth)
        kept.append(found[0].tau.size)
        return found

    monkeypatch.setattr(synthetic_spectrum, "seen_layers", told)
    fewer = synthesize(5500.0, 4.0, -0.5, sampling=sampling)
    monkeypatch.setattr(synthetic_spectrum, "seen_layers", lambda *parts: parts)
    every = synthesize(5500.0, 4.0, -0.5, sampling=sampling)

    assert kept[0] < 50
    assert np.array_equal(fewer.flux, every.flux)
