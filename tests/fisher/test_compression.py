"""Compressed spectra: what the projection loses, and stars drawn without a pixel."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.noise.view import NoiseModel
from starsmith.fisher.kernels.cholesky import factor_upper
from starsmith.fisher.posterior.compressed_draws import build_noise, draw_compressed
from starsmith.fisher.posterior.compression import build_compression, compression_loss
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import interpolate, prefilter
from tests.conftest import make_toy_bank
from tests.reference.compressed_draws import project_plainly

N_CONDITION = 64
ROWS = range(5000, 8000)
NOISES = {
    "plain": NoiseModel(),
    "correlated": NoiseModel(sky_floor="correlated", flux_calibration=0.02),
}


def make_arms():
    """The toy detector cut in two arms, the second of which reads out louder."""
    bank = make_toy_bank()
    per_arm = {
        name: np.full(2, getattr(bank.noise, name))
        for name in ("dark_rate", "stray_fraction", "floor_fraction", "variance_factor")
    }
    per_arm |= {"read_variance": np.array([80.0, 800.0]), "sample_factor": np.array([1.0, 1.3])}
    edge = np.array([0.0, 120.0, 300.0])
    noise = replace(bank.noise, arm_edge=edge, arm_names=("blue", "red"), **per_arm)
    return replace(bank, noise=noise)


def make_five_labels():
    """A bank whose spectra also know [alpha/M] and [C/M]: two more Gaussian lines."""
    bank = make_toy_bank()
    more = (np.array([-0.25, 0.25, 0.5]), np.array([-0.5, 0.0, 0.5]))
    position = np.arange(bank.wave.size)
    shapes = [np.exp(-0.5 * ((position - at) / 6.0) ** 2) for at in (70, 230)]
    a_m, c_m = (grid.ravel()[:, None] for grid in np.meshgrid(*more, indexing="ij"))
    factor = 1.0 - 0.2 * (a_m + 0.3) * shapes[0] - 0.15 * (c_m + 0.6) * shapes[1]
    nodes = (bank.coef[:, None] * factor).reshape(-1, 3, 3, bank.wave.size)
    coef = np.moveaxis(prefilter(np.moveaxis(nodes, 0, 2), more), 2, 0)
    return replace(
        bank,
        label_names=(*bank.label_names, "a_m", "c_m"),
        axes=(*bank.axes, *more),
        coef=coef.reshape(-1, bank.wave.size).astype(np.float32),
        band_coef=np.repeat(bank.band_coef, 9),
        filled=np.zeros(9 * len(bank.coef), dtype=bool),
    )


@pytest.fixture(scope="module")
def compression(toy_bank):
    return build_compression(toy_bank, Prior.default(), 12)


def test_upper_factors_are_numpys():
    matrices = np.random.default_rng(0).normal(size=(5, 9, 20)).astype(np.float32)
    matrices = matrices @ matrices.transpose(0, 2, 1)
    expected = np.linalg.cholesky(matrices.astype(np.float64)).transpose(0, 2, 1)
    factor_upper(matrices)
    np.testing.assert_allclose(matrices, expected, atol=3e-5)  # float32, condition number 50


def test_templates_in_the_basis_are_projected_spectra(toy_bank, compression):
    """Interpolation is linear in flux, so it commutes with the projection."""
    labels = np.array([[4100.0, 2.2, -1.1], [5900.0, 4.7, 0.3]])
    mag = np.array([21.0, 22.5])
    spectra = interpolate(toy_bank, labels, mag).astype(np.float64)
    found = compression.templates(labels, mag)
    # float32 node coefficients: 1e-6 of the largest
    np.testing.assert_allclose(found, compression.project(spectra), atol=1e-5 * found.max())


def test_a_dozen_modes_keep_the_posterior_and_two_do_not(toy_bank, compression):
    prior = Prior.default()
    kept = compression_loss(toy_bank, prior, compression, n_star=30)
    few = compression_loss(toy_bank, prior, build_compression(toy_bank, prior, 2), n_star=30)
    assert (kept > 1 - 1e-9).all()
    assert kept.mean() < 1.01  # what is asked of a compression
    assert few.mean() > 1.2


def test_scores_at_one_star_lose_more_than_components(toy_bank, compression):
    """MOPED keeps everything at its fiducial star alone; toy spectra bend away from there."""
    prior = Prior.default()
    moped = build_compression(toy_bank, prior, method="moped")
    assert len(moped.modes) == 4  # three labels and the amplitude
    loss = compression_loss(toy_bank, prior, moped, n_star=30).mean()
    assert loss > compression_loss(toy_bank, prior, compression, n_star=30).mean()


@pytest.mark.parametrize("name", NOISES)
def test_drawn_coefficients_are_those_of_projected_spectra(toy_bank, compression, name):
    """Whitened with the covariance of the draws, what full spectra give is standard normal."""
    prior, model = Prior.default(), NOISES[name]
    noise = build_noise(toy_bank, prior, compression, model, n_condition=N_CONDITION)
    drawn = draw_compressed(toy_bank, prior, compression, noise, ROWS)
    plain, level = project_plainly(toy_bank, prior, compression, ROWS, N_CONDITION, noise=model)
    chosen = (2**31 + np.arange(ROWS.start, ROWS.stop)) % N_CONDITION
    own, shared, mean = noise.covariance(drawn.noiseless, noise.conditions.take(chosen))
    covariance = own + shared.transpose(0, 2, 1) @ shared
    factor = np.linalg.cholesky(covariance[:, :-1, :-1].astype(np.float64))
    for seen in (plain, drawn.coefficients[:, 0]):
        white = np.linalg.solve(factor, (seen - drawn.noiseless)[:, :, None])[:, :, 0]
        assert kstest(white.ravel(), "norm").pvalue > 1e-3
        gram = white.T @ white / len(white)
        # 4 standard errors of the largest of 78 entries: sqrt(2 / 3000) each on the diagonal
        assert np.abs(gram - np.eye(len(gram))).max() < 4 * np.sqrt(2 / len(white))
    assert abs(np.mean(level / mean) - 1) < 2e-3  # 300 pixels: negative ones count as dark
    spread = [np.std(one / mean) for one in (level, drawn.level[:, 0])]
    assert spread[0] == pytest.approx(spread[1], rel=0.1)  # 4 / sqrt(2 x 3000), and what bends


@pytest.mark.parametrize("make", [make_arms, make_five_labels])
def test_several_arms_and_five_labels_are_drawn_alike(make):
    bank = make()
    prior = Prior.default().with_ranges(
        **({"a_m": (-0.25, 0.5), "c_m": (-0.5, 0.5)} if "a_m" in bank.label_names else {})
    )
    projection = build_compression(bank, prior, 16)
    assert compression_loss(bank, prior, projection, n_star=6).mean() < 1.02
    noise = build_noise(bank, prior, projection, n_condition=16)
    rows = range(0, 400)
    drawn = draw_compressed(bank, prior, projection, noise, rows)
    plain, _ = project_plainly(bank, prior, projection, rows, 16)
    chosen = np.arange(2**31, 2**31 + 400) % 16
    covariance, _, _ = noise.covariance(drawn.noiseless, noise.conditions.take(chosen))
    factor = np.linalg.cholesky(covariance[:, :-1, :-1].astype(np.float64))
    for seen in (plain, drawn.coefficients[:, 0]):
        white = np.linalg.solve(factor, (seen - drawn.noiseless)[:, :, None])[:, :, 0]
        assert kstest(white.ravel(), "norm").pvalue > 1e-3


def test_draws_do_not_depend_on_the_block(toy_bank, compression):
    prior = Prior.default()
    noise = build_noise(toy_bank, prior, compression, n_condition=N_CONDITION)
    every = draw_compressed(toy_bank, prior, compression, noise, range(0, 300), n_noise=2)
    some = draw_compressed(toy_bank, prior, compression, noise, range(250, 300), n_noise=2)
    np.testing.assert_allclose(some.coefficients, every.coefficients[250:], rtol=1e-5)
    assert (some.labels == every.labels[250:]).all()


def test_an_unknown_method_is_refused(toy_bank):
    with pytest.raises(ConfigError, match="pca, moped"):
        build_compression(toy_bank, Prior.default(), method="wavelets")
