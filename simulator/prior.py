"""The prior: where labels, magnitudes and observing conditions are drawn from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.names import CONDITIONS, LABELS
from starsmith.data_contract.random import uniforms

__all__ = ["SPECVIT_RANGES", "Prior"]

SPECVIT_RANGES = {
    "teff": (3750.0, 6000.0),
    "logg": (1.0, 5.0),
    "m_h": (-2.5, 0.75),
    "a_m": (0.0, 0.0),
    "c_m": (0.0, 0.0),
    "mag": (20.5, 22.5),
    "rv": (0.0, 0.0),
    "seeing": (0.5, 1.5),
    "zenith_angle": (0.0, 45.0),
    "field_angle": (0.0, 0.65),
    "moon_zenith_angle": (30.0, 90.0),
    "moon_target_angle": (60.0, 180.0),
    "moon_phase": (0.0, 0.0),
    "exp_time": (900.0, 900.0),
    "exp_count": (12.0, 12.0),
}
"""Table 2 of the SpecViT paper; everything uniform and continuous, stars at rest."""

LIMITS = {
    "teff": (1000.0, 100000.0),
    "mag": (-30.0, 40.0),
    "rv": (-1000.0, 1000.0),
    "seeing": (0.0, 10.0),
    "zenith_angle": (0.0, 90.0),
    "field_angle": (0.0, 10.0),
    "moon_zenith_angle": (0.0, 180.0),
    "moon_target_angle": (0.0, 180.0),
    "moon_phase": (0.0, 1.0),
    "exp_time": (0.0, 1e6),
    "exp_count": (1.0, 1e4),
}
"""What a range may contain at all; the grid and the instrument narrow it further."""

LABEL_WORDS = (*LABELS, "mag", "rv")  # word of the random block; new quantities are appended


@dataclass(frozen=True)
class Prior:
    """Independent uniform priors; a range of zero width is a constant.

    Attributes
    ----------
    ranges : mapping of str to (min, max)
        Every label, ``mag``, ``rv`` and every observing condition, in glossary units; without
        ``rv`` stars are at rest.
    """

    ranges: Mapping[str, tuple[float, float]]

    def __post_init__(self):
        object.__setattr__(self, "ranges", {"rv": SPECVIT_RANGES["rv"]} | dict(self.ranges))
        if problems := sorted(set(SPECVIT_RANGES) ^ set(self.ranges)):
            raise ConfigError(
                f"prior ranges: unknown or missing {problems}; known are {sorted(SPECVIT_RANGES)}"
            )
        for name, (low, high) in self.ranges.items():
            floor, top = LIMITS.get(name, (-10.0, 10.0))
            if not floor <= low <= high <= top:
                raise ConfigError(
                    f"{name} range {low:g}..{high:g} is not increasing within {floor:g}..{top:g}"
                )
        if any(value != int(value) for value in self.ranges["exp_count"]):
            raise ConfigError(f"exp_count {self.ranges['exp_count']} must be whole numbers")

    @classmethod
    def default(cls) -> "Prior":
        """Return the prior of the SpecViT paper, Table 2."""
        return cls(dict(SPECVIT_RANGES))

    @property
    def moving(self) -> bool:
        """Whether stars have radial velocities."""
        return any(self.ranges["rv"])

    def recorded(self) -> dict[str, list[float]]:
        """Ranges as files record them; ``rv`` only where stars move."""
        return {
            name: list(bounds)
            for name, bounds in self.ranges.items()
            if name != "rv" or self.moving
        }

    def with_ranges(self, **ranges: tuple[float, float]) -> "Prior":
        """Return a copy with some ranges replaced."""
        return Prior({**self.ranges, **ranges})

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
            Labels of the bank. A label outside it must have a constant range of zero.
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
            if name not in label_names and self.ranges[name] != (0.0, 0.0):
                low, high = self.ranges[name]
                raise ConfigError(
                    f"{name} {low:g}..{high:g} asked for, but the grid has only "
                    f"{list(label_names)}; drop --{name.replace('_', '-')} or use a grid with "
                    "that axis"
                )
        index = np.asarray(index, dtype=np.int64)
        words = uniforms(seed, "labels", split, index, len(LABEL_WORDS), attempt)
        labels = np.empty((index.size, len(label_names)))
        for k, name in enumerate(label_names):
            labels[:, k] = self._scale(name, words[:, LABEL_WORDS.index(name)])
        mag, rv = (self._scale(name, words[:, LABEL_WORDS.index(name)]) for name in ("mag", "rv"))
        words = uniforms(seed, "conditions", split, index, len(CONDITIONS))
        conditions = np.empty((index.size, len(CONDITIONS)))
        for k, name in enumerate(CONDITIONS):
            conditions[:, k] = self._scale(name, words[:, k])
        return Draws(
            seed=int(seed),
            split=split,
            index=index,
            label_names=tuple(label_names),
            labels=labels,
            mag=mag,
            conditions=conditions,
            rv=rv,
        )

    def _scale(self, name: str, word: np.ndarray) -> np.ndarray:
        low, high = self.ranges[name]
        if name == "exp_count":
            return np.floor(low + word * (high - low + 1.0))
        return low + word * (high - low)
