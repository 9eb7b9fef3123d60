"""Half precision: what every layer computes in, and that no gradient is lost to it."""

import logging

import pytest
import torch
from torch import nn

from starsmith.learners.networks import create_model, list_models
from starsmith.learners.recipe import NetworkRecipe, load_recipe
from starsmith.learners.training import step
from starsmith.learners.training.batch_order import Share
from starsmith.learners.training.feeds import Batch
from starsmith.learners.training.step import LossLog, Stepper, check_options, computes_in_half

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
FAMILIES = [name.removesuffix("_tiny") for name in list_models("*_tiny")] + ["mlp"]
RECURRENT = {"bilstm", "convstem_lstm", "lstmformer"}
N_WAVE, N_SPEC = 256, 32
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# of a gradient of deep networks on 32 spectra: two and three digits, some layers deep
TOLERANCE = {"float32": 0.0, "bfloat16": 0.3, "float16": 0.04}
MULTIPLYING = (nn.Linear, nn.Conv1d)


def small(name):
    """The tiny network of a family without dropout, always with the same weights."""
    options = {"widths": (16, 8), "dropout": 0.0} if name == "mlp" else {}
    return create_model(
        name if name == "mlp" else f"{name}_tiny", ["logg"], n_wave=N_WAVE, **options
    )


def batch(error=0.0):
    flux = torch.randn(N_SPEC, N_WAVE, generator=torch.Generator().manual_seed(1))
    errors = torch.full((N_SPEC, 1), error)
    return Batch(flux, flux[:, :1], errors, rows=torch.arange(N_SPEC).numpy())


def gradients(network, precision, error=0.0):
    """True gradients that a step would see, and the types that came out of every layer."""
    seen, recipe = {}, NetworkRecipe(precision=precision, batch_size=N_SPEC)
    for name, layer in network.named_modules():
        if isinstance(layer, MULTIPLYING):
            layer.register_forward_hook(
                lambda _, __, out, name=name: seen.update({name: out.dtype})
            )
    stepper = Stepper(network.train(), recipe, CPU, Share())
    stepper.backward(batch(error))
    stepper.scaler.unscale_(stepper.optimizer)
    return {name: p.grad.clone() for name, p in network.named_parameters()}, seen


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_layer_computes_in_the_precision_asked_for(name, precision):
    """Products in that type, weights and gradients in float32 and near the exact ones."""
    exact, _ = gradients(small(name), "float32")

    found, seen = gradients(small(name), precision)

    assert seen
    assert set(seen.values()) == {DTYPES[precision]}
    assert all(grad.dtype == torch.float32 for grad in found.values())
    # together: the gradient of a bias before a batch norm is zero but for rounding
    difference = torch.cat([(found[n] - exact[n]).flatten() for n in exact]).norm()
    assert (
        difference <= TOLERANCE[precision] * torch.cat([g.flatten() for g in exact.values()]).norm()
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_the_loss_is_scaled_wherever_a_layer_computes_in_half(name):
    """CUDA's autocast runs an LSTM in float16, also where bfloat16 was asked for."""
    network = small(name)
    asked = {
        (precision, device.type): computes_in_half(network, precision, device)
        for precision in DTYPES
        for device in (CPU, CUDA)
    }

    assert asked == {
        ("float32", "cpu"): False,
        ("float32", "cuda"): False,
        ("bfloat16", "cpu"): False,
        ("bfloat16", "cuda"): name in RECURRENT,
        ("float16", "cpu"): True,
        ("float16", "cuda"): True,
    }


def half_lstm(self, tokens, state=None):
    """What PyTorch's wrapper of cuDNN does under autocast: input and weights become float16."""
    if torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            weights = [weight.half() for weight in self._flat_weights]
            n_state = self.num_layers * 2
            zeros = torch.zeros(n_state, len(tokens), self.hidden_size, dtype=torch.float16)
            flags = (True, self.num_layers, 0.0, self.training, True, True)
            out = torch.lstm(tokens.half(), (zeros, zeros), weights, *flags)
        return out[0], out[1:]
    return CLEAN_LSTM(self, tokens, state)


CLEAN_LSTM = nn.LSTM.forward


@pytest.mark.parametrize("name", sorted(RECURRENT))
def test_an_lstm_in_half_keeps_its_gradients(name, monkeypatch):
    """On cuDNN as imitated here small gradients round to zero, unless the loss is scaled."""
    faint = 100.0  # labels this uncertain make gradients as small as those of large batches
    exact, _ = gradients(small(name), "float32", faint)
    monkeypatch.setattr(nn.LSTM, "forward", half_lstm)

    def error():  # relative, of the weights of the LSTM
        found, _ = gradients(small(name), "bfloat16", faint)
        names = [n for n in exact if "lstm.weight" in n]
        off = torch.cat([(found[n] - exact[n]).flatten() for n in names]).norm()
        return (off / torch.cat([exact[n].flatten() for n in names]).norm()).item()

    unscaled = error()
    monkeypatch.setattr(step, "HALF_RECURRENT", ("cuda", "cpu"))

    scaled = error()
    assert scaled < 0.03 < 0.5 < unscaled


def test_half_precision_on_a_cpu_is_told_to_be_slow(caplog):
    """The paper's recipe is for a GPU; packaged ones say nothing."""
    network = small("specvit")
    with caplog.at_level(logging.WARNING):
        check_options(network, load_recipe("specvit_tiny"), CPU, Share())
        assert not caplog.records
        check_options(network, load_recipe("paper", "specvit_tiny"), CPU, Share())
    assert "float16 is slower than float32 on a CPU" in caplog.text
    assert "--set precision=float32" in caplog.text


def test_the_scale_is_asked_for_where_the_loss_is_looked_at(monkeypatch):
    """A GPU is waited for every 50 steps, not at every one."""
    monkeypatch.setitem(step.CHECK_STEPS, "cpu", 5)
    log = LossLog(CPU)
    looked = []
    for _ in range(12):
        log.add(torch.tensor(1.0))
        looked.append(log.looked)
    assert [k for k, done in enumerate(looked) if done] == [4, 9]
