"""A block of stars and a step on a device that computes nothing: no question, no other device."""

import dataclasses

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from starsmith.data_contract.errors import GridError
from starsmith.data_contract.random import stream_key
from starsmith.learners.networks import create_model, list_models
from starsmith.learners.online.keyed import keyed_attempts, keyed_uniforms, philox_words
from starsmith.learners.online.torch_bank import OF_RECORD, BankOnDevice
from starsmith.learners.online.torch_holes import attempts_for
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.training.batch import Batch
from starsmith.learners.training.batch_order import Order, Share
from starsmith.learners.training.step import Stepper
from starsmith.simulator.observe import draw_stars
from tests.learners.on_device import N_STAR, PRIOR, Counted, feed_on

META, CPU = torch.device("meta"), torch.device("cpu")


@pytest.fixture(scope="module")
def holed(toy_bank):
    """The toy bank without its coolest, largest, poorest star."""
    filled = np.zeros(len(toy_bank.coef), dtype=bool)
    filled[0] = True
    return dataclasses.replace(toy_bank, filled=filled)


@pytest.mark.parametrize("holes", [False, True])
def test_a_block_of_stars_asks_the_device_nothing(toy_bank, holed, holes):
    """Nor is anything copied to it but the keys; its launches and bytes are held."""
    feed = feed_on(holed if holes else toy_bank, META)
    index = torch.empty(N_STAR, dtype=torch.int64, device=META)
    with Counted() as seen:
        flux, _ = feed.observe(index)
    assert flux.shape == (N_STAR, toy_bank.wave.size)
    assert not seen.asked
    assert seen.devices == {"meta"}
    assert seen.n <= 952  # uncompiled; fused they are a tenth
    # bytes per pixel, half of them 32-bit words in 64 bits through ten rounds
    assert seen.n_bytes < (1000 + 250 * holes) * N_STAR * toy_bank.wave.size


LAUNCHES = {"specvit": 560, "convstem_vit": 610, "resnet18": 320, "mlp": 90}


@pytest.mark.parametrize("name", LAUNCHES)
def test_a_step_asks_the_device_nothing(name):
    """Loss, gradients, clipping and update; launches of SpecViT's are held."""
    network = create_model(name, ["logg"], n_wave=512).to(META).train()
    stepper = Stepper(network, NetworkRecipe(batch_size=8), CPU, Share())  # its autocast is off
    flux, truth = torch.empty(8, 512, device=META), torch.empty(8, 1, device=META)
    with Counted() as seen:
        stepper.backward(Batch(flux, truth, None, np.arange(8)))
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
    assert not seen.asked
    assert seen.devices == {"meta"}
    assert seen.n <= LAUNCHES[name]


def hold_nothing(network, mode):
    """Replace weights and buffers by tensors of their shapes that hold nothing."""
    for layer in network.modules():
        for name, weight in list(layer.named_parameters(recurse=False)):
            setattr(layer, name, torch.nn.Parameter(mode.from_tensor(weight).detach()))
        for name, buffer in list(layer.named_buffers(recurse=False)):
            setattr(layer, name, mode.from_tensor(buffer))


@pytest.mark.parametrize(
    "precision",
    ["bfloat16", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("float32", "float16"))],
)
@pytest.mark.parametrize("name", [*list_models("*_tiny"), "mlp"])
def test_no_step_of_any_network_and_precision_asks(name, precision):
    """Tensors that hold nothing cannot answer: forward, loss, backward and clipping."""
    options = {"widths": (8, 8)} if name == "mlp" else {}
    network = create_model(name, ["logg"], n_wave=256, **options).train()
    with FakeTensorMode() as mode:
        hold_nothing(network, mode)
        recipe = NetworkRecipe(batch_size=4, precision=precision)
        stepper = Stepper(network, recipe, CPU, Share())
        with Counted() as seen:
            stepper.backward(Batch(torch.empty(4, 256), torch.empty(4, 1), None, np.arange(4)))
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
    assert not seen.asked
    assert all(p.grad.dtype == torch.float32 for p in network.parameters())


def test_draws_step_over_holes_without_asking(holed):
    """All attempts at once, the first that meets none: the simulator's stars."""
    index = np.arange(500)
    draws = draw_stars(holed, PRIOR, 0, "val", index)
    source = BankOnDevice(holed, PRIOR.ranges, 0, CPU)
    stars = source.draw(torch.from_numpy(index), "val", OF_RECORD)
    np.testing.assert_array_equal(stars.labels.numpy(), draws.labels)
    np.testing.assert_array_equal(stars.mag.numpy(), draws.mag)
    assert source.n_attempt > 2


def test_draws_that_meet_only_holes_are_told_when_asked(holed):
    """A GPU is not waited for at every block; the count stands till the epoch's end."""
    source = BankOnDevice(holed, PRIOR.ranges, 0, CPU)
    source.check()
    source.lost += 3
    with pytest.raises(GridError, match="3 draws met only holes"):
        source.check()
    source.check()


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 5), (0.05, 11), (0.3, 27), (0.9, 64), (1.0, 64)]
)
def test_attempts_leave_no_draw_behind(share, expected):
    """One in 1e14 at most, or all 64."""
    assert attempts_for(share) == expected
    assert expected == 64 or max(share, 1e-3) ** expected <= 1e-14


def test_attempts_of_many_streams_are_one_product():
    """Keys of all attempts at once give the words of each: on a device no loop over them."""
    index = torch.tensor([0, 5, 2**32 - 1])
    each = [keyed_uniforms(3, "labels", "val", index, 6, sub) for sub in range(4)]
    assert torch.equal(keyed_attempts(3, "labels", "val", index, 6, 4), torch.stack(each))

    streams = stream_key("labels") + torch.arange(4)[:, None, None]
    words = philox_words((3, streams), index, 1, 2)
    together = (torch.stack(words, dim=3).flatten(2)[..., :6].double() + 0.5) / 2**32
    assert torch.equal(together, torch.stack(each))


def test_a_compiled_feed_draws_blocks_of_one_size(toy_bank):
    """A compiler takes half a minute for each: smaller ones are filled up, the batches stay."""
    order, found, sizes = Order(700, 100, 300, 0), [], []
    for compiled in (False, True):
        feed = feed_on(toy_bank, CPU, order, compiled)
        feed._drawn = lambda index, sub, draw=feed.draw_block: (
            sizes.append(len(index)),
            draw(index),
        )[1]
        found.append(list(feed.batches(1)))
    assert sorted(sizes) == [200, 200, 300, 300, 300, 300]
    for plain, filled in zip(*found, strict=True):
        torch.testing.assert_close(plain.flux, filled.flux)
        assert torch.equal(plain.truth, filled.truth)


@pytest.mark.slow
def test_drawing_is_one_graph(toy_bank):
    """What a compiler needs to fuse it: no break, one shape."""
    feed = feed_on(toy_bank, META)
    torch._dynamo.reset()
    drawn = torch.compile(feed.draw_block, backend="eager", fullgraph=True, dynamic=False)
    flux, labels = drawn(torch.empty(256, dtype=torch.int64, device=META))
    assert flux.shape == (256, toy_bank.wave.size)
    assert len(labels) == 256
