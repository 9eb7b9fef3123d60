"""What a survey's pixels see of a grid, against plain sums."""

import re
from dataclasses import replace

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.grid.grid_file import GridData
from starsmith.fisher.domain_ceiling import domain_ceiling
from starsmith.simulator.domains.domain import Knobs, build_domain
from starsmith.simulator.domains.request import DomainRequest
from starsmith.simulator.domains.seen_grid import line_operator, see_grid
from starsmith.simulator.domains.survey import list_surveys, load_survey
from tests.conftest import star_flux


@pytest.fixture(scope="module")
def grid():
    """5 x 4 x 4 toy stars, R = 20,000."""
    wave = 8400.0 + 0.1 * np.arange(4000)
    axes = {
        "teff": np.linspace(3750.0, 6000.0, 5),
        "logg": np.linspace(1.0, 5.0, 4),
        "m_h": np.linspace(-2.0, 0.5, 4),
    }
    teff, logg, m_h = axes.values()
    flux = np.stack([[[star_flux(t, g, z, wave) for z in m_h] for g in logg] for t in teff])
    return GridData(
        name="toy",
        axes=axes,
        wave=wave,
        flux=flux.astype(np.float32),
        valid=np.ones(flux.shape[:3], dtype=bool),
        resolution=20_000.0,
    )


def test_a_line_comes_out_as_wide_as_the_survey_says():
    wave = 8400.0 + 0.05 * np.arange(8000)
    seen = 8450.0 + 0.5 * np.arange(600)
    operator = line_operator(wave, 40_000.0, seen, np.full(seen.size, 2.0))
    own = 8600.0 / 40_000.0 / 2.354820045
    line = np.exp(-0.5 * ((wave - 8600.0) / own) ** 2)
    out = operator @ line
    second = np.sum(out * (seen - 8600.0) ** 2) / out.sum()
    expected = (2.0 / 2.354820045) ** 2 + 0.5**2 / 12  # the profile, and the pixel's box
    assert second == pytest.approx(expected, rel=2e-3)
    np.testing.assert_allclose(operator @ np.ones(wave.size), 1.0, rtol=1e-12)


def test_nodes_are_met_and_edges_refused(grid):
    wave = np.arange(8450.0, 8750.0, 1.0)
    seen = see_grid(grid, wave, np.full(wave.size, 2.0))
    labels = np.array([[grid.axes["teff"][2], grid.axes["logg"][1], grid.axes["m_h"][3]]])
    operator = line_operator(grid.wave, grid.resolution, wave, np.full(wave.size, 2.0))
    plain = operator @ grid.flux[2, 1, 3].astype(np.float64)
    found = seen.flux(labels)[0]
    np.testing.assert_allclose(found / np.median(found), plain / np.median(plain), rtol=1e-9)
    with pytest.raises(GridError, match=r"teff 7000\.\.7000 leaves the grid"):
        seen.flux(np.array([[7000.0, 2.0, 0.0]]))
    with pytest.raises(GridError, match="the survey's pixels need"):
        see_grid(grid, wave - 60.0, np.full(wave.size, 2.0))
    with pytest.raises(GridError, match="choose a sharper grid"):
        see_grid(grid, wave, np.full(wave.size, 0.1))


SURVEY = """
name = "toy"
[noise]
snr = [20.0, 40.0]
snr_source = "assumed"
photon_share = 0.5
photon_share_source = "assumed"
correlation = 0.0
correlation_source = "assumed"
[[arm]]
name = "a"
pixels = { start = 8460.0, step = 5.0, count = 56, spacing = "linear" }
pixels_source = "assumed"
fwhm = { wave = [8400.0, 8800.0], value = [6.0, 6.0] }
fwhm_source = "assumed"
noise = { wave = [8400.0, 8800.0], value = [1.0, 1.5] }
noise_source = "assumed"
"""


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    path = tmp_path_factory.mktemp("survey") / "toy.toml"
    path.write_text(SURVEY)
    return str(path)


@pytest.fixture(scope="module")
def second(grid):
    """Lines a tenth deeper."""
    return replace(grid, flux=(grid.flux * (grid.flux / grid.flux.max()) ** 0.1))


def test_every_packaged_survey_can_be_read():
    for name in list_surveys():
        found = load_survey(name)
        assert (np.diff(found.wave) > 0).all()
        assert np.median(found.shape) == pytest.approx(1.0, rel=1e-6)
        assert all(text for text in found.sources.values())
    desi = load_survey("desi")
    assert desi.wave[[0, -1]].round() == pytest.approx([3600, 9824])
    assert np.interp(8675.0, desi.wave, desi.wave / desi.fwhm) == pytest.approx(4970, rel=1e-3)
    apogee = load_survey("apogee")
    assert apogee.wave.size == 8575


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('snr_source = "assumed"', "", "snr_source is missing"),
        ("step = 5.0", "step = -5.0", "a step above 0"),
        ('name = "toy"', 'name = "toy"\ncolour = 3', "unknown keys"),
        ("photon_share = 0.5", "photon_share = 1.5", "a share"),
        ("correlation = 0.0", "correlation = 3.0", "photon_share 0"),
        ("value = [1.0, 1.5]", "value = [1.0]", "rising wave"),
    ],
)
def test_a_survey_that_says_too_little_is_refused(tmp_path, old, new, found):
    (tmp_path / "bad.toml").write_text(SURVEY.replace(old, new, 1))
    with pytest.raises(ConfigError, match=found):
        load_survey(str(tmp_path / "bad.toml"))


def test_the_dial_is_straight_in_the_logarithm(grid, second, survey):
    """At g = 0 is A, g = 1 is B; half way the nodes are the geometric mean, before the profile."""
    nodes = np.array([[grid.axes["teff"][1], grid.axes["logg"][2], grid.axes["m_h"][0]]])
    found = [
        build_domain(survey, Knobs(g=g), grid, second).seen.flux(nodes)[0] for g in (0, 0.5, 1)
    ]
    domain = build_domain(survey, Knobs(), grid)
    operator = line_operator(grid.wave, grid.resolution, domain.survey.wave, domain.survey.fwhm)
    a, b = (g.flux[1, 2, 0].astype(np.float64) for g in (grid, second))
    for spectrum, expected in zip(found, (a, np.sqrt(a * b), b), strict=True):
        plain = operator @ expected
        np.testing.assert_allclose(spectrum / spectrum.mean(), plain / plain.mean(), rtol=2e-6)
    with pytest.raises(GridError, match="--grid-b"):
        build_domain(survey, Knobs(g=0.5), grid)


@pytest.mark.parametrize("noise", ["", "correlation = 2.0\nphoton_share = 0.0"])
def test_stars_are_keyed_and_the_card_tells_all(noise, grid, tmp_path):
    survey, text = tmp_path / "toy.toml", SURVEY
    for line in noise.splitlines():
        text = re.sub(rf"{line.split()[0]} = .*", line, text)
    survey.write_text(text)
    moved = (50.0, 0.0, 0.1)
    knobs = Knobs(flux_calibration=0.03, sky=1.0, population="halo", label_offset=moved, seed=4)
    domain = build_domain(str(survey), knobs, grid)
    many, few = domain.draw(20, "test"), domain.draw(5, "test")
    for name in ("labels", "model", "sigma", "snr"):
        np.testing.assert_array_equal(getattr(many, name)[:5], getattr(few, name))
    np.testing.assert_array_equal(many.observe(np.array([3]))[0], few.observe()[3])
    assert not np.array_equal(few.observe(epoch=0), few.observe())
    assert not np.array_equal(domain.draw(5, "train").labels, few.labels)
    np.testing.assert_allclose(few.pipeline - few.labels, [[50.0, 0.0, 0.1]] * 5, atol=1e-9)
    assert domain.draw(200, "train").labels[:, 2].mean() == pytest.approx(-1.45, abs=0.15)
    card = domain.card()
    assert card["knobs"]["flux_calibration"] == 0.03
    assert card["survey"]["sources"]["a.fwhm"] == "assumed"


@pytest.mark.parametrize(
    ("calibration", "sky", "free"), [(0.03, 0.0, False), (0.03, 2.0, False), (0.0, 0.0, True)]
)
def test_the_ceiling_is_the_mean_over_a_dense_grid(grid, tmp_path, calibration, sky, free):
    """Every label combination of a fine grid weighed by its likelihood, its covariance in full."""
    text = SURVEY.replace("[20.0, 40.0]", "[8.0, 12.0]")
    text = text.replace("5.0, count = 56", "8.0, count = 34")
    (tmp_path / "faint.toml").write_text(text)
    knobs = Knobs(flux_calibration=calibration, sky=sky)
    domain = build_domain(str(tmp_path / "faint.toml"), knobs, grid)
    stars = domain.draw(1, "test")
    found = domain_ceiling(domain, stars, continuum_free=free)
    _is_the_mean_over_a_dense_grid(domain, stars, found, 1.0 if free else calibration)


def test_the_ceiling_sees_both_sides_of_a_doubtful_star(grid, tmp_path):
    """Spectra that are nearly even about log g 3 have two maxima of likelihood: both count."""
    (tmp_path / "faint.toml").write_text(SURVEY.replace("[20.0, 40.0]", "[8.0, 12.0]"))
    x = (grid.axes["logg"][:, None, None] - 3.0) / 2.0
    even, odd = (np.exp(-0.5 * ((grid.wave - line) / 8.0) ** 2) for line in (8542.0, 8662.0))
    flux = grid.flux.mean(axis=1, keepdims=True) * (1.0 - 0.3 * x**2 * even + 0.03 * x * odd)
    domain = build_domain(
        str(tmp_path / "faint.toml"), Knobs(), replace(grid, flux=flux.astype(np.float32))
    )
    stars = domain.draw(5, "test")
    found = domain_ceiling(domain, stars)
    assert (np.sqrt(found.variance[:, 1]) > 1.0).sum() >= 3  # giants or dwarfs
    _is_the_mean_over_a_dense_grid(domain, stars, found, 0.0)


def _is_the_mean_over_a_dense_grid(domain, stars, found, spread):
    low, high = domain.box
    sides = [a + (b - a) * (np.arange(16) + 0.5) / 16 for a, b in zip(low, high, strict=True)]
    labels = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 3)
    model, seen = domain.spectra(labels), stars.observe().astype(np.float64)
    for k in range(len(stars)):
        sigma = domain.sigma_of(model, np.full(len(model), stars.snr[k]))
        lever = spread * model[:, None, :] * domain.modes
        cover = np.einsum("ikj,ikl->ijl", lever, lever)
        place = np.arange(seen.shape[1])
        cover[:, place, place] += sigma**2
        if domain.knobs.sky:
            left = domain.sky_modes / stars.snr[k]
            cover += left.T @ left
        left = (seen[k] - model)[:, :, None]
        square = (left * np.linalg.solve(cover, left)).sum(axis=(1, 2))
        log_weight = -0.5 * square - 0.5 * np.linalg.slogdet(cover)[1]
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        mean = weight @ labels
        width = np.sqrt(weight @ (labels - mean) ** 2)
        off = np.abs(found.mean[k] - mean) / width
        assert (off < 0.3).all(), off  # 200 draws, and cells of the grid
        np.testing.assert_allclose(np.sqrt(found.variance[k]), width, rtol=0.35)


def test_sky_residuals_have_the_size_that_is_asked_for(grid, survey):
    """In units of noise, on the sky's lines; other random numbers stay what they are."""
    plain = build_domain(survey, Knobs(), grid).draw(400, "test")
    domain = build_domain(survey, Knobs(sky=0.5), grid)
    stars = domain.draw(400, "test")
    np.testing.assert_array_equal(plain.labels, stars.labels)
    left = (stars.model - plain.model) * stars.snr[:, None]
    assert np.sqrt(np.square(left).mean()) == pytest.approx(0.5, rel=0.1)
    usual = np.abs(left).mean(axis=0)
    assert usual.max() > 5 * np.median(usual)  # lines, no continuum
    assert DomainRequest.of_text("desi,preset=sky,sky=1").knobs == Knobs(
        flux_calibration=0.03, sky=1.0
    )
    with pytest.raises(ConfigError, match="preset 'rain'"):
        DomainRequest.of_text("desi,preset=rain")


@pytest.mark.slow
def test_the_second_physics_without_a_change_is_the_first(tmp_path, monkeypatch):
    """To the bit; with its changes spectra differ by some per cent in lines."""
    from starsmith.simulator.domains.second_physics import Physics, first_grid, second_grid

    monkeypatch.setenv("STARSMITH_CACHE_DIR", str(tmp_path))
    axes = {"teff": [4500.0, 5000.0], "logg": [2.0, 3.0], "m_h": [-1.0, 0.0]}
    axes = {name: np.array(nodes) for name, nodes in axes.items()}
    first = first_grid(axes)
    none = Physics(microturbulence=1.0, log_gf_error=0.0, missing=0.0, alpha=0.0)
    np.testing.assert_array_equal(second_grid(none, axes).flux, first.flux)
    changed = np.log(second_grid(Physics(), axes).flux / first.flux)
    assert 0.003 < changed.std() < 0.05
