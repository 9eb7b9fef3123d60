"""Strategies of transfer: which numbers of a trained network learn, and which stay."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from torch import nn

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.networks.residual import WithHead
from starsmith.learners.transfer.low_rank import LowRank, add_low_rank

__all__ = [
    "STRATEGIES",
    "Strategy",
    "Transferred",
    "adapt",
    "list_strategies",
    "register_strategy",
]

PARAMETRISED = ".parametrizations."
NORMS = (nn.BatchNorm1d, nn.SyncBatchNorm)


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How a network is brought to other spectra.

    Attributes
    ----------
    name : str
        One of `list_strategies`.
    rank, alpha : int, float
        Of ``lora``; its product counts alpha / rank times.
    targets : str
        Layers that ``lora`` adapts; see `target_weights`.
    hidden : int
        Units of the head of ``residual``.
    new_head : bool
        Whether the last layer begins anew and learns, for labels that the base does not know.
    freeze : tuple of str
        Patterns of names of numbers that stay, whatever the strategy.
    """

    name: str
    rank: int = 8
    alpha: float = 16.0
    targets: str = "all-but-last"
    hidden: int = 384
    new_head: bool = False
    freeze: tuple[str, ...] = ()

    def __post_init__(self):
        if self.name not in STRATEGIES:
            raise ConfigError(
                f"--strategy {self.name}: expected one of {', '.join(list_strategies())}"
            )
        if self.hidden < 1 or self.rank < 1:
            raise ConfigError(f"--hidden {self.hidden}, --rank {self.rank}: expected 1 or more")
        if self.new_head and self.name in ("zero_shot", "residual"):
            raise ConfigError(
                f"--new-head: {self.name} keeps the base's outputs; choose lora, full or another"
            )


@dataclass(frozen=True)
class Transferred:
    """A network prepared for a strategy.

    Attributes
    ----------
    network : torch.nn.Module
        What learns has ``requires_grad``, the rest has not.
    n_base : int
        Numbers of the base.
    """

    network: nn.Module
    n_base: int

    @property
    def n_trainable(self) -> int:
        """Numbers that learn."""
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad)

    @property
    def n_total(self) -> int:
        """All numbers, those beside the base too."""
        return sum(p.numel() for p in self.network.parameters())

    def fractions(self) -> dict[str, float | int]:
        """Numbers that learn, their share of the base and of all; papers mean either by "%"."""
        n = self.n_trainable
        return {
            "n_base": self.n_base,
            "n_total": self.n_total,
            "n_trainable": n,
            "of_base": n / self.n_base,
            "of_total": n / self.n_total,
        }

    def train(self) -> None:
        """Training mode where something learns; a frozen network keeps the statistics it has."""
        network = self.network
        network.train()
        if isinstance(network, WithHead):
            network.base.eval()
        for layer in network.modules():
            fixed = not any(p.requires_grad for p in layer.parameters(recurse=False))
            if isinstance(layer, NORMS) and fixed:
                layer.eval()

    def trained(self) -> Iterator[tuple[str, np.ndarray]]:
        """Tensors that an adapter holds, by the names of `starsmith.learners.adapter`."""
        learning = {n for n, p in self.network.named_parameters() if p.requires_grad}
        kept = {
            id(layer)
            for layer in self.network.modules()
            if isinstance(layer, NORMS) and any(p.requires_grad for p in layer.parameters())
        }
        for prefix, layer in self.network.named_modules():
            if id(layer) in kept:  # means and variances moved with what learns
                learning |= {f"{prefix}.{name}" for name, _ in layer.named_buffers(recurse=False)}
        for name, value in self.network.state_dict().items():
            if name in learning:
                yield _stored_name(name, self.network), value.detach().cpu().numpy()


def _stored_name(name: str, network: nn.Module) -> str:
    if isinstance(network, WithHead):
        return name  # head.0.weight, ...
    if PARAMETRISED in name:
        layer, _, rest = name.rpartition("parametrizations.")
        weight, _, role = rest.partition(".")
        if role == "original":  # a new head that has a pair, too
            return f"set.{layer}{weight}"
        return f"low_rank.{layer}{weight}.{role.rpartition('.')[2]}"
    return f"set.{name}"


def _of_base(network: nn.Module) -> dict[str, nn.Parameter]:
    return dict(network.named_parameters())


def _zero_shot(network: nn.Module, strategy: Strategy, n_wave: int, n_output: int) -> nn.Module:
    return network


def _residual(network: nn.Module, strategy: Strategy, n_wave: int, n_output: int) -> nn.Module:
    device = next(network.parameters()).device
    return WithHead(network, n_wave, n_output, strategy.hidden).to(device)


def _lora(network: nn.Module, strategy: Strategy, n_wave: int, n_output: int) -> nn.Module:
    add_low_rank(network, strategy.targets, strategy.rank, strategy.alpha)
    for layer in network.modules():
        if isinstance(layer, LowRank):
            layer.requires_grad_(True)
    return network


def _everything(network: nn.Module, strategy: Strategy, n_wave: int, n_output: int) -> nn.Module:
    return network.requires_grad_(True)


def _linear_probe(network: nn.Module, strategy: Strategy, n_wave: int, n_output: int) -> nn.Module:
    head_of(network, n_output).requires_grad_(True)
    return network


def _bitfit(network: nn.Module, strategy: Strategy, n_wave: int, n_output: int) -> nn.Module:
    biases = [p for name, p in _of_base(network).items() if "bias" in name.rpartition(".")[2]]
    if not biases:
        raise ConfigError("--strategy bitfit: this network has no biases; choose another")
    for parameter in biases:
        parameter.requires_grad_(True)
    return network


STRATEGIES: dict[str, Callable[..., nn.Module]] = {
    "zero_shot": _zero_shot,
    "residual": _residual,
    "lora": _lora,
    "full": _everything,
    "scratch": _everything,
    "linear_probe": _linear_probe,
    "bitfit": _bitfit,
}
"""Name -> ``prepare(network, strategy, n_wave, n_output)``; nothing in that network learns yet."""


def list_strategies() -> list[str]:
    """Names of the strategies."""
    return list(STRATEGIES)


def register_strategy(name: str, prepare: Callable[..., nn.Module]) -> None:
    """Make a strategy of your own known; it returns the network, with what learns marked so.

    Raises
    ------
    ConfigError
        If the name is taken.
    """
    if name in STRATEGIES:
        raise ConfigError(f"a strategy named {name!r} is registered already; choose another name")
    STRATEGIES[name] = prepare


def head_of(network: nn.Module, n_output: int) -> nn.Linear:
    """The last linear layer; ConfigError if it does not give the labels."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    if not layers or layers[-1].out_features != n_output:
        raise ConfigError(
            "this network does not end in a linear layer: it takes neither linear_probe nor "
            "--new-head; choose full"
        )
    return layers[-1]


def adapt(network: nn.Module, strategy: Strategy, n_wave: int, n_output: int) -> Transferred:
    """Prepare a network for a strategy, in place; its numbers are drawn from torch's generator.

    Parameters
    ----------
    network : torch.nn.Module
        With the weights to begin with.
    strategy : Strategy
    n_wave, n_output : int

    Raises
    ------
    ConfigError
        If the network cannot take the strategy, or nothing of it would learn.
    """
    n_base = sum(p.numel() for p in network.parameters())
    network.requires_grad_(False)
    head = head_of(network, n_output) if strategy.new_head else None
    network = STRATEGIES[strategy.name](network, strategy, n_wave, n_output)
    if head is not None:
        head.requires_grad_(True)
    for pattern in strategy.freeze:
        found = [p for name, p in network.named_parameters() if fnmatchcase(name, pattern)]
        if not found:
            names = ", ".join(name for name, _ in network.named_parameters())
            raise ConfigError(f"--freeze {pattern}: no number has that name; there are {names}")
        for parameter in found:
            parameter.requires_grad_(False)
    prepared = Transferred(network, n_base)
    if strategy.name != "zero_shot" and not prepared.n_trainable:
        raise ConfigError(f"--strategy {strategy.name}: --freeze leaves nothing that learns")
    return prepared
