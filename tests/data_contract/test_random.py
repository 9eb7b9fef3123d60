"""Keyed random numbers: known answers, distribution, and dependence on the key alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.kernels.philox import philox_block
from starsmith.data_contract.quantities import SPLITS
from starsmith.data_contract.random import STREAMS, DrawKey, normals, stream_key, uniforms
from tests.reference import philox

WORDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0,) * 4, (0,) * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_published_known_answers(counter, key, answer):
    """The three test vectors of Random123 (Salmon et al. 2011); the last fixes word order."""
    block = philox_block(*(np.uint64(word) for word in (*counter, *key)))
    assert " ".join(f"{int(word):08x}" for word in block) == answer
    assert " ".join(f"{word:08x}" for word in philox.philox(counter, key)) == answer


@settings(max_examples=60, deadline=None)
@given(st.tuples(WORDS, WORDS, WORDS, WORDS), st.tuples(WORDS, WORDS))
def test_kernel_equals_integer_arithmetic(counter, key):
    """Bits are bits: exact, for any counter and key."""
    block = philox_block(*(np.uint64(word) for word in (*counter, *key)))
    assert tuple(int(word) for word in block) == philox.philox(counter, key)


def test_numbers_follow_the_counter_layout():
    """Counter (block, 0, index, split), key (seed, stream): uniforms are (word + 1/2) / 2^32."""
    drawn = uniforms(DrawKey(7, "val", np.array([3, 2**32 - 1])), "conditions", 6, sub=9)
    for row, index in zip(drawn, (3, 2**32 - 1), strict=True):
        twin = philox.words(7, stream_key("conditions", 9), SPLITS["val"], index, 6)
        np.testing.assert_array_equal(row, (np.array(twin) + 0.5) / 2**32)


def test_normals_equal_box_muller_from_libm():
    """Own log and sine: series to 1e-11, then float32 (2^-24), of numbers up to 6.7."""
    drawn = normals(DrawKey(1, "train", np.arange(40)), "noise", 101)
    twin = [
        philox.normals(1, stream_key("noise"), SPLITS["train"], index, 101) for index in range(40)
    ]
    np.testing.assert_allclose(drawn, twin, rtol=2**-23, atol=1e-7)


def test_normals_are_standard_normal():
    """First four moments within 4 standard errors of 2e6 numbers; no correlation of pairs."""
    drawn = normals(DrawKey(2, "train", np.arange(500)), "noise", 4000).astype(np.float64).ravel()
    n = drawn.size
    for power, (expected, variance) in {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}.items():
        assert abs(np.mean(drawn**power) - expected) < 4 * np.sqrt(variance / n)
    for lag in (1, 2, 3, 4):
        assert abs(np.mean(drawn[lag:] * drawn[:-lag])) < 4 / np.sqrt(n)
    # 1e-4 of honest generators fail
    assert stats.kstest(drawn[:200_000], "norm").pvalue > 1e-4


def test_tails_reach_as_far_as_they_should():
    """Counts beyond 3, 4 and 4.5 sigma are Poisson about their expectation (1e-4 each side)."""
    drawn = np.abs(normals(DrawKey(3, "test", np.arange(1000)), "noise", 4000))
    for limit in (3.0, 4.0, 4.5):
        expected = 2 * stats.norm.sf(limit) * drawn.size
        low, high = stats.poisson.ppf([1e-4, 1 - 1e-4], expected)
        assert low <= (drawn > limit).sum() <= high


def test_largest_normal_uses_all_32_bits():
    """The smallest uniform, half of 2^-32, lies 6.76 sigma out."""
    assert np.sqrt(-2 * np.log(0.5 / 2**32)) == pytest.approx(6.764, abs=1e-3)
    assert uniforms(DrawKey(0, "train", np.arange(100_000)), "labels", 4).min() > 0


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20),
    n=st.integers(1, 30),
    pick=st.randoms(use_true_random=False),
)
def test_a_number_depends_on_its_key_alone(rows, n, pick):
    """Any order, any company, any row length: a spectrum's numbers stay what they are."""
    together = normals(DrawKey(4, "train", np.array(rows)), "noise", 31)
    shuffled = list(range(len(rows)))
    pick.shuffle(shuffled)
    again = normals(DrawKey(4, "train", np.array(rows)[shuffled]), "noise", n)
    np.testing.assert_array_equal(again, together[shuffled, :n])


def test_streams_splits_seeds_and_epochs_are_independent():
    """Any change of key gives unrelated numbers: correlations within 4.5 standard errors."""
    keys = [
        (s, stream, split, e)
        for s in (0, 1)
        for stream in STREAMS
        for split in SPLITS
        for e in (0, 1)
    ]
    drawn = np.array(
        [
            normals(DrawKey(s, split, np.array([0])), stream, 4000, e)[0]
            for s, stream, split, e in keys
        ]
    )
    correlation = np.corrcoef(drawn) - np.eye(len(keys))
    # the largest of 3,486 correlations exceeds 5 in one of 500 honest generators
    assert np.abs(correlation).max() * np.sqrt(4000) < 5.0


def test_keys_out_of_range_are_refused():
    """A seed, index or epoch that would wrap around onto another key is an error."""
    with pytest.raises(ConfigError, match="--seed 4294967296"):
        uniforms(DrawKey(2**32, "train", np.array([0])), "labels", 1)
    with pytest.raises(ConfigError, match="indices"):
        uniforms(DrawKey(0, "train", np.array([2**32])), "labels", 1)
    with pytest.raises(ConfigError, match="indices"):
        uniforms(DrawKey(0, "train", np.array([-1])), "labels", 1)
    with pytest.raises(ValueError, match="realisation"):
        uniforms(DrawKey(0, "train", np.array([0])), "training", 1, sub=2**24)
    with pytest.raises(KeyError):
        uniforms(DrawKey(0, "train", np.array([0])), "luck", 1)
