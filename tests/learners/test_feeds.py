"""Batches: the same spectra whatever they come from, each as often as it should be."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.learners.online.online_view import open_online
from starsmith.learners.preprocess import measure_statistics
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.training import feeds
from starsmith.learners.training.batch_order import Order, Share
from starsmith.learners.training.feeds import (
    OnlineFeed,
    ResidentFeed,
    StreamFeed,
    device_median,
    open_feed,
)
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.prior import Prior

CPU = torch.device("cpu")
PRIOR = Prior.default().with_ranges(mag=(19.0, 21.0))
RECIPE = NetworkRecipe(batch_size=32, epochs=3, epoch_size=150)
PLENTY = 2**30


@pytest.fixture(scope="module")
def view(toy_bank, tmp_path_factory):
    """Training view of a real data set of toy stars."""
    out = tmp_path_factory.mktemp("data") / "toy.zarr"
    write_dataset(toy_bank, PRIOR, {"train": 150, "val": 20, "test": 10}, out, seed=5)
    return open_dataset(out).training()


ALONE = Share()


def opened(view, recipe=RECIPE, share=ALONE, memory=PLENTY):
    statistics = measure_statistics(view, ("logg", "m_h"))
    return open_feed(view, ("logg", "m_h"), statistics, recipe, share, CPU, memory)


def test_resident_and_streamed_spectra_are_the_same_bits(view):
    """Noise drawn at every step is that of the file's fresh draw, standardised alike."""
    resident, stream = opened(view), opened(view, memory=0)

    assert isinstance(resident, ResidentFeed)
    assert isinstance(stream, StreamFeed)
    for epoch in (1, 2):
        pairs = list(zip(resident.batches(epoch), stream.batches(epoch), strict=True))
        assert len(pairs) == resident.n_batch == 4  # 150 spectra hold four whole batches
        for own, other in pairs:
            assert torch.equal(own.flux, other.flux)
            assert torch.equal(own.truth, other.truth)
            assert own.name == other.name


def test_noise_is_fresh_every_epoch_and_the_same_when_asked_again(view):
    """What resuming relies on."""
    feed = opened(view)

    first, again, second = (next(feed.batches(epoch)).flux for epoch in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_noise_the_device_cannot_draw_is_streamed(view, monkeypatch):
    """Noiseless flux + sigma x normals must be what the split shows, or the file is read."""
    clean = view.train.observe

    def other(rows=None, epoch=None):
        seen = clean(rows, epoch)
        seen.flux[:, 7] *= 1.01
        return seen

    object.__setattr__(view.train, "observe", other)
    try:
        assert isinstance(opened(view), StreamFeed)
    finally:
        object.__setattr__(view.train, "observe", clean)


def test_noise_is_lent_to_the_feed_and_to_nothing_else():
    """One module of the learners asks for noiseless flux; it hands out observed flux only."""
    from pathlib import Path

    folder = Path(feeds.__file__).parent
    asking = {p.name for p in folder.rglob("*.py") if ".lend" in p.read_text()}

    assert asking == {"feeds.py"}


@pytest.mark.parametrize("n_spec", [1, 31, 32, 150, 4095, 4129, 20_000])
def test_an_epoch_holds_whole_batches_of_different_spectra(n_spec):
    """No spectrum twice, less than a batch left out, other ones each epoch."""
    order = Order(n_spec, 32, 4096, seed=0)

    epochs = []
    for epoch in (1, 2):
        parts = [block.start + rows for block, batches in order.epoch(epoch) for rows in batches]
        assert len(parts) == order.n_batch
        assert {len(rows) for rows in parts} == {min(32, n_spec)}
        seen = np.concatenate(parts)
        assert len(np.unique(seen)) == len(seen) > n_spec - 32
        epochs.append(seen)

    assert n_spec == 1 or not np.array_equal(*epochs)


@settings(max_examples=60, deadline=None)
@given(
    n_spec=st.integers(1, 200_000),
    batch_size=st.integers(1, 9000),
    block_rows=st.sampled_from([1, 2048, 4096]),
)
def test_less_than_a_batch_of_an_epoch_is_lost(n_spec, batch_size, block_rows):
    """Whatever the sizes; blocks follow each other and hold little more than was asked for."""
    order = Order(n_spec, batch_size, block_rows, seed=0)
    blocks = order.blocks

    assert order.n_batch * min(batch_size, n_spec) > n_spec - batch_size
    assert [b.start for b in blocks] == [0, *(b.stop for b in blocks[:-1])]
    assert blocks[-1].stop == n_spec
    assert max(b.stop - b.start for b in blocks) < max(block_rows, batch_size) + batch_size
    assert sum(map(order._batches_in, blocks)) == order.n_batch


def test_shares_of_processes_make_up_the_batch(view):
    """Two processes see what one would, each its half."""
    whole = next(opened(view).batches(1))

    halves = [next(opened(view, share=Share(rank, 2)).batches(1)) for rank in (0, 1)]

    assert torch.equal(torch.stack([h.flux for h in halves], dim=1).flatten(0, 1), whole.flux)


@pytest.mark.parametrize("n_wave", [9, 10])
def test_the_median_on_a_device_is_numpys(n_wave):
    """Odd and even numbers of pixels, with ties and infinities among them."""
    values = torch.randint(0, 4, (200, n_wave), generator=torch.Generator().manual_seed(0)).float()
    values[0, 0] = torch.inf

    np.testing.assert_array_equal(device_median(values), np.median(values.numpy(), axis=1))


@pytest.fixture(scope="module")
def online(toy_bank):
    """A view that draws its own stars."""
    return open_online(toy_bank, PRIOR.ranges, seed=5, n_val=20, n_statistics=100)


def test_online_batches_never_repeat_a_star(online):
    """All labels of all epochs differ; shapes are those of any batch."""
    feed = opened(online)
    assert isinstance(feed, OnlineFeed)

    truth = [batch.truth for epoch in (1, 2, 3) for batch in feed.batches(epoch)]

    assert {t.shape for t in truth} == {(32, 2)}
    assert len(torch.unique(torch.cat(truth), dim=0)) == 32 * 4 * 3


def test_online_batches_are_standardised_spectra_of_their_labels(online, toy_bank):
    """Of one star in a thousand: the batch's row is its flux, and its label its z-score."""
    feed = opened(online)
    flux, labels = feed.observe(torch.tensor([70, 3, 140]))

    assert flux.mean().abs() < 0.5
    assert 0.5 < flux.std() < 2.0
    together = flux[2].clone()
    alone, label = feed.observe(torch.tensor([140]))
    # sums of 64 bank rows in float32, magnified by dividing by the spread of a pixel
    torch.testing.assert_close(alone[0], together, rtol=1e-3, atol=1e-3)
    assert torch.equal(label[0], labels[2])


def test_online_shares_make_up_the_batch(online):
    """Each process draws its own stars of a common batch."""
    whole = next(opened(online).batches(2))

    halves = [next(opened(online, share=Share(rank, 2)).batches(2)) for rank in (0, 1)]

    together = torch.stack([h.truth for h in halves], dim=1).flatten(0, 1)
    assert torch.equal(together, whole.truth)


def test_drawn_validation_stars_are_those_of_a_data_set(online, view):
    """By key from the val split: the labels of a data set of the same seed, its flux to 1e-4."""
    np.testing.assert_array_equal(online.val.labels, view.val.labels)
    own, stored = online.val.observe(), view.val.observe()
    # a data set keeps 12 bits of mantissa: 1.2e-4
    np.testing.assert_allclose(own.flux, stored.flux, rtol=2e-4, atol=2e-4 * own.flux.max())
    np.testing.assert_allclose(online.val.snr, view.val.snr, rtol=2e-4)


def test_more_stars_than_keys_are_refused(online):
    """Four thousand million stars are the end of one seed."""
    with pytest.raises(ConfigError, match="lower either"):
        opened(online, NetworkRecipe(epoch_size=2**31, epochs=2))


def test_validation_spectra_of_other_pixels_are_refused(toy_bank, view):
    """A data set made from another bank cannot judge."""
    import dataclasses

    other = dataclasses.replace(view.val, wave=view.val.wave + 1.0)
    with pytest.raises(DataError, match="the bank they were made from"):
        open_online(toy_bank, PRIOR.ranges, val=other, n_statistics=10)
