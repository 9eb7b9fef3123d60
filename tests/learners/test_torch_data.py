"""Torch loaders over a split: same spectra in the parent and in workers of every kind."""

import multiprocessing

import numpy as np
import pytest
from torch.utils.data import DataLoader

from starsmith.data_contract import open_dataset
from starsmith.learners.torch_data import SpectrumDataset, SpectrumStream
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.prior import Prior


@pytest.fixture(scope="module")
def split(toy_bank, tmp_path_factory):
    """A small train split that this process has read already: its kernels have run."""
    path = tmp_path_factory.mktemp("torch") / "data.zarr"
    prior = Prior.default().with_ranges(seeing=(0.6, 1.4), zenith_angle=(0.0, 40.0))
    write_dataset(toy_bank, prior, 60, path, seed=2)
    split = open_dataset(path).split("train")
    split.observe(slice(0, 1))
    return split


METHODS = [  # fork is quick; the other two start Python anew
    pytest.param(method, marks=[] if method == "fork" else [pytest.mark.slow])
    for method in multiprocessing.get_all_start_methods()
]


@pytest.mark.parametrize("method", METHODS)
def test_workers_read_what_the_parent_reads(split, method):
    loader = DataLoader(
        SpectrumDataset(split),
        batch_size=16,
        num_workers=2,
        multiprocessing_context=method,
    )
    batches = list(loader)
    seen = split.observe()
    for name in ("flux", "error"):
        together = np.concatenate([batch[name].numpy() for batch in batches])
        np.testing.assert_array_equal(together, getattr(seen, name))
    labels = np.concatenate([batch["labels"].numpy() for batch in batches])
    np.testing.assert_allclose(labels, split.labels, rtol=1e-6)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_reads_each_spectrum_once(split, workers):
    context = "fork" if workers else None
    stream = SpectrumStream(split, size=7, seed=3)
    loader = DataLoader(
        stream, batch_size=None, num_workers=workers, multiprocessing_context=context
    )
    flux = np.concatenate([batch["flux"].numpy() for batch in loader])
    expected = split.observe().flux
    np.testing.assert_array_equal(np.sort(flux[:, 0]), np.sort(expected[:, 0]))
    assert not np.array_equal(flux, expected)


def test_an_epoch_has_its_own_noise_and_order(split):
    stream = SpectrumStream(split, size=len(split), fresh_noise=True)
    first = next(iter(stream))["flux"].numpy()
    stream.set_epoch(1)
    second = next(iter(stream))["flux"].numpy()
    assert not np.isin(second[:, 0], first[:, 0]).any()
    again = SpectrumDataset(split, epoch=1)
    assert np.isin(second[:, 0], [again[k]["flux"][0].item() for k in range(len(split))]).all()
