"""The same training on a GPU: run with ``pytest -m gpu`` on a machine that has one."""

import importlib.metadata
import importlib.util
import json
import warnings

import numpy as np
import pytest
import torch

from starsmith.data_contract.random import DrawKey, normals
from starsmith.learners.networks import create_model
from starsmith.learners.online.keyed import keyed_normals
from starsmith.learners.online.online_view import open_online
from starsmith.learners.online.torch_bank import OF_RECORD, BankOnDevice
from starsmith.learners.prediction.predict import load_checkpoint, predict
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.train import fit
from starsmith.learners.training.batch import Batch
from starsmith.learners.training.batch_order import Share
from starsmith.learners.training.feeds import median_of_rows
from starsmith.learners.training.memory import OutOfMemory
from starsmith.learners.training.step import Stepper
from starsmith.simulator.prior import Prior
from tests.learners.worlds import lines, make_data, uniform_logg

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]


def installed():
    """Names of installed distributions: cards of checkpoints hold their versions."""
    return {found.metadata["Name"] for found in importlib.metadata.distributions()}


writes = pytest.mark.skipif(
    importlib.util.find_spec("safetensors") is None or "starsmith" not in installed(),
    reason="checkpoints need an installed starsmith and safetensors",
)
NETWORKS = ("specvit", "overlap_vit", "convstem_vit", "convstem_lstm", "lstmformer", "bilstm")


@writes
@pytest.mark.parametrize("model", ["specvit_tiny", "convstem_lstm_tiny", "resnet18_tiny"])
def test_a_gpu_trains_what_a_cpu_trains(model, tmp_path):
    """One epoch without dropout: losses agree, and a checkpoint predicts alike on either."""
    data = make_data(lambda labels: lines(labels, 512), uniform_logg, 0.2, (400, 100, 100))
    recipe = NetworkRecipe(epochs=1, batch_size=100, ema=0.9)

    losses = {}
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        fit(model, data.training(), "logg", recipe, out, device=device)
        losses[device] = json.loads((out / "metrics.jsonl").read_text())["train_loss"]
    values = [
        predict(load_checkpoint(tmp_path / "cuda", device=d), data.split("test")).value
        for d in ("cpu", "cuda")
    ]

    # TF32 is off by default for matrices, on for convolutions: ten bits of mantissa
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=5e-3)
    np.testing.assert_allclose(values[0], values[1], atol=5e-3)


@writes
def test_a_gpu_run_resumes(tmp_path):
    """Optimizer moments return to the device; the loss goes on falling."""
    data = make_data(lines, uniform_logg, 0.2, (400, 100, 100))
    recipe = NetworkRecipe(
        epochs=3, batch_size=100, precision="bfloat16", options={"patch": 16, "dim": 16}
    )

    def kill(row):
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit("specvit_tiny", data.training(), "logg", recipe, tmp_path, kill, device="cuda")
    fit("specvit_tiny", data.training(), "logg", recipe, tmp_path, device="cuda")

    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[2]["train_loss"] < rows[0]["train_loss"]


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_gpu_draws_the_cpus_numbers():
    """Philox in 64-bit integers, logarithms and sines in double: normals to 1e-6."""
    index = np.arange(0, 2**32, 2**28)

    own = keyed_normals(7, "training", "train", torch.from_numpy(index).cuda(), 1001, 3)

    expected = normals(DrawKey(7, "train", index), "training", 1001, 3)
    np.testing.assert_allclose(own.cpu().numpy(), expected, rtol=0, atol=1e-6)


def test_a_bank_on_a_gpu_is_the_cpus(toy_bank):
    """Labels to the last bit; flux, error and S/N to 1e-5, whatever TF32 may do elsewhere."""
    ranges, index = Prior.default().ranges, torch.arange(300)
    found = {}
    for name in ("cpu", "cuda"):
        source = BankOnDevice(toy_bank, ranges, 4, torch.device(name))
        stars = source.draw(index.to(name), "val", OF_RECORD)
        spectra = source.observe(stars, "val", OF_RECORD, error="smooth")
        found[name] = [x.cpu() for x in (stars.labels, *spectra, source.signal_to_noise(stars))]

    assert torch.equal(found["cpu"][0], found["cuda"][0])
    for own, twin in zip(found["cuda"][1:], found["cpu"][1:], strict=True):
        torch.testing.assert_close(own, twin, rtol=1e-5, atol=1e-5 * twin.abs().median().item())


def test_medians_on_a_gpu_are_numpys():
    """What a spectrum is divided by."""
    values = torch.randn(64, 4096).cuda()

    np.testing.assert_array_equal(
        median_of_rows(values).cpu(), np.median(values.cpu().numpy(), axis=1)
    )


@writes
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_online_training_in_half_precision_follows_float32(toy_bank, tmp_path, precision):
    """Loss of every epoch within two per cent: the same stars, three digits of arithmetic."""
    view = open_online(toy_bank, Prior.default().with_ranges(mag=(18.0, 19.0)).ranges, n_val=100)
    losses = {}
    for kind in ("float32", precision):
        recipe = NetworkRecipe(
            epochs=3, batch_size=100, epoch_size=1000, precision=kind, options={"patch": 20}
        )
        fit("specvit_tiny", view, "m_h", recipe, tmp_path / kind, device="cuda")
        losses[kind] = [row["train_loss"] for row in rows_of(tmp_path / kind)]

    np.testing.assert_allclose(losses[precision], losses["float32"], rtol=0.02)


@writes
@pytest.mark.parametrize("model", ["specvit_tiny", "resnet18_tiny", "mlp"])
def test_a_cuda_graph_trains_what_its_network_trains(model, tmp_path):
    """Captured and replayed, dropout off: the same losses, the same batch-norm statistics."""
    data = make_data(lambda labels: lines(labels, 512), uniform_logg, 0.2, (400, 100, 100))
    options = {"dropout": 0.0} if model != "resnet18_tiny" else {}
    losses = {}
    for graph in (False, True):
        recipe = NetworkRecipe(epochs=2, batch_size=100, cuda_graph=graph, options=options)
        fit(model, data.training(), "logg", recipe, tmp_path / str(graph), device="cuda")
        losses[graph] = [(row["train_loss"], row["val_error"]) for row in
                         rows_of(tmp_path / str(graph))]  # fmt: skip

    np.testing.assert_allclose(losses[True], losses[False], rtol=2e-3)


@writes
@pytest.mark.parametrize("model", ["specvit_tiny", "convstem_lstm_tiny"])
def test_a_compiled_network_trains_alike_on_a_gpu(model, tmp_path):
    """Regions compiled, the LSTM left to cuDNN."""
    data = make_data(lambda labels: lines(labels, 512), uniform_logg, 0.2, (400, 100, 100))
    losses = {}
    for compiled in (False, True):
        recipe = NetworkRecipe(epochs=1, batch_size=100, compile=compiled)
        fit(model, data.training(), "logg", recipe, tmp_path / str(compiled), device="cuda")
        losses[compiled] = rows_of(tmp_path / str(compiled))[0]["train_loss"]

    assert losses[True] == pytest.approx(losses[False], rel=2e-3)


def batch(size, n_wave=512):
    flux = torch.randn(size, n_wave, generator=torch.Generator().manual_seed(1)).cuda()
    return Batch(flux, flux[:, :1].clone(), None, rows=np.arange(size))


def stepper(name, precision="float32", size=64):
    network = create_model(name, ["logg"], n_wave=512, dropout=0.0).cuda().train()
    recipe = NetworkRecipe(precision=precision, batch_size=size, compile=False)
    return Stepper(network, recipe, torch.device("cuda"), Share())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_in_half_precision_are_those_of_float32(name, precision):
    """LSTMs compute in float16 under either: without a scaled loss a quarter would be zero."""
    found = []
    for kind in ("float32", precision):
        own = stepper(name, kind)
        own.backward(batch(64))
        own.scaler.unscale_(own.optimizer)
        found.append(torch.cat([p.grad.flatten() for p in own.network.parameters()]))
    assert (found[1] - found[0]).norm() < 0.1 * found[0].norm()


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_step_waits_for_nothing(precision):
    """Nothing of a step asks the device."""
    own, seen = stepper("specvit", precision), batch(64)
    for _ in range(3):
        own.take(seen, 1e-4)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            own.take(seen, 1e-4)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert not [w for w in heard if "synchron" in str(w.message)]


def test_a_batch_that_does_not_fit_is_one_line():
    """A memory of which little is left: the batch that fits is named."""
    own = stepper("specvit", size=512)
    seen = batch(512)
    own.take(batch(32), 1e-4)
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**28) / total)
    try:
        with pytest.raises(OutOfMemory, match="fits: --batch-size"):
            own.take(seen, 1e-4)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
