"""The posterior mean is the exact one: against brute force, closed forms and itself."""

import math

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.noise.covariance import variance_of
from starsmith.fisher.checks.selftest import uniform_prior_mmse
from starsmith.fisher.kernels.posterior import (
    accumulate,
    fill_log_marginal,
    fill_misfit,
)
from starsmith.fisher.posterior import spline_cells as cells
from starsmith.fisher.posterior.basis import Stars, build_basis, leading_modes
from starsmith.fisher.posterior.importance_sampling import ShortStars, _factors
from starsmith.fisher.posterior.posterior_mean import (
    PosteriorOptions,
    amplitude_limits,
    posterior_mean,
)
from starsmith.fisher.posterior.spline_cells import combine_nodes, find_cells
from starsmith.fisher.posterior.template_sums import StarSums, shortened
from starsmith.fisher.posterior.templates import build_templates
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.rendering.interpolate import interpolate, spline_weights
from tests.reference.fisher import log_marginal_by_grid, moments_dense, posterior_on_grid


def posterior_of(bank, prior, batch, **options):
    return posterior_mean(
        bank,
        prior,
        batch.flux,
        batch.error,
        batch.draws.conditions,
        options=PosteriorOptions(**options),
    )


@pytest.mark.parametrize("best", [0.39, 0.401, 0.7, 0.999, 1.02])
def test_amplitude_is_integrated_out(best):
    """Closed form against 200,000 amplitudes, inside and at the limits.

    1/A taken at the best amplitude is good to (σ/A)² = 4e-5 inside; where a limit cuts, to
    its slope over one σ, 1e-2.
    """
    square = 160.0**2
    cross = best * square
    found = np.empty((1, 1))
    limits = np.array([[0.4, 1.0, np.nan]])
    fill_log_marginal(found, np.array([[cross]]), np.array([[square]]), limits)
    expected = log_marginal_by_grid(cross, square, 0.4, 1.0) - 0.5 * math.log(2.0 * math.pi)
    inside = 0.45 < best < 0.95
    assert found[0, 0] == pytest.approx(expected, abs=1e-4 if inside else 3e-2)


@pytest.mark.parametrize("known", [np.nan, 0.8])
def test_running_sums_equal_dense_sums(known):
    """Blocks in any split, running maximum and skipping against one dense sum: 1e-10."""
    rng = np.random.default_rng(2)
    n_spec, n_template = 7, 600
    square = rng.uniform(999.0, 1001.0, (n_spec, n_template))
    cross = 0.8 * square + rng.normal(size=square.shape)
    standard = rng.normal(size=(n_template, 3))
    amplitude = np.column_stack(
        [np.full(n_spec, 0.1), np.full(n_spec, 5.0), np.full(n_spec, known)]
    )
    sums, peak = np.zeros((n_spec, 7, 2)), np.full(n_spec, -np.inf)
    best = np.zeros(n_spec, dtype=np.int64)
    for first in (0, 250, 507):
        rows = slice(first, {0: 250, 250: 507, 507: 600}[first])
        block = [np.ascontiguousarray(a[:, rows]) for a in (cross, square)]
        accumulate(sums, peak, best, *block, standard[rows].T.copy(), amplitude, first)
    log_weight = np.empty_like(cross)
    fill_log_marginal(log_weight, cross, square, amplitude)
    log_weight += standard[:, 0]
    total = sums.sum(axis=2)
    for i in range(n_spec):
        mean, var, ess = moments_dense(log_weight[i], standard[:, 1:])
        found = total[i, 3:5] / total[i, 0]
        np.testing.assert_allclose(found, mean, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(total[i, 5:7] / total[i, 0] - found**2, var, rtol=1e-10)
        assert total[i, 0] ** 2 / total[i, 1] == pytest.approx(ess, rel=1e-10)
    np.testing.assert_array_equal(best, log_weight.argmax(axis=1))


def test_squared_lengths_equal_matrix_products():
    """Of every star's own draws, against one product after another, to rounding."""
    rng = np.random.default_rng(4)
    short, gram = rng.normal(size=(3, 4, 7)), rng.normal(size=(3, 7, 7))
    found = ShortStars(np.empty((3, 7)), gram, np.empty((3, 3))).squares(short)
    expected = [[c @ g @ c for c in draws] for draws, g in zip(short, gram, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("derivative", [None, "logg"])
def test_combining_by_cell_equals_draw_by_draw(toy_bank, prior, derivative, monkeypatch):
    """Any order of draws, blocks that cut cells; rounding of a sum of 64."""
    monkeypatch.setattr(cells, "WORDS", 64 * 37)
    labels = draw_stars(toy_bank, prior, 2, "test", np.arange(300)).labels
    values = np.random.default_rng(3).normal(size=(len(toy_bank.coef), 5))
    rows, weights = spline_weights(toy_bank, labels, derivative)

    found = combine_nodes(toy_bank, find_cells(toy_bank, labels), values, labels, derivative)

    expected = np.einsum("ns,nsk->nk", weights, values[rows])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("reach", [None, 30.0])
def test_values_and_slopes_in_one_pass_are_those_label_by_label(toy_bank, prior, reach):
    """Of stars at rest and of stars that move; single precision of a sum of 64 or 384."""
    labels = draw_stars(toy_bank, prior, 2, "test", np.arange(40)).labels
    rng, axes = np.random.default_rng(3), cells.axes_of(toy_bank)
    if reach is not None:
        axes = cells.MovingAxes(axes, reach)
        labels = np.column_stack([labels, rng.uniform(-reach, reach, 40)])
    n_term = 1 if reach is None else cells.N_TERM
    values = rng.normal(size=(len(toy_bank.coef), n_term * 5)).astype(np.float32)
    columns = [0, labels.shape[1] - 1]

    found = cells.combine_slopes(axes, values, labels, columns)

    names = (None, *(axes.label_names[k] for k in columns))
    for k, name in enumerate(names):
        expected = combine_nodes(axes, find_cells(axes, labels), values, labels, name)
        np.testing.assert_allclose(found[:, k], expected, atol=3e-6 * np.abs(expected).max())


def test_misfit_is_the_gain_of_a_template_at_its_best_amplitude(toy_bank, prior, toy_stars):
    """Against `Basis.project` and sums over modes; float32 weights there leave 1e-5."""
    variance = toy_stars.error.astype(float) ** 2
    stars = Stars(toy_stars.flux.astype(float), variance, np.full((len(toy_stars), 3), np.nan))
    basis = build_basis(toy_bank, prior, stars)
    short = ShortStars.of(basis, stars)
    short.cross[0] *= -1.0
    rows = np.arange(0, len(toy_stars), 2)
    labels = toy_stars.draws.labels[rows]
    found = np.empty(rows.size)
    nodes, weights = spline_weights(toy_bank, labels)
    fill_misfit(found, nodes, weights, basis.node_modes, short.cross, short.gram, rows)
    c = basis.project(toy_bank, labels)
    s_1 = np.sum(short.cross[rows] * c, axis=1)
    s_2 = np.einsum("nr,nrs,ns->n", c, short.gram[rows], c)
    np.testing.assert_allclose(found, -np.sign(s_1) * s_1**2 / s_2, rtol=1e-5)
    assert found[0] > 0.0 > found[1]


@pytest.mark.parametrize("step", [0.15, 0.03])  # the latter has more than a first sketch holds
def test_leading_modes_leave_no_more_than_allowed(step):
    """Rows of known singular values: as many modes as a full decomposition needs."""
    rng = np.random.default_rng(5)
    values = 10.0 ** -np.arange(0, 6, step)
    left, right = (np.linalg.qr(rng.normal(size=(n, values.size)))[0] for n in (300, 320))
    rows = (left * values) @ right.T
    modes = leading_modes(rows, 1e-4)
    tail = np.sqrt(np.cumsum(values[::-1] ** 2)[::-1] / 300)
    assert len(modes) == np.sum(tail > 1e-4)
    np.testing.assert_allclose(modes @ modes.T, np.eye(len(modes)), atol=1e-12)
    remainder = rows - (rows @ modes.T) @ modes
    assert np.sqrt(np.mean(np.sum(remainder**2, axis=1))) <= 1.001e-4


def test_reduced_sums_are_those_of_full_spectra(toy_bank, prior, toy_stars):
    """S1 and S2 from the modes against every pixel: ln L is good to 0.1 for any star."""
    variance = toy_stars.error.astype(float) ** 2
    limits = amplitude_limits(prior, "free", None, len(toy_stars))
    stars = Stars(toy_stars.flux.astype(float), variance, limits)
    basis = build_basis(toy_bank, prior, stars)
    templates = build_templates(toy_bank, prior, basis, 500)
    spectra = interpolate(toy_bank, templates.labels, np.full(500, basis.mag)).astype(float)
    cross = (stars.flux / variance) @ spectra.T
    square = (1.0 / variance) @ (spectra**2).T

    star_cross, star_square, _ = basis.star_sums(stars)
    exact, short = np.empty_like(cross), np.empty_like(cross)
    fill_log_marginal(exact, cross, square, limits)
    fill_log_marginal(
        short, star_cross @ templates.short.T, star_square @ templates.square.T, limits
    )

    assert basis.loss < 0.1
    assert np.abs(short - exact).max() < 0.1


def test_shortened_sums_keep_the_likelihood(toy_bank, prior, toy_stars):
    """Fewer coordinates of S2 move ln L by 1e-6 rms, and by 1e-4 at most."""
    limits = amplitude_limits(prior, "free", None, len(toy_stars))
    flux = toy_stars.flux.astype(float)
    stars = Stars(flux, toy_stars.error.astype(float) ** 2, limits)
    basis = build_basis(toy_bank, prior, stars)
    templates = build_templates(toy_bank, prior, basis, 3000)  # of which 1024 choose them
    sums = StarSums.of(basis, stars)
    fewer, shorter = shortened(sums, templates)
    (cross, square), (same, found) = (
        pair[0].products(slice(None), pair[1]) for pair in ((sums, templates), (fewer, shorter))
    )
    np.testing.assert_array_equal(same, cross)
    scale = np.take_along_axis(
        cross / square, np.argmax(cross**2 / square, axis=1)[:, None], axis=1
    )
    lost = 0.5 * scale**2 * (found - square)
    assert shorter.square.shape[1] < 0.8 * templates.square.shape[1]
    assert np.sqrt(np.mean(lost**2)) < 2e-6
    assert np.abs(lost).max() < 1e-4


def test_a_star_unlike_the_others_keeps_all_coordinates(toy_bank, prior, toy_stars):
    """Of a thousand and some stars a single one, that no sample meets, has a few pixels only."""
    rows = np.resize(np.arange(len(toy_stars)), 1030)
    variance = toy_stars.error[rows].astype(float) ** 2
    limits = amplitude_limits(prior, "free", None, len(rows))
    stars = Stars(toy_stars.flux[rows].astype(float), variance, limits)
    basis = build_basis(toy_bank, prior, stars)
    templates = build_templates(toy_bank, prior, basis, 1000)
    known = StarSums.of(basis, stars)
    assert shortened(known, templates)[1] is not templates
    missed = np.setdiff1d(np.arange(1030), np.linspace(0, 1029, 1024).astype(int))[0]
    variance[missed, np.arange(variance.shape[1]) % 50 > 0] = np.inf
    variance[missed] *= 1e-3
    assert shortened(StarSums.of(basis, stars), templates)[1] is templates


@pytest.mark.filterwarnings("error")
def test_a_star_without_pixels_is_told_apart(toy_bank, prior, toy_stars):
    """Nothing is known of it, and the others have what they have without it."""
    error = toy_stars.error.astype(float)
    error[2] = np.inf
    options = PosteriorOptions(n_template=2000, n_local=0)
    found = posterior_mean(toy_bank, prior, toy_stars.flux, error, options=options)
    rest = np.arange(len(error)) != 2
    alone = posterior_mean(toy_bank, prior, toy_stars.flux[rest], error[rest], options=options)
    assert np.isnan(found.mean[2]).all()
    np.testing.assert_allclose(found.mean[rest], alone.mean, rtol=1e-3)
    blank = toy_stars.flux.copy()
    blank[2, ::2], blank[2, 1::2] = np.nan, np.inf
    masked = posterior_mean(toy_bank, prior, blank, error, options=options)
    np.testing.assert_array_equal(masked.mean, found.mean)
    error[:] = np.inf
    with pytest.raises(DataError, match="every pixel of every star is masked"):
        posterior_mean(toy_bank, prior, toy_stars.flux, error, options=options)


def test_agrees_with_brute_force_over_a_grid(toy_bank, prior, toy_stars):
    """Four stars against 24 x 30 x 24 label nodes x 1000 amplitudes.

    Both share the variance; tolerance 4 standard errors of 20,000 templates, and the grid's
    own step (a fifteenth of a posterior width or less).
    """
    rows = np.array([0, 3, 5, 8])
    flux = toy_stars.flux[rows]
    conditions = toy_stars.draws.conditions[rows]
    variance = variance_of(toy_bank.noise, toy_stars.flux_model[rows], conditions)
    axes = [
        np.linspace(*prior.ranges[name], 2 * n + 1)[1::2]
        for name, n in (("teff", 24), ("logg", 30), ("m_h", 24))
    ]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    spectra = interpolate(toy_bank, nodes, np.full(len(nodes), 21.5)).astype(float)
    limits = amplitude_limits(prior, "free", None, 1)[0]

    found = posterior_mean(
        toy_bank, prior, flux, np.sqrt(variance), options=PosteriorOptions(n_template=20_000)
    )

    for i in range(len(rows)):
        mean, var, _ = _dense_star(flux[i], variance[i], spectra, nodes, limits)
        error = 4.0 * np.sqrt(var / found.ess[i]) + 0.02 * np.sqrt(var)
        assert np.all(np.abs(found.mean[i] - mean) < error)
        np.testing.assert_allclose(found.var[i], var, rtol=4.0 * math.sqrt(2.0 / found.ess[i]))


def _dense_star(flux, variance, spectra, nodes, limits):
    cross = spectra @ (flux / variance)
    square = spectra**2 @ (1.0 / variance)
    amplitude = np.exp(np.linspace(math.log(limits[0]), math.log(limits[1]), 1000))
    log_weight = np.empty(len(nodes))
    for first in range(0, len(nodes), 2000):
        s1, s2 = cross[first : first + 2000, None], square[first : first + 2000, None]
        exponent = amplitude * s1 - 0.5 * amplitude**2 * s2
        peak = exponent.max(axis=1)
        log_weight[first : first + 2000] = peak + np.log(
            np.exp(exponent - peak[:, None]).sum(axis=1)
        )
    return moments_dense(log_weight, nodes)


def test_sums_over_pixels_equal_the_full_chi_square(toy_bank, prior, toy_stars):
    """The brute force above from S1 and S2 is the one from every residual."""
    variance = toy_stars.error[0].astype(float) ** 2
    labels = draw_stars(toy_bank, prior, 1, "val", np.arange(60)).labels
    spectra = interpolate(toy_bank, labels, np.full(60, 21.5)).astype(float)
    limits = amplitude_limits(prior, "free", None, 1)[0]
    flux = toy_stars.flux[0].astype(float)
    slow = posterior_on_grid(flux, variance, spectra, labels, *limits[:2], n_amplitude=1000)
    quick = _dense_star(flux, variance, spectra, labels, limits)
    np.testing.assert_allclose(quick[0], slow[0], rtol=1e-8)


@pytest.mark.parametrize("c", [0.1, 0.5, 2.0])
def test_linear_world_has_the_closed_form_error(linear_bank, linear_prior, c):
    """One label, uniform prior, linear spectra, constant noise: MMSE of a truncated normal.

    The noise is scaled so that CRLB / Var = c. Tolerance: 4 standard errors over 600 stars.
    """
    draws = draw_stars(linear_bank, linear_prior, 0, "test", np.arange(600))
    flux_model = interpolate(linear_bank, draws.labels, draws.mag).astype(float)
    slope = 0.1 * np.sin(0.3 * np.arange(60)) * 1e9 * 10 ** (-0.4 * 21.0)
    noise = math.sqrt(c * 16.0 / 12.0 * np.sum(slope**2))
    flux = flux_model + noise * np.random.default_rng(4).standard_normal(flux_model.shape)

    found = posterior_mean(
        linear_bank,
        linear_prior,
        flux,
        np.full(flux.shape, noise),
        amplitude=draws.mag,
        options=PosteriorOptions(n_template=6000, normalise="absolute"),
    )
    mean, var, _ = found.of("logg")

    expected = 16.0 / 12.0 * uniform_prior_mmse(c)
    error = (mean - draws.label("logg")) ** 2
    assert var.mean() == pytest.approx(expected, abs=4 * var.std() / math.sqrt(600))
    assert error.mean() == pytest.approx(expected, abs=4 * error.std() / math.sqrt(600))
    assert not found.local.any()


def test_stated_and_realised_errors_agree(toy_bank, prior, toy_stars):
    """Mean posterior variance and mean squared error differ by chance only (4 s.e.)."""
    found = posterior_of(toy_bank, prior, toy_stars, n_template=8000)
    apart = (found.mean - toy_stars.draws.labels) ** 2 - found.var
    z = apart.mean(axis=0) / (apart.std(axis=0) / math.sqrt(len(apart)))
    assert np.all(np.abs(z) < 4.0)


@pytest.fixture(scope="module")
def bright_stars(toy_bank, prior):
    draws = draw_stars(toy_bank, prior.with_ranges(mag=(18.0, 19.0)), 5, "test", np.arange(70))
    return observe(toy_bank, draws, error="smooth")


def test_redrawn_stars_agree_with_many_templates(toy_bank, prior, bright_stars):
    """Where 3,000 templates are too few, local draws give what 80,000 templates do.

    S/N near 40. Tolerance 4 standard errors of both samples, stars with 100 effective
    templates or more on the large side.
    """
    bright = prior.with_ranges(mag=(18.0, 19.0))
    few = posterior_of(toy_bank, bright, bright_stars, n_template=3000)
    many = posterior_of(toy_bank, bright, bright_stars, n_template=80_000, n_local=0)
    both = few.local & (many.ess > 100)
    assert both.sum() > 20
    assert not few.flagged[both].any()
    error = np.sqrt(many.var * (1.0 / many.ess + 1.0 / few.ess)[:, None])
    z = ((few.mean - many.mean) / error)[both]
    assert np.abs(z).max() < 5.0  # 4 for one star; 5 for the worst of hundreds
    assert np.sqrt(np.mean(z**2)) < 1.4
    np.testing.assert_allclose(few.var[both].mean(axis=0), many.var[both].mean(axis=0), rtol=0.1)


def test_without_local_draws_sparse_stars_are_flagged(toy_bank, prior, bright_stars):
    bright = prior.with_ranges(mag=(18.0, 19.0))
    found = posterior_of(toy_bank, bright, bright_stars, n_template=3000, n_local=0)
    np.testing.assert_array_equal(found.flagged, found.ess < 100)
    assert found.flagged.any()


def test_masked_pixels_say_nothing(toy_bank, prior, toy_stars):
    """An infinite error is a missing pixel, whatever flux is stored there."""
    error = toy_stars.error[:20].copy()
    error[:, 100:140] = np.inf
    flux = toy_stars.flux[:20].copy()
    options = PosteriorOptions(n_template=4000)
    clean = posterior_mean(toy_bank, prior, flux, error, options=options)
    flux[:, 100:140] = 1e3
    spoiled = posterior_mean(toy_bank, prior, flux, error, options=options)
    np.testing.assert_allclose(spoiled.mean, clean.mean, rtol=1e-6)


def test_a_star_does_not_depend_on_its_company(toy_bank, prior, toy_stars):
    """Order and company change a star's moments only through the basis: 1 % of σ."""
    options = PosteriorOptions(n_template=4000)
    flux, error = toy_stars.flux[:40], toy_stars.error[:40]
    forward = posterior_mean(toy_bank, prior, flux, error, options=options)
    backward = posterior_mean(toy_bank, prior, flux[::-1], error[::-1], options=options)
    sigma = np.sqrt(forward.var)
    assert np.all(np.abs(backward.mean[::-1] - forward.mean) < 0.01 * sigma)


def test_known_amplitude_never_loses(toy_bank, prior, toy_stars):
    """Knowing the noise-free median lowers the mean posterior variance."""
    free = posterior_of(toy_bank, prior, toy_stars, n_template=6000)
    known = posterior_mean(
        toy_bank,
        prior,
        toy_stars.flux,
        toy_stars.error,
        toy_stars.draws.conditions,
        np.median(toy_stars.flux_model, axis=1),
        PosteriorOptions(n_template=6000, normalise="known"),
    )
    assert known.of("logg")[1].mean() < free.of("logg")[1].mean()


def test_known_amplitude_must_be_given(toy_bank, prior, toy_stars):
    with pytest.raises(ConfigError, match="amplitude of every star"):
        posterior_of(toy_bank, prior, toy_stars, normalise="known")


def test_fixed_labels_stay_fixed(linear_bank, linear_prior):
    """A label whose prior has no width comes back as it is, with no variance."""
    draws = draw_stars(linear_bank, linear_prior, 0, "test", np.arange(5))
    batch = observe(linear_bank, draws)
    found = posterior_of(linear_bank, linear_prior, batch, n_template=2000)
    np.testing.assert_allclose(found.of("teff")[0], 5000.0)
    np.testing.assert_allclose(found.of("teff")[1], 0.0, atol=1e-6)


def test_a_proposal_that_rounding_made_singular_still_has_a_factor():
    """Sound ones keep their Cholesky factor to the bit, whatever stands beside them."""
    sound = np.array([[2.0, 0.5], [0.5, 1.0]])
    singular = np.outer([1.0, 3.0], [1.0, 3.0]) - 1e-13 * np.eye(2)
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(singular)
    first, second = _factors(np.stack([sound, singular]))
    np.testing.assert_array_equal(first, np.linalg.cholesky(sound))
    np.testing.assert_allclose(second @ second.T, singular, atol=1e-10)
    assert np.linalg.matrix_rank(second) == 2
