"""Memory: what a step keeps, what is done where it ends, and what is made beside a GPU's work."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from starsmith.data_contract.errors import ConfigError
from starsmith.learners import device as devices
from starsmith.learners.device import free_bytes, pick_device, too_old
from starsmith.learners.networks import create_model
from starsmith.learners.preprocess import Normaliser
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.training import recompute, standardised
from starsmith.learners.training.applied import NetworkEstimator
from starsmith.learners.training.aside import Aside, in_thread
from starsmith.learners.training.batch import Batch
from starsmith.learners.training.batch_order import Share
from starsmith.learners.training.memory import OutOfMemory, is_memory_error, memory_for
from starsmith.learners.training.recompute import fit_memory, kept_bytes
from starsmith.learners.training.standardised import Standardised
from starsmith.learners.training.step import Stepper
from tests.learners.worlds import lines, make_data, uniform_logg

CPU = torch.device("cpu")
GIB = 2**30
SMALL = {"n_wave": 256, "patch": 16, "dim": 32, "depth": 4, "n_head": 2, "dropout": 0.2}


def test_specvit_at_256_keeps_less_than_six_gigabytes():
    """Of a CPU of any size; without computing anything twice it would keep more."""
    network = create_model("specvit", ["logg"])
    most = 256 * kept_bytes(network, 4096)
    number = fit_memory(network, NetworkRecipe(batch_size=256), CPU, 4096)
    assert 256 * kept_bytes(network, 4096, number) < 4.1 * GIB < 6 * GIB < most
    assert 0 < number < 6


def test_activations_computed_twice_give_the_same_bits():
    """Dropout included: the second time draws the same random numbers."""
    gradients = []
    flux = torch.randn(8, 256, generator=torch.Generator().manual_seed(0))
    for number in (0, 2, 4):
        network = create_model("specvit", ["logg"], **SMALL).train()
        network.encoder.n_recompute = number
        torch.manual_seed(5)
        network(flux).square().sum().backward()
        gradients.append([p.grad for p in network.parameters()])
    for other in gradients[1:]:
        assert all(torch.equal(a, b) for a, b in zip(gradients[0], other, strict=True))


def test_as_few_blocks_as_must_compute_twice(monkeypatch):
    """None where there is room, more as it shrinks, all where there is none; others none."""
    recipe, found = NetworkRecipe(batch_size=64), []
    network = create_model("specvit", ["logg"], **SMALL)
    most = 64 * kept_bytes(network, 256)
    for room in (4 * most, 1.6 * most, 0):
        monkeypatch.setattr(recompute, "free_bytes", lambda _, room=room: room)
        found.append(fit_memory(network, recipe, CPU, 256))
    assert found == [0, found[1], 4]
    assert 0 < found[1] < 4
    assert network.encoder.n_recompute == 4
    assert fit_memory(create_model("mlp", ["logg"], n_wave=256), recipe, CPU, 256) == 0


def test_errors_of_every_library_that_runs_out_are_one_line():
    """Torch, cuBLAS, cuDNN and the CPU's allocator say it in words of their own."""
    for problem in (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ):
        assert is_memory_error(problem)
        with (
            pytest.raises(OutOfMemory, match=r"^x needs more memory than cpu has; y$"),
            memory_for("x", CPU, "y"),
        ):
            raise problem
    assert not is_memory_error(RuntimeError("shapes differ"))
    assert issubclass(OutOfMemory, ConfigError)


def limited(monkeypatch, most):
    """Let a network take ``most`` spectra at once."""
    clean = NetworkEstimator._blocks

    def blocks(self, scaled, n_row):
        if n_row > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield from clean(self, scaled, n_row)

    monkeypatch.setattr(NetworkEstimator, "_blocks", blocks)


def test_scoring_takes_smaller_blocks_where_memory_is_short(monkeypatch):
    """The same values; refused only where one spectrum does not fit."""
    network = create_model("specvit_tiny", ["logg"], n_wave=128)
    estimator = NetworkEstimator(network, False)
    flux = np.random.default_rng(0).standard_normal((70, 128)).astype(np.float32)
    expected, _ = estimator(flux)
    limited(monkeypatch, 16)
    np.testing.assert_allclose(estimator(flux)[0], expected, rtol=1e-5, atol=1e-6)
    limited(monkeypatch, 0)
    with pytest.raises(OutOfMemory, match="one spectrum of 128 pixels"):
        estimator(flux)


def test_a_batch_that_fits_is_found_on_the_network_itself(monkeypatch):
    """A captured graph takes one size only; it is put back."""
    network = create_model("specvit_tiny", ["logg"], n_wave=128)
    stepper = Stepper(network, NetworkRecipe(batch_size=32), CPU, Share())
    flux = torch.zeros(32, 128)
    clean = Stepper.backward

    def graphed(flux):
        if len(flux) != 32:
            raise RuntimeError("The size of tensor a (32) must match the size of tensor b (16)")
        raise torch.OutOfMemoryError("CUDA out of memory")

    def backward(self, batch):
        if len(batch.flux) > 9:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return clean(self, batch)

    network.forward = graphed
    monkeypatch.setattr(Stepper, "backward", backward)
    with pytest.raises(OutOfMemory, match="8 fits: --batch-size 8"):
        stepper.take(Batch(flux, flux[:, :1], None, np.arange(32)), 1e-3)
    assert network.forward is graphed


def test_validation_spectra_are_standardised_once(monkeypatch):
    """Kept where they fit, read anew where they do not; the same numbers."""
    view = make_data(lines, uniform_logg, 0.2, (50, 30, 5)).training()
    normaliser = Normaliser.fit(view.train)
    reads, clean = [], view.val.observe
    object.__setattr__(view.val, "observe", lambda *a: reads.append(1) or clean(*a))
    found = []
    for room, n_read in ((GIB, 1), (0, 3)):
        monkeypatch.setattr(standardised, "free_bytes", lambda _, room=room: room)
        kept = Standardised(view.val, normaliser, CPU)
        reads.clear()
        found += [torch.cat(list(kept)) for _ in range(3)]
        assert len(reads) == n_read
    assert all(torch.equal(found[0], other) for other in found)


def test_batches_are_made_ahead_in_a_thread():
    """In order, a few at a time; the thread ends with the one who waits, or with what failed."""
    made, ended = [], threading.Event()

    def items():
        try:
            for k in range(20):
                made.append((k, threading.current_thread().name))
                yield k
        finally:
            ended.set()

    assert list(in_thread(items())) == list(range(20))
    assert {name for _, name in made} == {"batches"}

    made.clear()
    ended.clear()
    few = in_thread(items())
    assert [next(few) for _ in range(3)] == [0, 1, 2]
    few.close()
    assert len(made) <= 7
    assert not [t for t in threading.enumerate() if t.name == "batches"]

    def torn():
        yield 1
        raise ConfigError("torn")

    rest = in_thread(torn())
    assert next(rest) == 1
    with pytest.raises(ConfigError, match="torn"):
        next(rest)


def test_files_are_written_beside_a_gpus_work():
    """One after the other, all of them before the end; what failed is raised there."""
    done = []

    def slow(k):
        def act():
            time.sleep(0.02)
            done.append((k, threading.current_thread() is threading.main_thread()))

        return act

    with Aside(torch.device("cuda")) as aside:
        for k in range(3):
            aside(slow(k))
    assert done == [(k, False) for k in range(3)]
    with Aside(CPU) as aside:
        aside(slow(9))
        assert done[-1] == (9, True)

    def full():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Aside(torch.device("cuda")) as aside:
        aside(full)


def old_gpu(monkeypatch, capability):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_90", "compute_90"])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Tesla V100")


def test_a_gpu_older_than_torch_is_refused(monkeypatch, caplog):
    """Named with what would help; where nobody asked for it, the CPU is taken."""
    old_gpu(monkeypatch, (7, 0))
    with pytest.raises(ConfigError, match=r"Tesla V100 is of compute capability 7.0, .*7\.5 and"):
        pick_device("cuda")
    assert pick_device(None) == CPU
    assert "running on the CPU" in caplog.text
    assert pick_device("cpu") == CPU
    old_gpu(monkeypatch, (9, 0))
    assert too_old() == ""
    assert pick_device(None) == torch.device("cuda")


def test_free_memory_is_that_of_the_machine_or_its_container(tmp_path, monkeypatch):
    """The smaller one; a system that does not tell is taken to have some."""
    names = {"MEMINFO": "MemAvailable:   2048 kB\n", "LIMIT": "1500000\n", "USED": "500000\n"}
    for name, text in names.items():
        monkeypatch.setattr(devices, name, tmp_path / name)
        (tmp_path / name).write_text(text)
    assert free_bytes(CPU) == 1_000_000
    (tmp_path / "LIMIT").write_text("max\n")
    assert free_bytes(CPU) == 2**21
    monkeypatch.setattr(devices, "MEMINFO", Path("/none"))
    assert free_bytes(CPU) == 8 * GIB


ENDS_AMID_WORK = """
import torch
from starsmith.learners.training.aside import in_thread

def products():
    while True:
        yield torch.randn(300, 300) @ torch.randn(300, 300)

kept = in_thread(products(), 2)
next(kept)
"""


def test_a_program_that_ends_while_its_thread_computes_ends_well():
    """A daemon thread, cut off inside torch, aborts the process: 6 times of 6."""
    ended = subprocess.run(
        [sys.executable, "-c", ENDS_AMID_WORK], capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stderr) == (0, "")
