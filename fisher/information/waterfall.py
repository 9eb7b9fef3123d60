"""From everything known to everything fitted: what each unknown costs a bound."""

from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel
from starsmith.fisher.information.bounds import fisher_information
from starsmith.fisher.information.crlb import crlb_from_gram
from starsmith.fisher.information.nuisances import SHARED, Nuisances

__all__ = ["WaterfallStep", "every_nuisance", "waterfall"]

WORDS = {
    "amplitude": "amplitude",
    "continuum": "continuum, degree {n}",
    "rv": "radial velocity",
    "lsf": "width of the LSF",
    "sky": "sky residual",
    SHARED: "correlated noise",
}


@dataclass(frozen=True)
class WaterfallStep:
    """A bound with one unknown more than the step before.

    Attributes
    ----------
    name : str
        The unknown that joins; ``all else known`` for the first.
    sigma : float
        Median over stars of the bound on the standard deviation [label].
    factor : float
        Over that of the step before.
    """

    name: str
    sigma: float
    factor: float


def every_nuisance(bank: Bank) -> Nuisances:
    """All nuisances that the bank knows enough for, without priors."""
    return Nuisances(continuum=3, velocity=True, lsf=bool(bank.instrument.get("arms")), sky=True)


def _group(name: str) -> str:
    kinds = ("continuum", SHARED)
    return next((kind for kind in kinds if name.split("_")[0] == kind), name)


def waterfall(
    bank: Bank,
    draws: Draws,
    target: str,
    names: tuple[str, ...],
    nuisances: Nuisances | None = None,
    noise: NoiseModel = CALCULATOR,
) -> tuple[WaterfallStep, ...]:
    """Let unknowns join one after the other: labels, amplitude, nuisances.

    Parameters
    ----------
    bank : Bank
    draws : Draws
    target : str
    names : tuple of str
        Labels that are not known, the target among them.
    nuisances : Nuisances, optional
        `every_nuisance` by default; their priors count.
    noise : NoiseModel, optional

    Returns
    -------
    steps : tuple of WaterfallStep
        Bounds never fall from one step to the next.
    """
    nuisances = every_nuisance(bank) if nuisances is None else nuisances
    stars = fisher_information(bank, draws, target, names, "free", nuisances, noise)
    order = [target]
    for name in stars.names:
        if (group := _group(name)) not in order:
            order.append(group)
    joined = [k for k, name in enumerate(stars.names) if name == target]
    steps: list[WaterfallStep] = []
    for group in order:
        members = [k for k, name in enumerate(stars.names) if _group(name) == group]
        joined += [k for k in members if k not in joined]
        gram = stars.gram[:, joined][:, :, joined]
        sigma = float(np.median(np.sqrt(crlb_from_gram(gram, 0).sigma2)))
        words = WORDS.get(group, group).format(n=len(members)) if steps else "all else known"
        steps.append(WaterfallStep(words, sigma, sigma / steps[-1].sigma if steps else 1.0))
    return tuple(steps)
