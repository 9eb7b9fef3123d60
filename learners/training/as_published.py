"""What the switches of ``[published]`` do to a network's first weights, its stars and its noise."""

import torch
from torch import nn

from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.data_contract.errors import ConfigError
from starsmith.learners.networks.blocks import INIT_STD, Encoder, UnfoldTokenizer
from starsmith.learners.recipe import NetworkRecipe

__all__ = ["check_switches", "start_as_published"]

START = 0x5EED  # apart from the seed of the other weights, which stay what they are


def start_as_published(network: nn.Module, recipe: NetworkRecipe) -> nn.Module:
    """Draw the weights anew whose start a recipe wants as published; return the network."""
    switches = recipe.published
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed ^ START)
        for part in network.modules():
            if switches.library_tokenizer and isinstance(part, nn.Conv1d):
                part.reset_parameters()
            if switches.library_tokenizer and isinstance(part, UnfoldTokenizer):
                nn.init.trunc_normal_(part.embed.weight, std=INIT_STD)
            if switches.initial_spread and isinstance(part, Encoder):
                for values in (part.summary, part.positions):
                    if values is not None:
                        nn.init.normal_(values, std=switches.initial_spread)
    return network


def check_switches(train: TrainingSplit, recipe: NetworkRecipe, online: bool) -> None:
    """Refuse switches that spectra or batches of a training cannot follow.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    switches = recipe.published
    if online and 0 < switches.template_pool < recipe.epoch_size:
        raise ConfigError(
            f"recipe key published.template_pool = {switches.template_pool}: an epoch shows "
            f"epoch_size = {recipe.epoch_size} stars, none twice; lower epoch_size"
        )
    if online:
        return
    if switches.noise_level != 1.0 and not train.plain_noise:
        raise ConfigError(
            f"recipe key published.noise_level = {switches.noise_level}: the noise of this data "
            "set is no multiple of normal numbers, or drawn once; set it to 1"
        )
    if switches.shards > 1 and len(train) < switches.shards * recipe.batch_size:
        raise ConfigError(
            f"recipe key published.shards = {switches.shards}: {len(train)} spectra do not fill a "
            f"batch of {recipe.batch_size} in each; lower either"
        )
