"""The networks: one file per family, found by name."""

from starsmith.learners.estimators.registry import list_models, register_model
from starsmith.learners.networks.registry import count_parameters, create_model

__all__ = ["count_parameters", "create_model", "list_models", "register_model"]
