"""Counting who is in both: the same answer from arrays, ranges of keys and files."""

import tracemalloc

import numpy as np
import pytest

from starsmith.data_contract.checks import identity_sets
from starsmith.data_contract.checks.identity_sets import (
    KeyRange,
    Spilled,
    kept_or_spilled,
    n_shared,
)


def blocks(values, size=1000):
    return (values[k : k + size] for k in range(0, len(values), size))


@pytest.fixture
def prints():
    """Fingerprints of two splits that have 700 spectra in common, one of them twice."""
    drawn = np.random.default_rng(0).integers(0, 2**64, 9001, dtype=np.uint64)
    return np.append(drawn[:5000], drawn[4999]), drawn[4301:]


def test_files_count_what_arrays_count(prints):
    """Whichever of the two is in files; rows of the first are counted, those twice as two."""
    one, other = prints
    expected = int(np.isin(one, other).sum())
    assert expected == 700
    spilled = [Spilled(blocks(values)) for values in prints]
    assert [len(found) for found in spilled] == [one.size, other.size]
    for first in (one, spilled[0]):
        for second in (other, spilled[1]):
            assert n_shared(first, second) == expected


def test_ranges_of_keys_count_without_an_array():
    """A billion keys are two numbers; a table's keys are counted within them."""
    many = KeyRange(2**32, 10**9)
    assert n_shared(many, KeyRange(2**32 + 10**9 - 5, 10**9)) == 5
    assert n_shared(many, KeyRange(0, 100)) == 0
    table = np.array([5, 2**32, 2**32 + 7, 2**32 + 10**9])
    assert n_shared(many, table) == n_shared(table, many) == 2


def test_memory_does_not_grow_with_the_number_of_spectra(monkeypatch):
    """Peaks of 2e5 and of 2e6 fingerprints: a bucket and a block more, at most."""
    monkeypatch.setattr(identity_sets, "KEPT", 1000)
    rng = np.random.default_rng(0)
    peaks = []
    for n_block in (10, 100):
        tracemalloc.start()
        both = [
            kept_or_spilled(
                (rng.integers(0, 2**64, 20_000, dtype=np.uint64) for _ in range(n_block)),
                20_000 * n_block,
            )
            for _ in range(2)
        ]
        assert n_shared(*both) == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] < 4e6
    assert not isinstance(kept_or_spilled(blocks(np.arange(9, dtype=np.uint64)), 9), Spilled)
