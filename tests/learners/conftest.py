"""Fixtures of the learners' tests."""

import pytest
import torch

from starsmith.learners.recipe import NetworkRecipe
from tests.learners.worlds import lines, make_data, uniform_logg


@pytest.fixture(scope="session")
def line_data():
    """1-D world of saturating lines at S/N 5 per pixel."""
    return make_data(lines, uniform_logg, 0.2, (1500, 400, 2000))


@pytest.fixture
def tiny_recipe():
    """Few epochs of a network of a few thousand weights."""
    return NetworkRecipe(
        learning_rate=3e-3,
        batch_size=100,
        epochs=3,
        ema=0.9,
        grad_clip=1.0,
        options={"patch": 16, "dim": 16, "depth": 1, "n_head": 2, "dropout": 0.1},
    )


@pytest.fixture(autouse=True)
def one_thread():
    """Results on a CPU are exact for one number of threads; small networks need no more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
