"""Launches and bytes of a block of stars and of a training step, told without a GPU.

    python -m benchmarks.launches [--n-wave 4096] [--networks specvit,mlp]

Tensors hold nothing (``meta``). Uncompiled, every operation that is no view is a launch. Compiled,
the graphs are handed to the scheduler that makes Triton kernels of them on a GPU, and what it
fuses is counted instead of run: kernels, calls into libraries, and the bytes either reads and
writes. Steps are in float32.
"""

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import torch
import torch._inductor.lowering  # its table of decompositions asks for it
from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd
from torch._inductor import config
from torch._inductor.compile_fx import compile_fx_inner
from torch._inductor.decomposition import select_decomp_table
from torch._inductor.exc import InductorError
from torch._inductor.fx_passes.replace_random import replace_random_passes
from torch._inductor.graph import GraphLowering
from torch._inductor.ir import MultiOutput
from torch._inductor.scheduler import (
    BaseSchedulerNode,
    ExternKernelSchedulerNode,
    NopKernelSchedulerNode,
)
from torch._inductor.virtualized import V
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional
from torch.utils import _triton as triton_here
from torch.utils._python_dispatch import _disable_current_modes

from starsmith.learners.networks import create_model
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.training.batch import Batch
from starsmith.learners.training.batch_order import Share
from starsmith.learners.training.compiled import compile_regions
from starsmith.learners.training.feeds import OnlineFeed
from starsmith.learners.training.step import Stepper
from tests.conftest import make_toy_bank
from tests.learners.on_device import N_STAR, Counted, feed_on

__all__ = ["Launches", "of_block", "of_step", "triton_code"]

META, CPU = torch.device("meta"), torch.device("cpu")
NETWORKS = ("specvit", "convstem_vit", "resnet18", "mlp")
SIZE = 256  # of a batch


@dataclass
class Launches:
    """What a device is asked to do.

    Attributes
    ----------
    kernels : int
        Uncompiled, all operations.
    calls : int
        Into libraries, of compiled graphs: products, sorts, sums of rows.
    n_bytes : int
        Read and written by both.
    """

    kernels: int = 0
    calls: int = 0
    n_bytes: int = 0

    @property
    def n(self) -> int:
        """Launches."""
        return self.kernels + self.calls


class _ToCPU(torch.fx.Interpreter):
    """Runs a graph of tensors on no device as one of a CPU's."""

    def call_function(self, target: Callable, args: tuple, kwargs: dict) -> object:
        def there(value: object) -> object:
            return CPU if value == META else value

        kwargs = {name: there(value) for name, value in kwargs.items()}
        return super().call_function(target, tuple(map(there, args)), kwargs)


class _Scheduled(Exception):
    """What was asked of a graph is known: nothing is left to compile."""

    def __init__(self, found: Launches | str):
        super().__init__()
        self.found = found


def _is_name(node: BaseSchedulerNode) -> bool:
    """Whether nothing is done: what is empty, and one of the results of a call."""
    of_several = isinstance(node.node, MultiOutput)
    return of_several or isinstance(node, NopKernelSchedulerNode)


def _count(lowering: GraphLowering) -> None:
    """Stand in for the writing of kernels, where all that is left is that."""
    lowering.init_wrapper_code()
    lowering._update_scheduler()
    nodes = [node for node in lowering.scheduler.nodes if not _is_name(node)]
    calls = sum(isinstance(node, ExternKernelSchedulerNode) for node in nodes)
    n_bytes = sum(node.get_read_write_buffers_sizes() for node in nodes)
    raise _Scheduled(Launches(len(nodes) - calls, calls, n_bytes))


def _write(lowering: GraphLowering) -> None:
    """Write the kernels, and compile none."""
    code, _ = lowering.codegen()
    raise _Scheduled(getattr(code, "value", code))


def _scheduled(
    graph: torch.fx.GraphModule, examples: list[torch.Tensor], ask: Callable = _count
) -> Launches | str:
    """What the scheduler of Triton kernels makes of a graph."""
    mode = FakeTensorMode()
    with mode:
        inputs = [torch.empty_strided(tuple(x.shape), x.stride(), dtype=x.dtype) for x in examples]
        moved = make_fx(lambda *x: _ToCPU(graph).run(*x), tracing_mode="fake")(*inputs)
    options = {"cpu_backend": "triton", "fx_graph_cache": False}
    with (
        config.patch(options),
        V.set_fake_mode(mode),
        patch.object(triton_here, "triton_hash_with_backend", lambda: ""),  # of no GPU
        patch.object(GraphLowering, "compile_to_module", ask),
    ):
        try:
            replace_random_passes(moved)
            compile_fx_inner(moved, inputs)
        except InductorError as ended:  # holds what the scheduler said
            found = ended.__cause__ or ended.inner_exception
            if not isinstance(found, _Scheduled):
                raise
            return found.found
    raise RuntimeError("the compiler ended before its scheduler")


Graph = tuple[torch.fx.GraphModule, list[torch.Tensor]]


def _keeping(graphs: list[Graph]) -> Callable:
    """Backend of the compiler that keeps the graphs, and runs them uncounted."""

    def compiled(graph: torch.fx.GraphModule, examples: list[torch.Tensor]) -> Callable:
        graphs.append((graph, examples))

        def run(*inputs: torch.Tensor) -> object:
            with _disable_current_modes():
                return graph(*inputs)

        return make_boxed_func(run)

    return aot_autograd(fw_compiler=compiled, decompositions=select_decomp_table())


def _all_of(graphs: list[Graph]) -> Launches:
    parts = [_scheduled(graph, examples) for graph, examples in graphs]
    names = ("kernels", "calls", "n_bytes")
    return Launches(*(sum(getattr(part, name) for part in parts) for name in names))


def of_block(feed: OnlineFeed, n_star: int, compiled: bool) -> Launches:
    """A block of stars drawn, observed and standardised by a feed on no device."""
    index = torch.empty(n_star, dtype=torch.int64, device=META)
    if not compiled:
        with Counted() as seen:
            feed.draw_block(index)
        return Launches(seen.n, 0, seen.n_bytes)
    graphs: list[Graph] = []
    torch._dynamo.reset()
    drawn = torch.compile(feed.draw_block, backend=_keeping(graphs), fullgraph=True, dynamic=False)
    with torch.no_grad():
        drawn(index)
    return _all_of(graphs)


def _one_call(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, dropout_p: float):
    """Attention as a GPU has it; on no device it would be written out."""
    return torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, None, True, dropout_p
    )[0]


@patch.object(functional, "scaled_dot_product_attention", _one_call)
def of_step(name: str, n_wave: int, size: int, compiled: bool) -> Launches:
    """Forward pass, loss and backward pass of a network on a batch, in float32."""
    network = create_model(name, ["logg"], n_wave=n_wave).to(META).train()
    stepper = Stepper(network, NetworkRecipe(batch_size=size), CPU, Share())
    flux, truth = torch.empty(size, n_wave, device=META), torch.empty(size, 1, device=META)
    batch, graphs = Batch(flux, truth, None, np.arange(size)), []
    if compiled:
        torch._dynamo.reset()
        compile_regions(network, backend=_keeping(graphs))
        stepper.backward(batch)
        # what is left of the step: the loss
        output = torch.empty(size, 1, device=META, requires_grad=True)
        stepper.network = lambda _: output
    with Counted() as seen:
        stepper.backward(batch)
    found = _all_of(graphs)
    return Launches(found.kernels + seen.n, found.calls, found.n_bytes + seen.n_bytes)


def triton_code(call: Callable[[torch.Tensor], object], example: torch.Tensor) -> list[str]:
    """Source of each Triton kernel of a compiled function of one tensor on no device."""
    graphs: list[Graph] = []
    torch._dynamo.reset()
    with torch.no_grad():
        torch.compile(call, backend=_keeping(graphs), fullgraph=True, dynamic=False)(example)
    code = "".join(_scheduled(*graph, _write) for graph in graphs)
    return [f"@triton.jit{kernel}" for kernel in re.findall(r"@triton\.jit(.*?)'''", code, re.S)]


def report(n_wave: int, networks: list[str]) -> str:
    """Table in markdown: stars in blocks, networks on batches of 256."""
    feed = feed_on(make_toy_bank(n_wave), META)
    rows = [
        ("block of stars", N_STAR, [of_block(feed, N_STAR, how) for how in (False, True)]),
        *(
            (f"step of {name}", SIZE, [of_step(name, n_wave, SIZE, how) for how in (False, True)])
            for name in networks
        ),
    ]
    lines = [
        f"torch {torch.__version__}, {n_wave} pixels, float32",
        "",
        "| what | spectra | uncompiled: launches, MB a spectrum | compiled: kernels + calls, MB |",
        "|---|---:|---|---|",
    ]
    for what, size, (plain, fused) in rows:
        before, after = (found.n_bytes / size / 1e6 for found in (plain, fused))
        lines.append(
            f"| {what} | {size} | {plain.n}, {before:.3g} "
            f"| {fused.kernels} + {fused.calls}, {after:.3g} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-wave", type=int, default=4096)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    given = parser.parse_args()
    print(report(given.n_wave, given.networks.split(",")))


if __name__ == "__main__":
    main()
