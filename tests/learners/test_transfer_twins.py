"""The same by libraries that are no part of this project: LoRA of peft, gradients of captum."""

import numpy as np
import pytest
import torch
from torch import nn

from starsmith.learners import create_model
from starsmith.learners.benchmark.lab_cells import gradients
from starsmith.learners.transfer.low_rank import add_low_rank


def network():
    """An MLP of 40 pixels and two labels."""
    options = {"widths": (16, 8), "dropout": 0.0}
    return create_model("mlp", ("teff", "logg"), n_wave=40, seed=3, **options).eval()


def test_low_rank_pairs_are_those_of_peft():
    """Outputs and gradients of the same A and B agree to 1e-6; float64, or rounding is 2e-6."""
    peft = pytest.importorskip("peft", reason="peft is not installed: pip install starsmith[twins]")
    own, plain = network(), network()
    names = [name for name, layer in plain.named_modules() if isinstance(layer, nn.Linear)]
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=names, lora_dropout=0.0)
    theirs = peft.get_peft_model(plain, config).base_model.model
    add_low_rank(own, "all", 4, 8.0)
    own, theirs = own.double(), theirs.double()
    layers = dict(own.named_modules())
    with torch.no_grad():
        for name in names:
            pair = layers[name].parametrizations.weight[0]
            pair.B.normal_(generator=torch.Generator().manual_seed(1))
            twin = theirs.get_submodule(name)
            twin.lora_A["default"].weight.copy_(pair.A)
            twin.lora_B["default"].weight.copy_(pair.B)
    inputs = torch.randn(20, 40, generator=torch.Generator().manual_seed(2)).double()
    ours, others = own(inputs), theirs(inputs)
    assert (ours - network().double()(inputs)).abs().max() > 0.01
    torch.testing.assert_close(ours, others, rtol=1e-6, atol=1e-6)
    ours.square().sum().backward()
    others.square().sum().backward()
    pair = layers[names[0]].parametrizations.weight[0]
    twin = theirs.get_submodule(names[0]).lora_A["default"].weight
    torch.testing.assert_close(pair.A.grad, twin.grad, rtol=1e-5, atol=1e-6)


def test_saliency_is_that_of_captum():
    """Gradients of one output by every pixel agree to 1e-6."""
    attr = pytest.importorskip(
        "captum.attr", reason="captum is not installed: pip install starsmith[twins]"
    )
    model = network()
    inputs = torch.randn(10, 40, generator=torch.Generator().manual_seed(2))
    found = attr.Saliency(model).attribute(inputs.clone().requires_grad_(), target=1, abs=False)
    np.testing.assert_allclose(gradients(model, inputs, 1), found.numpy(), rtol=1e-5, atol=1e-6)
