"""Every closed form holds, by the same code that users run."""

import pytest

from starsmith.fisher.checks.selftest import run_selftest, uniform_prior_mmse


@pytest.fixture(scope="module")
def checks():
    return run_selftest()


def test_all_closed_forms_hold(checks):
    """T1 to T9; each check carries its own tolerance."""
    assert [f"{name}: {detail}" for name, ok, detail in checks if not ok] == []


def test_every_group_is_there(checks):
    """Nine groups; none can be lost silently."""
    assert {name.split()[0] for name, _, _ in checks} == {f"T{k}" for k in range(1, 10)}


@pytest.mark.parametrize(("c", "limit"), [(1e-3, 1e-3), (1e3, 1.0)])
def test_uniform_prior_error_has_the_right_limits(c, limit):
    """Little noise: the error is the noise's; much noise: the prior's own variance.

    Next order: the edges change the first by about sqrt(c), the second by 1 / c.
    """
    assert uniform_prior_mmse(c) == pytest.approx(limit, rel=3e-2)
