"""A small dense network on the features of compressed spectra, and its head."""

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from starsmith.learners.compressed.flow import FlowHead
from starsmith.learners.compressed.heads import Head, MeanHead, MixtureHead
from starsmith.learners.compressed.posterior import Box
from starsmith.learners.compressed.sight import Sight
from starsmith.learners.compressed.truncated import TruncatedHead
from starsmith.learners.recipe import CompressedRecipe

__all__ = ["CompressedNetwork", "build_network"]


class CompressedNetwork(nn.Module):
    """Dense layers with SiLU, residual if so wished, then a head."""

    def __init__(self, n_input: int, recipe: CompressedRecipe, head: Head):
        super().__init__()
        sizes = [n_input, *[recipe.width] * recipe.depth]
        self.layers = nn.ModuleList(nn.Linear(below, above) for below, above in pairwise(sizes))
        self.residual, self.head = recipe.residual, head

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (B, n_input) -> last hidden layer (B, width)."""
        hidden = nn.functional.silu(self.layers[0](features))
        for layer in self.layers[1:]:
            new = nn.functional.silu(layer(hidden))
            hidden = hidden + new if self.residual else new
        return hidden

    def loss(self, sight: Sight, place: torch.Tensor) -> torch.Tensor:
        """Mean loss of spectra whose labels lie at ``place`` (B, n_label) of their range."""
        return self.head.loss(self(sight.numbers), place, sight)

    def answer(self, sight: Sight, box: Box) -> Any:
        """Posteriors of spectra."""
        with torch.no_grad():
            return self.head.answer(self(sight.numbers), box, sight)


def build_network(n_input: int, n_label: int, recipe: CompressedRecipe) -> CompressedNetwork:
    """Build the network of a recipe; its weights come from torch's generator."""
    if recipe.head == "mean":
        return CompressedNetwork(n_input, recipe, MeanHead(recipe.width, n_label))
    if recipe.head == "flow":
        flow = FlowHead(recipe.width, n_label, recipe.components)
        return CompressedNetwork(n_input, recipe, flow)
    if recipe.head == "truncated":
        truncated = TruncatedHead(recipe.width, n_label, recipe.components)
        return CompressedNetwork(n_input, recipe, truncated)
    n_component = 1 if recipe.head == "gaussian" else recipe.components
    mixture = MixtureHead(recipe.width, n_label, n_component, recipe.mean_weight)
    return CompressedNetwork(n_input, recipe, mixture)
