"""What holds for any small problem: units, order, more data, more unknowns, priors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starsmith.fisher.checks.selftest import uniform_prior_mmse
from starsmith.fisher.information.bounds import van_trees
from starsmith.fisher.information.crlb import crlb, crlb_batch, crlb_with_priors

problems = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(12, 60), st.integers(0, 4)
)
quick = settings(max_examples=40, deadline=None)


def world(problem):
    """Random Jacobian (n_wave, n_column), variance (n_wave,) and target."""
    seed, n_column, n_wave, target = problem
    rng = np.random.default_rng(seed)
    jacobian = rng.normal(size=(n_wave, n_column)) * 10.0 ** rng.uniform(-3, 3, n_column)
    return rng, jacobian, 10.0 ** rng.uniform(-2, 2, n_wave), target % n_column


@quick
@given(problems)
def test_units_and_order_of_columns_do_not_matter(problem):
    """σ of the target scales with its own unit; ρ with nothing. 1e-8: condition 1e4 at most."""
    rng, jacobian, variance, target = world(problem)
    units = 10.0 ** rng.uniform(-4, 4, jacobian.shape[1])
    order = rng.permutation(jacobian.shape[1])
    plain = crlb(jacobian, variance, target)
    other = crlb((jacobian * units)[:, order], variance, int(np.flatnonzero(order == target)[0]))
    assert other.sigma * units[target] == pytest.approx(plain.sigma, rel=1e-8)
    assert other.rho == pytest.approx(plain.rho, rel=1e-8)


@quick
@given(problems)
def test_more_pixels_help_and_more_unknowns_do_not(problem):
    _, jacobian, variance, target = world(problem)
    whole = crlb(jacobian, variance, target)
    some = crlb(jacobian[::2], variance[::2], target)
    fewer = [k for k in range(jacobian.shape[1]) if k != target][:-1]
    easier = crlb(jacobian, variance, target, nuisances=fewer)
    assert some.sigma2 >= whole.sigma2 * (1 - 1e-9)
    assert whole.sigma2 >= easier.sigma2 * (1 - 1e-9) >= whole.fixed * (1 - 1e-8)


@quick
@given(problems, st.floats(0.01, 100.0))
def test_noise_scales_the_bound(problem, factor):
    _, jacobian, variance, target = world(problem)
    plain = crlb(jacobian, variance, target)
    noisy = crlb(jacobian, factor * variance, target)
    assert noisy.sigma2 == pytest.approx(factor * plain.sigma2, rel=1e-9)
    assert noisy.rho == pytest.approx(plain.rho, rel=1e-9)


@quick
@given(problems)
def test_priors_only_narrow_and_batch_agrees_with_rows(problem):
    """A prior is one more row; the batch, by Cholesky, agrees with QR."""
    rng, jacobian, variance, target = world(problem)
    precision = np.where(rng.random(jacobian.shape[1]) < 0.5, 0.0, 1.0) * np.sum(
        jacobian**2 / variance[:, None], axis=0
    )
    priors = {int(k): precision[k] ** -0.5 for k in np.flatnonzero(precision)}
    single = crlb(jacobian, variance, target, priors=priors)
    batch = crlb_with_priors(jacobian.T[None], variance[None], target, precision)
    free = crlb_batch(jacobian.T[None], variance[None], target)
    assert batch.sigma2[0] == pytest.approx(single.sigma2, rel=1e-7)
    assert batch.sigma2[0] <= free.sigma2[0] * (1 + 1e-7)


@quick
@given(problems)
def test_shared_noise_is_a_nuisance_with_a_unit_prior(problem):
    """Marginalising U u, u ~ N(0, 1), against the dense covariance v + U U' (Woodbury)."""
    rng, jacobian, variance, target = world(problem)
    shared = rng.normal(size=(len(variance), 2)) * np.sqrt(np.median(variance))
    n = jacobian.shape[1]
    found = crlb(np.column_stack([jacobian, shared]), variance, target, priors={n: 1.0, n + 1: 1.0})
    chol = np.linalg.cholesky(np.diag(variance) + shared @ shared.T)
    whitened = np.linalg.solve(chol, jacobian)
    expected = crlb(whitened, np.ones(len(variance)), target)
    assert found.sigma2 == pytest.approx(expected.sigma2, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.005, 20.0))
def test_van_trees_never_exceeds_the_exact_error(c):
    """One label, uniform prior, CRLB / Var = c: the bound stays below the closed form."""
    half = np.sqrt(3.0)
    label = half * (2.0 * (np.arange(4000) + 0.5) / 4000 - 1.0)[:, None]
    bound = van_trees(np.full((4000, 1, 1), 1.0 / c), label, np.array([-half]), np.array([half]), 0)
    assert bound <= uniform_prior_mmse(c) * (1 + 1e-4)  # of the sum over 4,000 draws
