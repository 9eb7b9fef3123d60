"""A trained network as a function of spectra, and networks read back from their checkpoints."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from starsmith.data_contract.errors import ContractError
from starsmith.learners.device import pick_device
from starsmith.learners.networks import create_model
from starsmith.learners.networks.blocks import readout_of_weights
from starsmith.learners.networks.residual import WithHead
from starsmith.learners.preprocess import iterate_blocks
from starsmith.learners.recipe import UNCERTAIN_LOSSES
from starsmith.learners.training.memory import OutOfMemory, is_memory_error
from starsmith.learners.training.optimise import split_uncertainty

__all__ = ["AUTOCAST", "NetworkEstimator", "load_network"]

AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}
PREDICT_ROWS = 512


@dataclass(frozen=True)
class NetworkEstimator:
    """A network as a function of standardised flux.

    Attributes
    ----------
    model : torch.nn.Module
    uncertainty : bool
        Whether its second half of outputs are log variances.
    precision : str
        What its products are computed in, as of a recipe.
    """

    model: nn.Module
    uncertainty: bool
    precision: str = "float32"

    @torch.no_grad()
    def __call__(self, scaled: np.ndarray | torch.Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """Z-scores and their 1σ (or None), float32 (n_spec, n_label), of (n_spec, n_wave).

        Raises
        ------
        OutOfMemory
            If not even one spectrum fits the device.
        """
        self.model.eval()
        output = self._output(torch.as_tensor(scaled)).cpu()  # the device is waited for once
        if not self.uncertainty:
            return output.numpy(), None
        mean, log_variance = split_uncertainty(output)
        return mean.numpy(), torch.exp(0.5 * log_variance).numpy()

    def _output(self, scaled: torch.Tensor) -> torch.Tensor:
        """Outputs for all spectra, in as large blocks as fit."""
        rows = PREDICT_ROWS
        while rows:
            try:
                return torch.cat(list(self._blocks(scaled, rows)))
            except (RuntimeError, MemoryError) as problem:
                if not is_memory_error(problem):
                    raise
            rows //= 2
        raise OutOfMemory(
            f"one spectrum of {scaled.shape[1]} pixels needs more memory than "
            f"{next(self.model.parameters()).device} has; free it, or give --device cpu"
        )

    def _blocks(self, scaled: torch.Tensor, n_row: int) -> Iterator[torch.Tensor]:
        device, dtype = next(self.model.parameters()).device, AUTOCAST.get(self.precision)
        for rows in iterate_blocks(len(scaled), n_row):
            part = scaled[rows].to(device, non_blocking=True)
            short = n_row - len(part) if device.type == "cuda" and len(scaled) > n_row else 0
            if short:  # a compiled network is compiled for every size
                part = nn.functional.pad(part, (0, 0, 0, short))
            with torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None):
                output = self.model(part).float()
            yield output[: n_row - short] if short else output


def load_network(
    path: Path, card: dict, weights: dict[str, np.ndarray], device: str | None
) -> NetworkEstimator:
    """Rebuild the network of a checkpoint folder; ContractError if its weights do not fit."""
    where, uncertainty = pick_device(device), card["recipe"].get("loss") in UNCERTAIN_LOSSES

    def create() -> nn.Module:
        n_wave, options = card["wave"]["n_wave"], readout_of_weights(card["options"], weights)
        labels = card["labels"]
        network = create_model(
            card["model"], labels, n_wave=n_wave, uncertainty=uncertainty, **options
        )
        hidden = card.get("residual", 0)  # units of a head that a fine-tuning added
        n_output = len(labels) * (1 + uncertainty)
        return WithHead(network, n_wave, n_output, hidden) if hidden else network

    # a single number, as a BatchNorm's count, is stored as an array of one
    shapes = {name: tuple(values.shape) or (1,) for name, values in weights.items()}
    try:
        with torch.device("meta"):  # no memory: options of a damaged card may ask for any
            planned = {name: tuple(v.shape) or (1,) for name, v in create().state_dict().items()}
        if planned != shapes:
            raise ValueError("their shapes differ")
        model = create()
        model.load_state_dict({name: torch.from_numpy(v) for name, v in weights.items()})
    except (RuntimeError, TypeError, ValueError, ArithmeticError, LookupError) as problem:
        raise ContractError(
            f"{path}: the weights do not fit model {card['model']!r} ({problem}); fit it again"
        ) from None
    return NetworkEstimator(model.to(where).eval(), uncertainty)
