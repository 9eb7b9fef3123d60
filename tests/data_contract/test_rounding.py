"""Rounding of mantissas: bounded, unbiased, and done once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starsmith.data_contract.dataset.split_columns import is_rounded, rounded

NUMBERS = st.lists(
    st.floats(2.0**-100, 2.0**100, width=32).flatmap(lambda x: st.sampled_from([x, -x])),
    min_size=1,
    max_size=50,
)


@settings(max_examples=100, deadline=None)
@given(NUMBERS, st.integers(1, 22))
def test_relative_error_is_bounded(numbers, keep_bits):
    """At most 2^-(keep_bits + 1), the declared figure."""
    spectra = np.array([numbers], dtype=np.float32)
    kept = rounded(spectra, keep_bits)
    error = np.abs(kept.astype(np.float64) - spectra) / np.abs(spectra.astype(np.float64))
    assert error.max() <= 2.0 ** -(keep_bits + 1)
    assert is_rounded(kept, keep_bits)


@settings(max_examples=50, deadline=None)
@given(NUMBERS, st.integers(1, 22))
def test_rounding_twice_changes_nothing(numbers, keep_bits):
    """Stored spectra pass through unchanged and uncopied."""
    once = rounded(np.array([numbers], dtype=np.float32), keep_bits)
    assert rounded(once, keep_bits) is once


def test_ties_go_to_even():
    """Halfway cases alternate, so sums are not biased (IEEE 754 roundTiesToEven)."""
    step = 2.0**-3  # two bits kept: 1, 1.25, 1.5, 1.75, 2
    halfway = np.array([[1 + step, 1 + 3 * step, 1 + 5 * step, 1 + 7 * step]], dtype=np.float32)
    np.testing.assert_array_equal(rounded(halfway, 2), [[1.0, 1.5, 1.5, 2.0]])


def test_rounding_does_not_shift_the_mean():
    """Mean error of 1e6 uniform numbers within 4 standard errors of zero."""
    spectra = np.random.default_rng(0).uniform(1, 2, (1, 1_000_000)).astype(np.float32)
    error = rounded(spectra, 8).astype(np.float64) - spectra
    width = 2.0**-8
    assert abs(error.mean()) < 4 * width / np.sqrt(12 * error.size)
    assert error.std() == pytest.approx(width / np.sqrt(12), rel=0.01)
