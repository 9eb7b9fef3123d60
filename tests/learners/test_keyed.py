"""Random numbers drawn on a device are those of the data contract."""

import numpy as np
import pytest
import torch

from starsmith.data_contract.quantities import SPLITS
from starsmith.data_contract.random import DrawKey, normals, stream_key, uniforms
from starsmith.learners.online.keyed import (
    keyed_normals,
    keyed_uniforms,
    philox_words,
    words_to_normals,
)

KEYS = [(0, "training", "train", 0), (2**32 - 1, "training_noise", "val", 2**24 - 1)]
INDEX = np.array([0, 1, 77, 2**31, 2**32 - 1])


@pytest.mark.parametrize(("seed", "stream", "split", "sub"), KEYS)
def test_torch_philox_gives_the_same_words(seed, stream, split, sub):
    """Signed 64-bit products, masked, are the unsigned ones: every word, the largest included."""
    words = philox_words((seed, stream_key(stream, sub)), torch.from_numpy(INDEX), SPLITS[split], 3)

    found = (torch.stack(words, dim=2).flatten(1)[:, :10].double() + 0.5) / 2**32

    np.testing.assert_array_equal(
        found.numpy(), uniforms(DrawKey(seed, split, INDEX), stream, 10, sub)
    )


@pytest.mark.parametrize(("seed", "stream", "split", "sub"), KEYS)
def test_torch_normals_agree_to_rounding(seed, stream, split, sub):
    """The logarithm and sine of torch and of the kernel differ below float32 rounding."""
    words = philox_words(
        (seed, stream_key(stream, sub)), torch.from_numpy(INDEX), SPLITS[split], 251
    )

    found = words_to_normals(words, 1001)

    # up to 6.7 sigma, where float32 is exact to 2.4e-7
    np.testing.assert_allclose(
        found.numpy(), normals(DrawKey(seed, split, INDEX), stream, 1001, sub), rtol=0, atol=1e-6
    )


def test_on_the_cpu_they_are_the_same_bits():
    """There the compiled kernels are called."""
    index = torch.from_numpy(INDEX)

    np.testing.assert_array_equal(
        keyed_normals(5, "training", "train", index, 9, 3).numpy(),
        normals(DrawKey(5, "train", INDEX), "training", 9, 3),
    )
    np.testing.assert_array_equal(
        keyed_uniforms(5, "training_labels", "train", index, 9).numpy(),
        uniforms(DrawKey(5, "train", INDEX), "training_labels", 9),
    )
