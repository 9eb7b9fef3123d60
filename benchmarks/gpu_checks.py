"""Checks of `benchmarks.gpu`: that networks compute on a device what they compute on a CPU."""

import argparse
import warnings
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.gpu_learners import LABELS, PAPER, Bench, endless, specvit_ranges
from starsmith.data_contract.errors import ConfigError
from starsmith.learners.networks import create_model
from starsmith.learners.online.torch_bank import OF_RECORD, BankOnDevice
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.training.batch import Batch
from starsmith.learners.training.batch_order import Share
from starsmith.learners.training.step import Stepper

__all__ = [
    "check_attention",
    "check_gradients",
    "check_holes",
    "check_memory_ends",
    "check_questions",
]

LIMITS = {"bfloat16": 0.3, "float16": 0.05}  # of a gradient's relative error
N_STEP = 20


def check_holes(bench: Bench) -> float:
    """Largest difference of labels drawn over holes, between the device and the CPU."""
    filled = np.zeros(len(bench.bank.coef), dtype=bool)
    filled[0] = True
    holed = replace(bench.bank, filled=filled)
    index, found = torch.arange(200), []
    for device in (bench.device, torch.device("cpu")):
        source = BankOnDevice(holed, specvit_ranges(), 0, device)
        found.append(source.draw(index.to(device), "val", OF_RECORD).labels.cpu())
        source.check()
    return float((found[0] - found[1]).abs().max())


def check_attention(bench: Bench, options: argparse.Namespace) -> dict:
    """Kernels of attention and of an LSTM, their types, and the mean of dropped attention."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    half = torch.bfloat16 if bench.cuda else torch.float32
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if bench.cuda else [])]
    found: dict = {}
    for dropout in (0.0, 0.1, 0.125):
        query, key, value = (
            torch.randn(4, 8, 257, 32, device=bench.device, dtype=half) for _ in range(3)
        )
        with record(activities=kinds) as seen:
            functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        names = [e.key for e in seen.key_averages() if "dot_product" in e.key or "fmha" in e.key]
        found[f"attention at dropout {dropout}"] = sorted(names)[:3]
    ones = torch.ones(64, 8, 64, 32, device=bench.device, dtype=half)
    mean = functional.scaled_dot_product_attention(ones, ones, ones, dropout_p=0.125)
    lstm = nn.LSTM(8, 8, batch_first=True).to(bench.device)
    with torch.autocast(bench.device.type, torch.bfloat16, enabled=bench.cuda):
        out, _ = lstm(torch.randn(2, 4, 8, device=bench.device))
    kept = mean.float().mean().item()
    wrong = [] if abs(kept - 1.0) < 0.02 else [f"mean of dropped attention is {kept:.3f}, not 1"]
    return found | {"lstm under bfloat16": str(out.dtype), "wrong": wrong}


def gradient(bench: Bench, name: str, precision: str, batch: Batch) -> torch.Tensor:
    """True gradient of all weights of a network without dropout."""
    options = {} if "cnn" in name or "resnet" in name else {"dropout": 0.0}
    network = create_model(name, LABELS, n_wave=batch.flux.shape[1], **options)
    recipe = NetworkRecipe(precision=precision, batch_size=len(batch.flux), compile=False)
    stepper = Stepper(network.to(bench.device).train(), recipe, bench.device, Share())
    stepper.backward(batch)
    stepper.scaler.unscale_(stepper.optimizer)
    return torch.cat([p.grad.flatten() for p in network.parameters()]).cpu()


def check_gradients(bench: Bench, options: argparse.Namespace) -> dict:
    """Gradients of every network in half precision against single, of one batch."""
    names = ("specvit_tiny", "bilstm_tiny", "mlp") if options.tiny else (*PAPER, "mlp")
    batch = next(iter(endless(bench)))
    found, wrong = {}, []
    for name in names:
        exact = gradient(bench, name, "float32", batch)
        for precision, limit in LIMITS.items():
            own = gradient(bench, name, precision, batch)
            error = float((own - exact).norm() / exact.norm())
            found[f"{name} {precision}"] = round(error, 5)
            if not error < limit:
                wrong.append(f"{name} {precision}: {error:.3f}")
    return found | {"wrong": wrong}


def check_questions(bench: Bench, options: argparse.Namespace) -> dict:
    """How often steps make the host wait for the device; on a CPU there is nothing to wait for."""
    if not bench.cuda:
        return {"left out": "needs a GPU"}
    found = {}
    for precision in ("float32", "bfloat16", "float16"):
        recipe = NetworkRecipe(precision=precision, batch_size=bench.batch_size, compile=False)
        network = create_model("specvit", LABELS, n_wave=bench.source.wave.size).to(bench.device)
        stepper = Stepper(network.train(), recipe, bench.device, Share())
        batches = endless(bench)
        for _ in range(3):
            stepper.take(next(batches), 1e-4)
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                for _ in range(N_STEP):
                    stepper.take(next(batches), 1e-4)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        found[precision] = len([w for w in heard if "synchron" in str(w.message)])
    wrong = [f"{name}: {n} waits in {N_STEP} steps" for name, n in found.items() if n]
    return found | {"wrong": wrong}


def check_memory_ends(bench: Bench, options: argparse.Namespace) -> dict:
    """A batch that cannot fit is refused in one line, with one that does."""
    if not bench.cuda:
        return {"left out": "needs a GPU"}
    n_wave, size = bench.source.wave.size, 2**15
    recipe = NetworkRecipe(precision="float32", batch_size=size, compile=False)
    network = create_model("specvit", LABELS, n_wave=n_wave).to(bench.device).train()
    stepper = Stepper(network, recipe, bench.device, Share())
    flux = torch.zeros(size, n_wave, device=bench.device)
    try:
        stepper.take(Batch(flux, flux[:, :1], None, np.arange(size)), 1e-4)
    except ConfigError as problem:
        return {"said": str(problem), "wrong": [] if "fits" in str(problem) else ["no size named"]}
    return {"said": "", "wrong": [f"{size} spectra fit"]}
