"""Networks on a GPU: first that they are right, then how fast, and what bounds them.

    python -m benchmarks.gpu_learners [--networks specvit,bilstm] [--bank bank.zarr|bank.npz]
    python -m benchmarks.gpu_learners --tiny          # seconds, on a CPU

Writes a table and the numbers behind it to ``benchmarks/results/``. Needs a checkout, torch and
numpy; without --bank it makes one of the size of the SpecViT paper's from formulae.
Published marks (SpecViT, V100): 1,766 spectra/s in training, 897 in inference.
"""

import argparse
import importlib.metadata
import itertools
import json
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.bare_machine import (
    make_importable,
    read_npz,
    specvit_ranges,
    synthetic_bank,
    training_view,
    write_npz,
)
from benchmarks.gpu_report import report

MISSING = make_importable()
INSTALLED = {found.metadata["Name"] for found in importlib.metadata.distributions()}

from starsmith.learners.networks import create_model, list_models  # noqa: E402
from starsmith.learners.online.keyed import philox_words, words_to_normals  # noqa: E402
from starsmith.learners.online.torch_bank import OF_RECORD, BankOnDevice  # noqa: E402
from starsmith.learners.preprocess import measure_statistics  # noqa: E402
from starsmith.learners.recipe import NetworkRecipe  # noqa: E402
from starsmith.learners.training.batch_order import Order, Share  # noqa: E402
from starsmith.learners.training.feeds import ONLINE_BLOCK, OnlineFeed  # noqa: E402
from starsmith.learners.training.step import Stepper  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results"
PAPER = (
    "specvit", "overlap_vit", "convstem_vit", "convstem_lstm", "lstmformer", "bilstm",
    "resnet18", "deep_cnn",
)  # fmt: skip
LABELS = ("logg",)
TOLERANCE = 1e-5
CURVE_STEPS = 60
N_PROFILE = 8


class Bench:
    """A device, a bank on it, and how long to measure."""

    def __init__(self, options: argparse.Namespace):
        self.device = torch.device(options.device)
        self.cuda = self.device.type == "cuda"
        self.seconds, self.batch_size = options.seconds, options.batch_size
        self.bank = load(options)
        self.source = BankOnDevice(self.bank, specvit_ranges(), 0, self.device)
        self.twin = BankOnDevice(self.bank, specvit_ranges(), 0, torch.device("cpu"))
        view = training_view(self.source, LABELS, options.n_statistics)
        self.statistics = measure_statistics(view, LABELS)

    def bank_file(self):
        """The bank as a product's own type, which has a digest."""
        from starsmith.data_contract.bank.bank_file import Bank

        if isinstance(self.bank, Bank):
            return self.bank
        own = vars(self.bank) | {"grid": {"name": "formulae"}, "instrument": {"name": "formulae"}}
        degree = own.pop("degree")
        own |= {"mag_band": "none", "interpolation": "cubic" if degree == 3 else "linear"}
        return Bank(**own, notice="FORMULAE (not stars)")

    def feed(self, n_spec: int = 2**20, batch_size: int | None = None) -> OnlineFeed:
        """Stars drawn on the device."""
        size = batch_size or self.batch_size
        order = Order(n_spec, size, max(ONLINE_BLOCK, size), 0)
        return OnlineFeed(self.source, LABELS, self.statistics, order, Share(), 1)

    def rate(self, step: Callable[[], int]) -> float:
        """Items per second of a function that says how many it made; the first calls warm up.

        On a CPU per second of processor time, which others on the machine cannot spend.
        """
        clock = time.perf_counter if self.cuda else time.process_time
        for _ in range(3):
            step()
        self.wait()
        start, rounds = time.perf_counter(), []
        while time.perf_counter() - start < self.seconds or len(rounds) < 3:
            first = clock()
            made = sum(step() for _ in range(10 if self.cuda else 1))
            self.wait()
            rounds.append(made / max(clock() - first, 1e-6))
        return median(rounds)

    def wait(self) -> None:
        """Until the device has done what it was asked."""
        if self.cuda:
            torch.cuda.synchronize()


def load(options: argparse.Namespace):
    """Bank of the options."""
    if options.bank is None:
        return synthetic_bank(options.n_wave, (5, 5, 5) if options.tiny else (10, 9, 14))
    if options.bank.suffix == ".npz":
        return read_npz(options.bank)
    from starsmith.data_contract.bank.bank_file import load_bank

    return load_bank(options.bank)


def check_bank(bench: Bench) -> dict[str, float]:
    """Largest differences between the bank on the device and on the CPU, and its random bits."""
    index = torch.arange(64)
    own, twin = (b.draw(index.to(b.device), "val", OF_RECORD) for b in (bench.source, bench.twin))
    flux, error = bench.source.observe(own, "val", OF_RECORD, error="observed")
    flux_2, error_2 = bench.twin.observe(twin, "val", OF_RECORD, error="observed")
    key = (1, 2**24 * 10)
    words = [philox_words(key, index.to(d), 0, 64) for d in (bench.device, torch.device("cpu"))]
    normals = [words_to_normals(w, 256).cpu() for w in words]
    return {
        "words": float(max((a.cpu() != b).sum() for a, b in zip(*words, strict=True))),
        "normals": float((normals[0] - normals[1]).abs().max()),
        "labels": float((own.labels.cpu() - twin.labels).abs().max()),
        "flux": float(((flux.cpu() - flux_2).abs() / (flux_2.abs() + error_2)).max()),
        "error": float(((error.cpu() - error_2).abs() / error_2).max()),
    }


def loss_curve(bench: Bench, name: str, precision: str, n_step: int) -> list[float]:
    """Losses of the first steps of a network, without dropout, at one precision."""
    recipe = NetworkRecipe(precision=precision, batch_size=bench.batch_size, learning_rate=1e-3)
    options = {"dropout": 0.0} if "cnn" not in name and "resnet" not in name else {}
    n_wave = bench.source.wave.size
    network = create_model(name, LABELS, n_wave=n_wave, **options).to(bench.device).train()
    stepper = Stepper(network, recipe, bench.device, Share())
    batches = itertools.islice(bench.feed().batches(1), n_step)
    return [stepper.take(batch, recipe.learning_rate).item() for batch in batches]


def check_precision(bench: Bench, name: str, n_step: int) -> dict[str, float]:
    """How far the loss curve in half precision leaves that in float32, relative."""
    exact = np.array(loss_curve(bench, name, "float32", n_step))
    found = {"float32, last fifth": float(exact[-len(exact) // 5 :].mean())}
    for precision in ("bfloat16", "float16") if bench.cuda else ("bfloat16",):
        curve = np.array(loss_curve(bench, name, precision, n_step))
        found[precision] = float(np.abs(curve - exact).mean() / exact.mean())
    return found


def flop_per_spectrum(name: str, n_wave: int) -> float:
    """Floating-point operations of a forward pass; recurrent layers by formula."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    network = create_model(name, LABELS, n_wave=n_wave).eval()
    recurrent = []

    def note(layer: torch.nn.LSTM, inputs: tuple, _: object) -> None:
        n_token, width = inputs[0].shape[1], layer.input_size
        for _depth in range(layer.num_layers):
            recurrent.append(2 * n_token * 8 * layer.hidden_size * (width + layer.hidden_size))
            width = 2 * layer.hidden_size

    for layer in network.modules():
        if isinstance(layer, torch.nn.LSTM):
            layer.register_forward_hook(note)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        network(torch.zeros(1, n_wave))
    return float(counter.get_total_flops() + sum(recurrent))


def matmul_rate(bench: Bench, dtype: torch.dtype) -> float:
    """Operations per second of large matrix products: what the device reaches at best."""
    n = 8192 if bench.cuda else 2048
    a, b = (torch.randn(n, n, device=bench.device, dtype=dtype) for _ in range(2))
    product = torch.empty_like(a)

    def step() -> int:
        torch.mm(a, b, out=product)
        return 2 * n**3

    return bench.rate(step)


def input_rate(bench: Bench) -> float:
    """Spectra per second of draw, interpolation, noise and normalisation alone."""
    feed, block, first = bench.feed(), ONLINE_BLOCK, itertools.count()

    def step() -> int:
        start = next(first) * block
        feed.observe(torch.arange(start, start + block, device=bench.device))
        return block

    return bench.rate(step)


def endless(bench: Bench):
    """Batches without end."""
    feed = bench.feed()
    return (batch for _ in itertools.count() for batch in feed.batches(1))


def training_rate(bench: Bench, name: str, recipe: NetworkRecipe) -> float:
    """Spectra per second of whole training steps, drawing included."""
    network = create_model(name, LABELS, n_wave=bench.source.wave.size).to(bench.device)
    stepper = Stepper(network.train(), recipe, bench.device, Share())
    batches = endless(bench)
    if recipe.cuda_graph:
        stepper.graph(next(batches))
    losses = []

    def step() -> int:
        losses.append(stepper.take(next(batches), recipe.learning_rate))
        return recipe.batch_size

    rate = bench.rate(step)
    if not torch.isfinite(torch.stack(losses)).all():
        raise RuntimeError(f"{name}: the loss is not finite")
    return rate


def inference_rate(bench: Bench, name: str, recipe: NetworkRecipe, batch_size: int) -> float:
    """Spectra per second of the network alone, on spectra that lie on the device."""
    network = create_model(name, LABELS, n_wave=bench.source.wave.size).to(bench.device).eval()
    if recipe.compile:
        network.compile(dynamic=False)
    flux = torch.randn(batch_size, bench.source.wave.size, device=bench.device)
    half = recipe.precision == "bfloat16"

    @torch.no_grad()
    def step() -> int:
        with torch.autocast(bench.device.type, torch.bfloat16, enabled=half):
            network(flux)
        return batch_size

    return bench.rate(step)


def profile(bench: Bench, name: str, recipe: NetworkRecipe) -> list[tuple[str, float]]:
    """Where a training step spends its time: kernels and their share, largest first."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    network = create_model(name, LABELS, n_wave=bench.source.wave.size).to(bench.device)
    stepper = Stepper(network.train(), recipe, bench.device, Share())
    batches = endless(bench)
    for _ in range(3):
        stepper.take(next(batches), 1e-4)
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if bench.cuda else [])]
    with record(activities=kinds) as recorded:
        for _ in range(3):
            stepper.take(next(batches), 1e-4)
        bench.wait()
    key = "self_device_time_total" if bench.cuda else "self_cpu_time_total"
    events = [(event.key, getattr(event, key)) for event in recorded.key_averages()]
    total = sum(spent for _, spent in events)
    events.sort(key=lambda event: -event[1])
    return [(kernel, spent / total) for kernel, spent in events[:N_PROFILE]]


def ways(bench: Bench, name: str, options: argparse.Namespace) -> dict[str, NetworkRecipe]:
    """Recipes to time: eager, compiled, and as a CUDA graph where that is possible."""
    plain = NetworkRecipe(
        precision="bfloat16" if bench.cuda else "float32", batch_size=bench.batch_size
    )
    found = {"eager": plain}
    if options.compile:
        found["compiled"] = replace(plain, compile=True)
    if bench.cuda and not any(word in name for word in ("lstm",)):
        found["graph"] = replace(plain, cuda_graph=True)
    return found


def time_network(bench: Bench, name: str, peak: float, options: argparse.Namespace) -> dict:
    """Every rate of one network; a way that fails is named with its reason."""
    flop = flop_per_spectrum(name, bench.source.wave.size)
    row = {"network": name, "gflop": flop / 1e9, "training_bound": peak / (3 * flop)}
    row |= {"inference_bound": peak / flop, "training": {}, "inference": {}, "failed": {}}
    for way, recipe in ways(bench, name, options).items():
        try:
            row["training"][way] = training_rate(bench, name, recipe)
            if way != "graph":
                size = options.inference_batch
                row["inference"][way] = inference_rate(bench, name, recipe, size)
        except (RuntimeError, torch._dynamo.exc.TorchDynamoException) as problem:
            row["failed"][way] = f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
        if bench.cuda:
            torch.cuda.empty_cache()
    return row


def run(options: argparse.Namespace) -> dict:
    """Check, then measure, everything the options name."""
    bench = Bench(options)
    device = torch.cuda.get_device_name() if bench.cuda else "a CPU"
    numbers: dict = {
        "device": device,
        "cuda": bench.cuda,
        "machine": f"{platform.machine()}, Python {platform.python_version()}, torch "
        f"{torch.__version__}, {torch.get_num_threads()} threads; not installed: "
        f"{', '.join(MISSING) or 'nothing'}",
        "batch_size": bench.batch_size,
        "inference_batch": options.inference_batch,
        "bank": check_bank(bench),
    }
    wrong = [k for k in ("labels", "flux", "error") if numbers["bank"][k] > TOLERANCE]
    if wrong or numbers["bank"]["words"]:
        raise SystemExit(f"the bank on the device is not the CPU's: {numbers['bank']}")
    networks = options.networks.split(",")
    numbers["precision"] = {
        name: check_precision(bench, name, options.curve_steps) for name in networks[:2]
    }
    dtype = torch.bfloat16 if bench.cuda else torch.float32
    numbers["peak"], numbers["input"] = matmul_rate(bench, dtype), input_rate(bench)
    numbers["networks"] = []
    for name in networks:
        numbers["networks"].append(time_network(bench, name, numbers["peak"], options))
        print(json.dumps(numbers["networks"][-1]), flush=True)
    order = sorted(numbers["networks"], key=lambda r: -max(r["training"].values(), default=0.0))
    numbers["profile"] = {
        row["network"]: profile(
            bench, row["network"], ways(bench, row["network"], options)["eager"]
        )
        for row in order[: options.profiles]
    }
    return numbers


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options, with sizes that suit the device."""
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", help="comma list, `paper` or `tiny`")
    parser.add_argument("--bank", type=Path, help="bank.zarr, or .npz of --write-npz")
    parser.add_argument("--write-npz", type=Path, help="only write --bank as .npz, for elsewhere")
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--batch-size", type=int, default=1024 if cuda else 128)
    parser.add_argument("--inference-batch", type=int, default=2048 if cuda else 128)
    parser.add_argument("--seconds", type=float, default=4.0, help="of every measurement")
    parser.add_argument("--curve-steps", type=int, default=CURVE_STEPS)
    parser.add_argument("--n-statistics", type=int, default=4096)
    parser.add_argument("--n-wave", type=int, default=4096, help="pixels of a bank of formulae")
    parser.add_argument("--profiles", type=int, default=2, help="networks to profile")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--tiny", action="store_true", help="a few seconds, to see that it runs")
    parser.add_argument("--out", type=Path, help="report; numbers go beside it as .json")
    options = parser.parse_args(arguments)
    if options.tiny:
        options.n_wave, options.n_statistics, options.seconds = 256, 64, 0.0
        options.batch_size = options.inference_batch = 16
        options.curve_steps, options.compile = 3, False
    named = {"paper": PAPER, "tiny": list_models("*_tiny")}
    options.networks = options.networks or ("paper" if cuda else "tiny")
    options.networks = ",".join(named.get(options.networks, [options.networks]))
    return options


def main() -> None:
    """Run, print the report, keep it."""
    options = parse()
    if options.write_npz:
        return write_npz(options.write_npz, load(options))
    numbers = run(options)
    text = report(numbers)
    print(text)
    name = "_".join(numbers["device"].lower().split())
    out = options.out or RESULTS / f"learners_{name}.md"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
    out.with_suffix(".json").write_text(json.dumps(numbers, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
