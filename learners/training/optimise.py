"""Losses, weight-decay groups, learning-rate schedule and running mean of the weights."""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.recipe import LOSSES, NetworkRecipe

__all__ = [
    "AveragedModel",
    "decay_groups",
    "learning_rate",
    "loss_function",
    "split_uncertainty",
]

UNDECAYED = ("positions", "summary")
LOG_VARIANCE_LIMIT = 10.0  # z-score sigma between 0.007 and 150: no overflow in exp


def split_uncertainty(output: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log variance of z-scores from the ``2 n_label`` outputs of a network."""
    mean, raw = output.chunk(2, dim=1)
    return mean, LOG_VARIANCE_LIMIT * torch.tanh(raw / LOG_VARIANCE_LIMIT)


def squared_error(output: Tensor, truth: Tensor, error: Tensor, beta: float) -> Tensor:
    """d² / (1 + e²), where e is the label's own error: weights fall as it passes its spread."""
    return (output - truth) ** 2 / (1.0 + error**2)


def absolute_error(output: Tensor, truth: Tensor, error: Tensor, beta: float) -> Tensor:
    """|d| / sqrt(1 + e²)."""
    return (output - truth).abs() / torch.sqrt(1.0 + error**2)


def gaussian_nll(output: Tensor, truth: Tensor, error: Tensor, beta: float) -> Tensor:
    """Negative log likelihood, without its constant; the label's error adds to the variance."""
    mean, log_variance = split_uncertainty(output)
    variance = torch.exp(log_variance) + error**2
    return 0.5 * (torch.log(variance) + (truth - mean) ** 2 / variance)


def beta_nll(output: Tensor, truth: Tensor, error: Tensor, beta: float) -> Tensor:
    """`gaussian_nll` times the variance to the power beta, held constant; Seitzer et al. 2022."""
    variance = torch.exp(split_uncertainty(output)[1].detach()) + error**2
    return variance**beta * gaussian_nll(output, truth, error, beta)


ELEMENTS = {
    "mse": squared_error,
    "l1": absolute_error,
    "gaussian_nll": gaussian_nll,
    "beta_nll": beta_nll,
}


def loss_function(name: str, beta: float = 0.5) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return the loss of that exact name.

    Returns
    -------
    loss : callable
        ``loss(output, truth, error=None) -> (sum, number)`` over the labels that are known:
        those of ``truth``, float32 (n_spec, n_label), that are not NaN. ``error`` is their own
        1σ in z-scores; where NaN or None it is taken as zero.

    Raises
    ------
    ConfigError
        For any other name.
    """
    if name not in ELEMENTS:
        raise ConfigError(f"loss {name!r} is not one of {', '.join(LOSSES)}")
    elements = ELEMENTS[name]

    def loss(output: Tensor, truth: Tensor, error: Tensor | None = None) -> tuple[Tensor, Tensor]:
        known = ~torch.isnan(truth)
        truth = torch.where(known, truth, 0.0)
        error = torch.zeros_like(truth) if error is None else torch.nan_to_num(error)
        parts = elements(output, truth, error, beta)
        return torch.where(known, parts, 0.0).sum(), known.sum()

    return loss


def decay_groups(model: nn.Module, weight_decay: float, every: bool = False) -> list[dict]:
    """Parameter groups for AdamW: matrices decay; others only where ``every`` parameter does.

    The others are norms, biases, summary token and positions.
    """
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        is_free = parameter.ndim <= 1 or name.rsplit(".", 1)[-1] in UNDECAYED or "bias" in name
        (free if is_free and not every else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def learning_rate(recipe: NetworkRecipe, step: int, n_step: int) -> float:
    """Learning rate of one step: linear rise, then a cosine that ends with the last step.

    With ``published.epoch_cosine`` the cosine falls once per epoch and would end with the epoch
    after the last, as torch's ``CosineAnnealingLR(T_max=epochs)`` does.

    Parameters
    ----------
    recipe : NetworkRecipe
    step : int
        Steps taken before this one, 0..n_step-1.
    n_step : int
        Steps of the whole training.
    """
    n_warmup = round(recipe.warmup * n_step)
    if step < n_warmup:
        return recipe.learning_rate * (step + 1) / n_warmup
    phase = (step - n_warmup) / max(1, n_step - 1 - n_warmup)
    if recipe.published.epoch_cosine:
        phase = step * recipe.epochs // n_step / recipe.epochs
    span = recipe.learning_rate - recipe.learning_rate_min
    return recipe.learning_rate_min + 0.5 * span * (1.0 + math.cos(math.pi * min(phase, 1.0)))


class AveragedModel:
    """Exponential running mean of a network's weights; with decay 0, the network itself."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.module = copy.deepcopy(model).requires_grad_(False) if decay else model
        for part in self.module.modules():
            if isinstance(part, nn.RNNBase):
                part.flatten_parameters()  # a copy lies scattered: cuDNN would pack it each time

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the weights after ``step`` steps; the first steps move faster."""
        if not self.decay:
            return
        keep = min(self.decay, (1.0 + step) / (10.0 + step))
        means, values = ([*net.parameters(), *net.buffers()] for net in (self.module, model))
        real = [k for k, mean in enumerate(means) if mean.dtype.is_floating_point]
        now = [values[k].detach() for k in real]
        torch._foreach_lerp_([means[k] for k in real], now, 1.0 - keep)
        for mean, value in zip(means, values, strict=True):
            if not mean.dtype.is_floating_point:
                mean.copy_(value)
