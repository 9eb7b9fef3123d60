"""The networks: one file per family, found by name."""

from starsmith.learners.networks import bilstm, deep_cnn, hybrids, mlp, resnet18, specvit
from starsmith.learners.networks.registry import (
    CLASSICAL,
    count_parameters,
    create_model,
    list_models,
    register_model,
)

FAMILIES = (bilstm, deep_cnn, hybrids, mlp, resnet18, specvit)
"""Modules whose import registers the networks."""

__all__ = [
    "CLASSICAL",
    "FAMILIES",
    "count_parameters",
    "create_model",
    "list_models",
    "register_model",
]
