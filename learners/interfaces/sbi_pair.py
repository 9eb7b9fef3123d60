"""Simulator and prior as the package sbi takes them: simulation-based inference on our spectra."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.distributions import Independent, Uniform

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.online.cpu_bank import open_source
from starsmith.learners.online.torch_bank import TRAINING, Stars

if TYPE_CHECKING:
    from starsmith.data_contract.bank.bank_file import Bank

__all__ = ["simulator_and_prior"]

Simulator = Callable[[torch.Tensor], torch.Tensor]
SPLIT = "train"


def simulator_and_prior(
    bank: "Bank", ranges: Mapping[str, tuple[float, float]], seed: int = 0
) -> tuple[Simulator, Independent, tuple[str, ...]]:
    """A simulator of observed spectra and the prior of its parameters, for ``sbi``.

    Parameters
    ----------
    bank : Bank
    ranges : mapping of str to (min, max)
        Of every label, ``mag`` and condition: ``Prior.default().ranges``. Labels and ``mag`` whose
        range has a width are parameters; conditions are drawn anew for every spectrum.
    seed : int
        Of conditions and noise; no call sees the noise of another.

    Returns
    -------
    simulator : callable
        float32 tensor (n_spec, n_parameter) -> observed flux over its median, (n_spec, n_wave).
        NaN where a star leans on a hole of the grid, or leaves it, or has a median that is not
        positive: sbi leaves those out.
    prior : torch.distributions.Independent
        Uniform in the box of the ranges.
    names : tuple of str
        Of the parameters, in their order.

    Raises
    ------
    ConfigError
        If no range has a width.

    Examples
    --------
    >>> from starsmith.learners.interfaces.sbi_pair import simulator_and_prior
    >>> simulate, box, names = simulator_and_prior(bank, prior.ranges)
    >>> simulate(box.sample((3,))).shape[0], names
    (3, ('teff', 'logg', 'm_h', 'mag'))
    """
    every = (*bank.label_names, "mag")
    names = tuple(name for name in every if ranges[name][1] > ranges[name][0])
    if not names:
        raise ConfigError("no label varies and mag does not: there is nothing to infer")
    low, high = torch.tensor([ranges[name] for name in names], dtype=torch.float32).T
    source = open_source(bank, ranges, seed, torch.device("cpu"))
    holes = bank.filled
    ends = np.array([(nodes[0], nodes[-1]) for nodes in bank.axes])
    drawn = 0

    def simulator(parameters: torch.Tensor) -> torch.Tensor:
        """Observed flux over its median of stars of these parameters."""
        nonlocal drawn
        theta = torch.atleast_2d(parameters).double().cpu()
        index = torch.arange(drawn, drawn + len(theta))
        drawn += len(theta)
        stars = source.draw(index, SPLIT, TRAINING)
        values = torch.cat([stars.labels, stars.mag[:, None]], dim=1)
        for k, name in enumerate(names):
            values[:, every.index(name)] = theta[:, k]
        labels = values[:, :-1].numpy()
        known = ((labels >= ends[:, 0]) & (labels <= ends[:, 1])).all(axis=1)
        inside = torch.from_numpy(np.clip(labels, ends[:, 0], ends[:, 1]))
        rows, weights = source.support(inside)
        own = Stars(index, inside, values[:, -1].contiguous(), stars.conditions, rows, weights)
        flux, _ = source.observe(own, SPLIT, TRAINING)
        level = flux.median(dim=1, keepdim=True).values
        flux = flux / level
        known &= ~holes[rows.numpy()].any(axis=1) & (level[:, 0] > 0).numpy()
        flux[~torch.from_numpy(known)] = torch.nan
        return flux if parameters.ndim > 1 else flux[0]

    return simulator, Independent(Uniform(low, high), 1), names
