"""Linear models around a guess: steps that find bright stars, and the width they state."""

import numpy as np
import pytest

from starsmith.fisher.posterior.compressed_draws import build_noise, draw_compressed
from starsmith.fisher.posterior.compression import build_compression
from starsmith.fisher.posterior.local_model import LocalModel
from starsmith.simulator.prior import Prior

PRIOR = Prior.default().with_ranges(mag=(15.0, 16.0))


@pytest.fixture(scope="module")
def measured(toy_bank):
    """A local model, and stars it has not seen with places of their labels."""
    compression = build_compression(toy_bank, PRIOR, 12)
    noise = build_noise(toy_bank, PRIOR, compression, n_condition=64)
    draw = (toy_bank, PRIOR, compression, noise)
    local = LocalModel.measure(dict(PRIOR.ranges), *draw[2:], draw_compressed(*draw, range(600)))
    stars = draw_compressed(*draw, range(5000, 6000))
    return local, stars, (stars.labels - local.low) / (local.high - local.low)


def test_two_steps_from_a_wrong_guess_find_a_star_without_noise(measured):
    local, stars, truth = measured
    quiet = stars.level[:, 0] * 1e-6
    inside = ((truth > 0.2) & (truth < 0.8)).all(axis=1)
    place = np.clip(truth + 0.05, 0.0, 1.0)
    before = np.abs(place - truth)[inside].max()
    for _ in range(3):
        place = local.fit(stars.noiseless, quiet, place).place
    assert np.abs(place - truth)[inside].max() < 0.05 * before


def test_the_stated_width_is_that_of_the_scatter(measured):
    """Root times what a step is wrong by is standard normal, of bright stars off the ends."""
    local, stars, truth = measured
    seen, level = stars.coefficients[:, 0], stars.level[:, 0]
    fit = local.fit(seen, level, local.fit(seen, level, truth).place)
    sharp = np.linalg.norm(np.linalg.inv(fit.root), axis=2).max(axis=1) < 0.1
    white = np.einsum("nij,nj->ni", fit.root, fit.place - truth)[sharp]
    assert len(white) > 200
    np.testing.assert_allclose(white.std(axis=0), 1.0, atol=0.12)
    assert abs(fit.misfit[sharp].mean() - (12 - 4) / 12) < 0.1  # three labels and an amplitude


def test_labels_left_out_are_integrated_out(measured):
    local, stars, truth = measured
    whole = local.fit(stars.coefficients[:, 0], stars.level[:, 0], truth)
    some = whole.marginal([2, 0])
    np.testing.assert_array_equal(some.place, whole.place[:, [2, 0]])
    full, few = (np.linalg.inv(x.root.swapaxes(1, 2) @ x.root) for x in (whole, some))
    np.testing.assert_allclose(few, full[:, [2, 0]][:, :, [2, 0]], rtol=1e-6)
    assert (np.triu(some.root, 1) == 0.0).all()
