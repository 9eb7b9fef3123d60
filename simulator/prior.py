"""The prior: where labels, magnitudes and observing conditions are drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from starsmith.data_contract.described import described
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.quantities import (
    CONDITIONS,
    LABELS,
    NOT_EVERYWHERE,
    SCENE,
    STAR,
    moving,
    named,
    reddened,
)
from starsmith.data_contract.random import DrawKey, uniforms
from starsmith.data_contract.tables.population import Population
from starsmith.data_contract.unit_conversion import plain_value

__all__ = ["SPECVIT_RANGES", "Prior", "alpha_of_metallicity"]

SPECVIT_RANGES = {quantity.name: quantity.default for quantity in SCENE}
"""Table 2 of the SpecViT paper; everything uniform and continuous, stars at rest."""


def alpha_of_metallicity(m_h: np.ndarray | float) -> np.ndarray:
    """Usual [α/M] of the Galaxy's stars: 0 at [M/H] = 0 and above, +0.4 at -1 and below, linear.

    The trend of disc and halo (Wheeler, Sneden & Truran 1989, ARA&A 27, 279).
    """
    return 0.4 * np.clip(-np.asarray(m_h, dtype=np.float64), 0.0, 1.0)


@described
@dataclass(frozen=True)
class Prior:
    """Independent uniform priors, where a range of zero width is a constant; or stars of a table.

    Attributes
    ----------
    ranges : mapping of str to (min, max)
        Every label, ``mag``, ``rv``, ``ebv`` and every observing condition, in glossary units, or
        as Quantities, which are converted;
        without ``rv`` stars are at rest, without ``ebv`` nothing dims them.
    population : Population, optional
        Stars are drawn from its rows: what it has columns of keeps no other range than the
        table's own, everything else its uniform prior.
    alpha_width : float, optional
        [α/M] lies within this of the Galaxy's trend with [M/H] (`alpha_of_metallicity`), and
        within its own range.
    nodes : mapping of str to tuple of float, optional
        Nodes that all labels named here are moved to but one, chosen anew for each star: how
        the published data set was made. See `starsmith.simulator.presets`.

    Examples
    --------
    >>> starsmith.Prior.default().with_ranges(mag=(21.0, 22.0)).ranges["mag"]
    (21.0, 22.0)
    """

    ranges: Mapping[str, tuple[float, float]]
    population: Population | None = None
    nodes: Mapping[str, tuple[float, ...]] | None = None
    alpha_width: float | None = None

    def __post_init__(self):
        at_rest = {name: SPECVIT_RANGES[name] for name in NOT_EVERYWHERE}
        ranges = at_rest | {
            name: tuple(plain_value(name, end) for end in bounds)
            for name, bounds in self.ranges.items()
        }
        if self.population is not None:
            ranges |= self.population.ranges
        object.__setattr__(self, "ranges", ranges)
        if problems := sorted(set(SPECVIT_RANGES) ^ set(self.ranges)):
            raise ConfigError(
                f"prior ranges: unknown or missing {problems}; known are {sorted(SPECVIT_RANGES)}"
            )
        for name, (low, high) in self.ranges.items():
            floor, top = named(name).limits
            if not floor <= low <= high <= top:
                raise ConfigError(
                    f"{name} range {low:g}..{high:g} is not increasing within {floor:g}..{top:g}"
                )
        if any(value != int(value) for value in self.ranges["exp_count"]):
            raise ConfigError(f"exp_count {self.ranges['exp_count']} must be whole numbers")

    def _facts(self) -> dict[str, object]:
        varied = {name: bounds for name, bounds in self.ranges.items() if bounds[0] != bounds[1]}
        return {name: f"{low:g}..{high:g}" for name, (low, high) in varied.items()} | {
            "stars of": self.population.path if self.population else ""
        }

    @classmethod
    def default(cls) -> "Prior":
        """Return the prior of the SpecViT paper, Table 2."""
        return cls(dict(SPECVIT_RANGES))

    @property
    def moving(self) -> bool:
        """Whether stars have radial velocities."""
        return moving(self.ranges)

    @property
    def reddened(self) -> bool:
        """Whether there is dust before the stars."""
        return reddened(self.ranges)

    def recorded(self, label_names: Sequence[str] = ()) -> dict[str, list[float]]:
        """Ranges as files record them; ``rv``, ``ebv`` and ``vturb`` only where they act."""
        return {
            name: list(bounds)
            for name, bounds in self.ranges.items()
            if name not in NOT_EVERYWHERE or name in label_names or bounds != SPECVIT_RANGES[name]
        }

    def with_ranges(self, **ranges: tuple[float, float]) -> "Prior":
        """Return a copy with some ranges replaced.

        Raises
        ------
        ConfigError
            If a population decides one of them.
        """
        columns = self.population.columns if self.population is not None else {}
        if rivals := sorted(set(ranges) & set(columns)):
            raise ConfigError(
                f"{', '.join(rivals)} of stars drawn from {self.population.path} are the table's; "
                "leave these ranges out, or the population"
            )
        return replace(self, ranges={**self.ranges, **ranges})

    def middle(self, label_names: Sequence[str] = ()) -> "Prior":
        """Return the prior of one star: every range is its middle, whole for exposures.

        Parameters
        ----------
        label_names : sequence of str
            Labels of the grid. One that few grids have (``vturb``) keeps its range if it is not
            among them and nobody chose another.

        Raises
        ------
        ConfigError
            If stars are the rows of a table, which have no middle.

        Examples
        --------
        >>> starsmith.Prior.default().with_ranges(teff=(4750.0, 4750.0)).middle().ranges["logg"]
        (3.0, 3.0)
        """
        if self.population is not None:
            raise ConfigError(
                f"stars drawn from {self.population.path} have no middle; name one by its index"
            )
        settled = self.recorded(label_names)
        middles = {name: 0.5 * (low + high) for name, (low, high) in settled.items()}
        middles["exp_count"] = float(np.floor(middles["exp_count"]))
        return replace(
            self,
            ranges=self.ranges | {name: (at, at) for name, at in middles.items()},
            nodes=None,
            alpha_width=None,
        )

    def with_population(self, population: Population | None) -> "Prior":
        """Return a copy whose stars are the rows of a table."""
        return replace(self, population=population)

    def draw(
        self,
        seed: int,
        split: str,
        index: np.ndarray,
        label_names: tuple[str, ...] = LABELS[:3],
        attempt: int = 0,
    ) -> Draws:
        """Draw keyed labels, magnitudes and conditions.

        Parameters
        ----------
        seed : int
        split : str
            train, val or test.
        index : int array, shape (n_spec,)
        label_names : tuple of str
            Labels of the bank. A label outside it must keep its default, or a range of zero.
        attempt : int
            Replaces the labels by another draw of the same key.

        Returns
        -------
        draws : Draws

        Raises
        ------
        ConfigError
            If a range varies a label the bank does not have.
        """
        for name in LABELS:
            if name not in label_names and self.ranges[name] not in (
                (0.0, 0.0),
                SPECVIT_RANGES[name],
            ):
                low, high = self.ranges[name]
                raise ConfigError(
                    f"{name} {low:g}..{high:g} asked for, but the grid has only "
                    f"{list(label_names)}; drop --{name.replace('_', '-')} or use a grid with "
                    "that axis"
                )
        key = DrawKey(int(seed), split, np.asarray(index, dtype=np.int64))
        stars = self._stars(key, attempt)
        words = uniforms(key, "conditions", len(CONDITIONS))
        sky = {name: self._scale(name, words[:, k]) for k, name in enumerate(CONDITIONS)}
        return Draws.of_columns(key.seed, split, label_names, {"index": key.index, **stars, **sky})

    def _stars(self, key: DrawKey, attempt: int) -> dict[str, np.ndarray]:
        """Everything a star is, by name, float64 (n_spec,) each."""
        words = uniforms(key, "labels", len(STAR), attempt)
        stars = {name: self._scale(name, words[:, k]) for k, name in enumerate(STAR)}
        if self.nodes is not None:
            stars |= self._snapped(stars, key, attempt)
        if self.alpha_width is not None:
            low, high = self.ranges["a_m"]
            share = 2.0 * words[:, STAR.index("a_m")] - 1.0  # -1 to 1
            alpha = alpha_of_metallicity(stars["m_h"]) + self.alpha_width * share
            stars["a_m"] = np.clip(alpha, low, high)
        if self.population is not None:
            rows = self.population.rows(key, attempt)
            stars |= {name: values[rows] for name, values in self.population.columns.items()}
        return stars

    def _snapped(
        self, stars: Mapping[str, np.ndarray], key: DrawKey, attempt: int
    ) -> dict[str, np.ndarray]:
        """Labels on the nearest node, but for one of each star that stays where it is."""
        word = uniforms(key, "free_label", 1, attempt)[:, 0]
        free = np.floor(word * len(self.nodes))
        snapped = {}
        for k, (name, nodes) in enumerate(self.nodes.items()):
            nodes = np.asarray(nodes)
            nearest = nodes[np.abs(stars[name][:, None] - nodes).argmin(axis=1)]
            snapped[name] = np.where(free == k, stars[name], nearest)
        return snapped

    def _scale(self, name: str, word: np.ndarray) -> np.ndarray:
        low, high = self.ranges[name]
        if name == "exp_count":
            return np.floor(low + word * (high - low + 1.0))
        return low + word * (high - low)
