"""What is compiled: regions that contain something, as one graph each, or an error."""

import logging
import sys

import pytest
import torch

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.networks import create_model, list_models
from starsmith.learners.recipe import NetworkRecipe, load_recipe
from starsmith.learners.training import compiled
from starsmith.learners.training.batch_order import Share
from starsmith.learners.training.compiled import (
    compile_regions,
    compiles,
    count_graphs,
    missing_compiler,
    regions,
)
from starsmith.learners.training.step import Stepper

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
FAMILIES = ["specvit_tiny", "bilstm_tiny"]
SLOW = sorted({*list_models("*_tiny"), "mlp"} - set(FAMILIES))


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize(
    "name", [*FAMILIES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_every_region_compiles_to_a_graph(name):
    """A bare layer of torch too, which the compiler passes by; outputs and weights stay."""
    options = {"widths": (8, 8)} if name == "mlp" else {}
    network = create_model(name, ["logg"], n_wave=256, **options).train()
    flux = torch.randn(3, 256, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    plain, names = network(flux).detach(), list(network.state_dict())
    before = count_graphs()

    n_region = compile_regions(network, backend="eager")

    torch.manual_seed(1)
    torch.testing.assert_close(network(flux), plain)
    assert count_graphs() - before == n_region == len(regions(network)) > 0
    assert list(network.state_dict()) == names


@pytest.mark.parametrize("name", ["convstem_vit_tiny", "resnet18_tiny"])
def test_batch_norms_over_several_gpus_are_in_no_graph(name):
    """Their statistics have no shapes before they run: a graph through them is an error there."""
    network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(
        create_model(name, ["logg"], n_wave=256)
    )
    found = regions(network)
    parts = [part for region in found for part in region.modules()]
    assert not [part for part in parts if isinstance(part, torch.nn.SyncBatchNorm)]
    expected = network.encoder if name == "convstem_vit_tiny" else network.head
    assert found == [expected]
    plain = network.eval()(torch.ones(2, 256)).detach()
    assert compile_regions(network, backend="eager") == 1
    torch.testing.assert_close(network(torch.ones(2, 256)), plain)


@pytest.mark.slow
def test_many_forms_of_a_process_never_fall_back_to_eager():
    """Ten sizes of one network, where torch by itself stops at eight: a graph for each."""
    network = create_model("mlp", ["logg"], n_wave=64, widths=(8,))
    before = count_graphs()
    compile_regions(network, backend="eager")
    for size in range(2, 12):
        network(torch.zeros(size, 64))
    assert count_graphs() - before == 10


def test_a_region_that_is_no_whole_graph_is_an_error():
    """Rather than eager without a word."""

    class Asking(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def forward(self, x):
            return self.layer(x) if x.sum() > 0 else -self.layer(x)

    network = Asking()
    compile_regions(network, backend="eager")
    with pytest.raises(Exception, match=r"(?i)data-dependent|graph"):
        network(torch.ones(2, 4))


@pytest.mark.parametrize(
    ("asked", "device", "expected"),
    [
        ("auto", CPU, False),
        ("auto", CUDA, True),
        (False, CUDA, False),
        (True, CUDA, True),
        (True, CPU, True),
    ],
)
def test_a_gpu_compiles_by_default(monkeypatch, asked, device, expected):
    monkeypatch.setattr(compiled, "missing_compiler", lambda _: "")
    assert compiles(NetworkRecipe(compile=asked), device) is expected
    assert load_recipe("specvit", compile=asked).compile == asked


def test_graphs_and_compiled_regions_exclude_each_other():
    assert not compiles(NetworkRecipe(cuda_graph=True), CUDA)


@pytest.mark.parametrize("lacking", ["compiler", "triton", "headers"])
def test_what_a_gpu_lacks_for_compiling_is_named(monkeypatch, caplog, tmp_path, lacking):
    """By default it trains without, and says so; asked for, it is refused."""
    monkeypatch.delenv("CC", raising=False)
    which = (lambda _: None) if lacking == "compiler" else (lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(compiled.shutil, "which", which)
    spec = None if lacking == "triton" else sys.__spec__
    monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda _: spec)
    (tmp_path / "Python.h").touch()
    where = tmp_path / "none" if lacking == "headers" else tmp_path
    monkeypatch.setattr(compiled.sysconfig, "get_path", lambda _: str(where))
    named = {"compiler": "a C compiler", "triton": "pip install triton", "headers": "Python.h"}

    assert named[lacking] in missing_compiler(CUDA)
    with caplog.at_level(logging.WARNING):
        assert not compiles(NetworkRecipe(), CUDA)
    assert "without compiled networks" in caplog.text
    with pytest.raises(ConfigError, match="install a C"):
        compiles(NetworkRecipe(compile=True), CUDA)


def test_a_run_may_go_on_compiled_or_not(tmp_path):
    """How fast a network is decides nothing of it: the folder is not refused."""
    from starsmith.learners.run_folder import open_run
    from tests.learners.worlds import lines, make_data, uniform_logg

    view = make_data(lines, uniform_logg, 0.2, (20, 5, 5)).training()
    for ask in ("auto", True, False):
        open_run(tmp_path / "run", "specvit_tiny", ("logg",), NetworkRecipe(compile=ask), view)
    with pytest.raises(ConfigError, match="different run"):
        open_run(tmp_path / "run", "specvit_tiny", ("logg",), NetworkRecipe(seed=3), view)


def test_a_compiled_step_has_no_cpu_compiler_needed(monkeypatch):
    """By default a CPU trains without one, and looks for none."""
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    network = create_model("specvit_tiny", ["logg"], n_wave=128)
    assert Stepper(network, NetworkRecipe(), CPU, Share()).network is network
