"""How well a radial velocity can be known: Cramér-Rao bounds of stars, by S/N; never an R².

A velocity has no spread of its own that a share of it could be explained of: an R² would tell
how wide the prior was drawn. Bounds are those of the star at rest under the same sky.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.noise.view import CALCULATOR, NoiseModel
from starsmith.data_contract.quantities import SNR_EDGES
from starsmith.fisher.ceilings.bins import bin_name
from starsmith.fisher.information.crlb import crlb_from_gram
from starsmith.fisher.information.nuisances import Nuisances, prior_precision, star_columns
from starsmith.simulator.observe import draw_stars
from starsmith.simulator.prior import Prior

__all__ = ["VelocityBounds", "velocity_bounds"]

BLOCK = 64  # stars whose derivatives are held at a time


@dataclass(frozen=True)
class VelocityBounds:
    """Least errors of the radial velocity, star by star.

    Attributes
    ----------
    snr : float64, shape (n_spec,)
        Median over pixels.
    sigma : float64, shape (n_spec,)
        Cramér-Rao bound, labels and amplitude fitted too [km/s].
    fixed : float64, shape (n_spec,)
        The same with all else known [km/s].
    fitted : tuple of str
    """

    snr: np.ndarray
    sigma: np.ndarray
    fixed: np.ndarray
    fitted: tuple[str, ...]

    def rows(self, edges: tuple[float, ...] = SNR_EDGES) -> list[dict]:
        """All stars, then each bin of S/N that holds one: bounds at their percentiles."""
        spans = [("all", np.ones(len(self.snr), dtype=bool))]
        spans += [
            (bin_name(low, high), (self.snr >= low) & (self.snr < high))
            for low, high in pairwise(edges)
        ]
        found = []
        for name, some in spans:
            if some.any():
                low, middle, high = np.percentile(self.sigma[some], [10, 50, 90])
                found.append(
                    {
                        "snr": name,
                        "n": int(some.sum()),
                        "sigma_p10": float(low),
                        "sigma_p50": float(middle),
                        "sigma_p90": float(high),
                        "labels_known_p50": float(np.median(self.fixed[some])),
                    }
                )
        return found


def velocity_bounds(
    bank: Bank,
    prior: Prior,
    draws: Draws | None = None,
    noise: NoiseModel = CALCULATOR,
    n_star: int = 2000,
    seed: int = 0,
) -> VelocityBounds:
    """Cramér-Rao bounds on the radial velocity of stars.

    Parameters
    ----------
    bank : Bank
    prior : Prior
        Labels it varies are fitted with the amplitude and the velocity.
    draws : Draws, optional
        Stars; without, ``n_star`` are drawn from the prior.
    noise : NoiseModel
    n_star : int
        The first so many.
    seed : int
        Of stars that are drawn.
    """
    if draws is None:
        draws = draw_stars(bank, prior, seed, "test", np.arange(n_star))
    draws = draws.take(np.arange(min(n_star, len(draws))))
    names = tuple(n for n in bank.label_names if prior.ranges[n][1] > prior.ranges[n][0])
    snr, sigma, fixed = (np.empty(len(draws)) for _ in range(3))
    chosen, fitted = Nuisances(velocity=True), names
    for start in range(0, len(draws), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(draws)))
        columns, variance = star_columns(bank, draws.take(rows), names, "free", chosen, noise)
        snr[rows] = np.median(columns.flux / np.sqrt(variance), axis=1)
        whitened = columns.values / np.sqrt(variance)[:, None]
        gram = whitened @ whitened.transpose(0, 2, 1)
        gram += np.diag(prior_precision(columns.names, chosen))
        bound = crlb_from_gram(gram, columns.names.index("rv"))
        sigma[rows], fixed[rows], fitted = *np.sqrt((bound.sigma2, bound.fixed)), columns.names
    return VelocityBounds(snr, sigma, fixed, fitted)
