"""Kernels written in vectors: what they give where a row is no whole number of vectors."""

from types import SimpleNamespace

import numpy as np
import pytest
from numba import TypingError, njit

from starsmith.data_contract.aligned import aligned_empty
from starsmith.data_contract.bank.row_sums import weighted_spectra
from starsmith.data_contract.kernels.elementary import exponential, logarithm
from starsmith.data_contract.kernels.flags import FLAGS, count_flags, first_flag, flags_up_to
from starsmith.data_contract.kernels.fused import add_sixteen
from starsmith.data_contract.kernels.rounding import bits_used
from starsmith.data_contract.kernels.spline import combine_rows


@njit
def _flags(keys, start, limit):
    word = flags_up_to(keys, start, np.int32(limit))
    return word, count_flags(word), first_flag(word)


def test_flags_are_comparisons():
    keys = np.random.default_rng(0).integers(-9, 9, 3 + FLAGS).astype(np.int32)
    for limit in (-10, -3, 0, 9):
        word, n, first = _flags(keys, 3, limit)
        there = keys[3:] <= limit
        assert [bool(int(word) >> k & 1) for k in range(FLAGS)] == there.tolist()
        assert n == there.sum()
        assert first == (there.argmax() if there.any() else FLAGS)
    with pytest.raises(TypingError, match="contiguous"):
        _flags(np.repeat(keys, 2)[::2], 3, 0)


@njit
def _add_sixteen(sums, values):
    add_sixteen(sums, values)


@pytest.mark.parametrize("n", [0, 15, 16, 47, 64])
def test_sixteen_sums_grow_in_turn(n):
    rng = np.random.default_rng(3)
    sums, values = rng.normal(size=16), rng.normal(size=n)
    expected = sums.copy()
    for row in values[: n // 16 * 16].reshape(-1, 16):
        expected += row
    _add_sixteen(sums, values)
    np.testing.assert_array_equal(sums, expected)
    with pytest.raises(TypingError, match="contiguous"):
        _add_sixteen(sums, np.ones(32)[::2])


@pytest.mark.parametrize("n_wave", [1, 15, 16, 37, 1030])
def test_weighted_sums_of_rows_of_any_length(n_wave):
    """To rounding those of float64, and the same bits whatever the rows' place in memory.

    Spectra 2 and 1 share all rows and 4 and 0 half of them: whether a row is read once for two
    spectra changes no bit either.
    """
    rng = np.random.default_rng(1)
    coef = rng.normal(size=(20, n_wave)).astype(np.float32)
    rows = rng.integers(0, 20, (5, 16)).astype(np.int32)
    rows[1], rows[0, 8:] = rows[2], rows[4, 8:]
    weights = rng.normal(size=(5, 16)).astype(np.float32)
    order = np.array([4, 0, 2, 1, 3])
    found = aligned_empty((5, n_wave), np.float32)
    combine_rows(found, coef, rows, weights, order, 64)
    expected = np.einsum("ns,nsw->nw", weights.astype(np.float64), coef[rows])
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6)
    shifted = np.empty(coef.size + 1, np.float32)[1:].reshape(coef.shape)
    shifted[:] = coef
    again = np.empty_like(found)
    combine_rows(again, shifted, rows, weights, np.arange(5), 1)
    np.testing.assert_array_equal(again, found)


def test_other_layouts_do_not_compile_and_are_copied():
    """Columns that lie together, as those of a transposed array do, give the same sums."""
    rng = np.random.default_rng(2)
    coef = rng.normal(size=(20, 64)).astype(np.float32)
    rows = rng.integers(0, 20, (5, 16)).astype(np.int32)
    weights = rng.normal(size=(5, 16)).astype(np.float32)
    turned = np.asfortranarray(coef)
    with pytest.raises(TypingError, match="contiguous"):
        combine_rows(aligned_empty((5, 64), np.float32), turned, rows, weights, np.arange(5), 2)
    plain, other = (
        weighted_spectra(SimpleNamespace(coef=c, basis=None), rows, weights) for c in (coef, turned)
    )
    np.testing.assert_array_equal(other, plain)


def test_largest_number_has_no_sign():
    numbers = np.array([1.0, -3e38, 2.5], np.float32)
    used, largest = bits_used(numbers.view(np.uint32))
    assert used == np.bitwise_or.reduce(numbers.view(np.uint32))
    assert largest == np.abs(numbers).max().view(np.uint32)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 5)])
def test_aligned_arrays_begin_with_a_line_of_the_cache(shape):
    for kind in (np.float32, np.float64, "U3"):
        array = aligned_empty(shape, kind)
        assert array.shape == shape
        assert array.dtype == np.dtype(kind)
        assert array.ctypes.data % 64 == 0 or not array.size


@njit
def _elementary(x, exponentials, logarithms):
    for j in range(x.size):
        exponentials[j] = exponential(x[j])
        logarithms[j] = logarithm(exponentials[j])


def test_elementary_functions_are_those_of_numpy():
    """The exponential to 3e-15 of it, the logarithm to 3e-13 or one rounding of a large one."""
    x = np.linspace(-700.0, 700.0, 200_001)
    exponentials, logarithms = np.empty((2, x.size))
    _elementary(x, exponentials, logarithms)
    np.testing.assert_allclose(exponentials, np.exp(x), rtol=3e-15)
    np.testing.assert_allclose(logarithms, np.log(exponentials), rtol=1e-15, atol=3e-13)
    assert exponentials[x == 0.0] == 1.0
