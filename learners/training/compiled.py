"""Regions of a network that torch compiles; recurrent layers are left to cuDNN.

A module that holds an LSTM compiles to nothing at all: the whole of it silently stays eager. One
that holds a batch norm over several GPUs is no whole graph: torch cannot foresee its shapes. So
the largest parts without either are compiled each by themselves, in place: names of weights stay.
"""

import importlib.util
import logging
import os
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.recipe import NetworkRecipe

__all__ = [
    "check_compiler",
    "compile_regions",
    "compiles",
    "count_graphs",
    "is_recurrent",
    "missing_compiler",
    "regions",
]

logger = logging.getLogger(__name__)

COMPILERS = {"cpu": ("c++", "g++", "clang++"), "cuda": ("cc", "gcc", "clang")}
VARIABLES = {"cpu": "CXX", "cuda": "CC"}
BREAKS = (nn.RNNBase, nn.SyncBatchNorm)  # layers that no graph goes through
ALONE = (*BREAKS, nn.Conv1d)  # of which a graph of their own would hold one call
FORMS = 64  # of one function: batches in training, blocks of two sizes in validation, networks


def is_recurrent(model: nn.Module) -> bool:
    """Whether any part of a network is a recurrent layer."""
    return any(isinstance(part, nn.RNNBase) for part in model.modules())


def regions(model: nn.Module) -> list[nn.Module]:
    """Largest parts of a network that hold parameters and no layer that breaks a graph."""
    if isinstance(model, ALONE):
        return []
    if not any(isinstance(part, BREAKS) for part in model.modules()):
        return [model] if any(True for _ in model.parameters()) else []
    return [region for child in model.children() for region in regions(child)]


def missing_compiler(device: torch.device) -> str:
    """Name what a device needs for compiling and this machine lacks; empty if nothing."""
    names = COMPILERS[device.type]
    own = os.environ.get(VARIABLES[device.type], "").split()
    language = "C++" if device.type == "cpu" else "C"
    if not any(map(shutil.which, (*own[:1], *names))):
        return f"a {language} compiler (none of {', '.join(names)} is installed)"
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "the package triton (pip install triton)"
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if device.type == "cuda" and not headers.is_file():
        return f"Python's headers ({headers}; install python3-dev)"
    return ""


def check_compiler(device: torch.device) -> None:
    """Raise ConfigError if nothing could be compiled for a device."""
    if missing := missing_compiler(device):
        raise ConfigError(
            f"recipe key compile = true: {device} needs {missing}; install a C++ or C compiler "
            "and what is named, or set it to false"
        )


def compiles(recipe: NetworkRecipe, device: torch.device) -> bool:
    """Whether a recipe's network is compiled on a device: by default on a GPU that can.

    Raises
    ------
    ConfigError
        If compiling is asked for and something for it is missing.
    """
    if recipe.compile is True:
        check_compiler(device)
        return True
    if recipe.compile is False or device.type != "cuda" or recipe.cuda_graph:
        return False
    if missing := missing_compiler(device):
        logger.warning(
            "training without compiled networks, which takes a third longer: %s is missing on this "
            "machine; --set compile=false says nothing",
            missing,
        )
    return not missing


def compile_regions(model: nn.Module, backend: str = "inductor") -> int:
    """Compile every region of a network in place, for batches of one size; return how many.

    Whole, or not at all: a region that cannot be one graph, or that met more forms than are
    kept, is an error rather than slow.
    """
    found = regions(model)
    settings = torch._dynamo.config
    settings.recompile_limit = max(settings.recompile_limit, FORMS)
    for region in found:
        if type(region).__module__.startswith("torch."):
            # the compiler passes torch's own modules by, where they are the outermost
            whole = _of_ours(region)
            region.forward = torch.compile(whole, dynamic=False, fullgraph=True, backend=backend)
        else:
            region.compile(dynamic=False, fullgraph=True, backend=backend)
    return len(found)


def _of_ours(layer: nn.Module) -> Callable[..., torch.Tensor]:
    clean = type(layer).forward

    def forward(*inputs: torch.Tensor) -> torch.Tensor:
        return clean(layer, *inputs)

    return forward


def count_graphs() -> int:
    """Graphs torch has compiled in this process so far."""
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]
