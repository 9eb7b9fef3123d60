"""Regions of a network that torch compiles; recurrent layers are left to cuDNN.

A module that holds an LSTM compiles to nothing at all: the whole of it silently stays eager. So
the largest parts without one are compiled each by themselves, in place: names of weights stay.
"""

import shutil

import torch
from torch import nn

from starsmith.data_contract.errors import ConfigError

__all__ = ["check_compiler", "compile_regions", "count_graphs", "is_recurrent", "regions"]

COMPILERS = ("c++", "g++", "clang++")


def is_recurrent(model: nn.Module) -> bool:
    """Whether any part of a network is a recurrent layer."""
    return any(isinstance(part, nn.RNNBase) for part in model.modules())


def regions(model: nn.Module) -> list[nn.Module]:
    """Largest parts of a network that hold parameters and no recurrent layer."""
    if not is_recurrent(model):
        return [model] if any(True for _ in model.parameters()) else []
    if isinstance(model, nn.RNNBase):  # cuDNN does these; the compiler would unroll them
        return []
    return [region for child in model.children() for region in regions(child)]


def check_compiler(device: torch.device) -> None:
    """Raise ConfigError if nothing could be compiled for a device."""
    if device.type == "cpu" and not any(map(shutil.which, COMPILERS)):
        raise ConfigError(
            f"recipe key compile = true: none of {', '.join(COMPILERS)} is installed; install a "
            "C++ compiler, or set it to false"
        )


def compile_regions(model: nn.Module) -> int:
    """Compile every region of a network in place, for batches of one size; return how many."""
    found = regions(model)
    for region in found:
        region.compile(dynamic=False)  # one graph: batches have one size
    return len(found)


def count_graphs() -> int:
    """Graphs torch has compiled in this process so far."""
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]
