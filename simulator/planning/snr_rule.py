"""What a signal-to-noise has to be: ``median >= 10 per pixel in 840-870nm of arm r``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from starsmith.data_contract.arms import ArmSpan, arm_named
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.snr_units import pixel_factors
from starsmith.data_contract.spelling import suggestion

__all__ = ["PixelLayout", "SnrRule", "parse_rules"]

STATISTICS = {"median": 50.0, "min": 0.0, "minimum": 0.0, "max": 100.0, "maximum": 100.0}
UNITS = {
    **dict.fromkeys(("pixel", "pixels", "pix", "px"), "pixel"),
    **dict.fromkeys(("angstrom", "a", "å", "aa"), "angstrom"),
    **dict.fromkeys(("element", "resel", "resolution element"), "element"),
}
ANGSTROMS = {"nm": 10.0, "um": 1e4, "a": 1.0, "aa": 1.0, "å": 1.0, "angstrom": 1.0}
NUMBER = r"\d{1,6}(?:\.\d{1,9})?"
RULE = re.compile(
    rf"(?:(?P<statistic>[a-z]+\d*)\s*)?(?:s/?n|snr)?\s*(?:>=|≥|=>|>|=)?\s*(?P<value>{NUMBER})"
    r"\s*(?:(?:per|/)\s*(?P<per>resolution element|[a-zå]+))?"
    r"\s*(?:(?:in|at|of|over)\s+(?P<where>.+))?",
    re.IGNORECASE,
)
WINDOW = re.compile(rf"({NUMBER})\s*([a-zå]*)\s*(?:-|–|\.\.|to)\s*({NUMBER})\s*([a-zå]*)", re.I)
FILLERS = ("", "all", "arm", "arms", "in", "of", "the", "wavelengths")
EXAMPLE = "write 'median>=10 in 840-870nm', 'p10>=5 per angstrom in arm r', joined by and"


@dataclass(frozen=True)
class PixelLayout:
    """Where pixels are, and what a signal-to-noise per pixel is per Å and per element.

    Attributes
    ----------
    wave : float64 array, shape (n_wave,)
        Vacuum [Å].
    arms : tuple of ArmSpan
    factors : mapping of str to float64 array, shape (n_wave,)
        See `starsmith.data_contract.snr_units.pixel_factors`.
    """

    wave: np.ndarray
    arms: tuple[ArmSpan, ...]
    factors: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, instrument: Mapping, wave: np.ndarray, arms: Sequence[ArmSpan]) -> "PixelLayout":
        """Layout of an instrument's resolved figures."""
        return cls(wave, tuple(arms), pixel_factors(instrument, wave, arms))


@dataclass(frozen=True, kw_only=True)
class SnrRule:
    """A signal-to-noise that has to be reached.

    Attributes
    ----------
    at_least : float
    statistic : str
        Over the pixels: ``median``, ``mean``, ``min``, ``max`` or a percentile, ``p10``.
    per : str
        ``pixel``, ``angstrom`` or ``element`` (of resolution).
    window : (float, float), optional
        Vacuum wavelengths [Å]; all of the arm's by default.
    arm : str
        Name or first letter; all arms if empty.

    Examples
    --------
    >>> str(SnrRule(at_least=10.0, window=(8400.0, 8700.0)))
    'median S/N >= 10 per pixel in 840-870 nm of all arms'
    """

    at_least: float
    statistic: str = "median"
    per: str = "pixel"
    window: tuple[float, float] | None = None
    arm: str = ""

    def __post_init__(self):
        if not self.at_least > 0:
            raise ConfigError(f"--target-snr {self.at_least:g}: a S/N above 0 is needed")

    def __str__(self) -> str:
        where = (
            "all wavelengths"
            if self.window is None
            else "{:g}-{:g} nm".format(*(0.1 * end for end in self.window))
        )
        arms = f"arm {self.arm}" if self.arm else "all arms"
        per = "resolution element" if self.per == "element" else self.per
        return f"{self.statistic} S/N >= {self.at_least:g} per {per} in {where} of {arms}"

    def pixels(self, layout: PixelLayout) -> np.ndarray:
        """Pixels that count, bool (n_wave,).

        Raises
        ------
        ConfigError
            If there are none, or no such arm.
        """
        wave = layout.wave
        chosen = np.ones(wave.size, dtype=bool)
        if self.arm:
            try:
                span = arm_named(layout.arms, self.arm)
            except DataError as problem:
                raise ConfigError(f"--target-snr: {problem}") from None
            chosen[:] = False
            chosen[span.pixels] = True
        if self.window is not None:
            chosen &= (wave >= self.window[0]) & (wave <= self.window[1])
        if not chosen.any():
            spans = ", ".join(
                f"{arm.name} {0.1 * wave[arm.pixels][0]:.0f}-{0.1 * wave[arm.pixels][-1]:.0f} nm"
                for arm in layout.arms
            )
            raise ConfigError(f"--target-snr '{self}': no pixel is there; the arms are {spans}")
        return chosen

    def of(self, snr: np.ndarray, layout: PixelLayout) -> np.ndarray:
        """The statistic, float64 (n_spec,), of a signal-to-noise per pixel (n_spec, n_wave)."""
        if self.per not in layout.factors:
            raise ConfigError(
                f"--target-snr '{self}': this instrument's file holds no line width; "
                "ask per pixel or per angstrom"
            )
        chosen = self.pixels(layout)
        values = snr[:, chosen] * layout.factors[self.per][chosen]
        if self.statistic == "mean":
            return values.mean(axis=1)
        return np.percentile(values, _percentile(self.statistic), axis=1)


def _percentile(statistic: str) -> float | None:
    if statistic in STATISTICS:
        return STATISTICS[statistic]
    match = re.fullmatch(r"p(\d{1,2})", statistic)
    return float(match[1]) if match else None


def parse_rules(text: str) -> tuple[SnrRule, ...]:
    """Rules of ``median>=10 in 840-870nm and min>=3 in arm b``; what is left out is the default.

    Joined by ``and``, a comma or a semicolon. Statistic: median, mean, min, max, p10. Per pixel,
    angstrom or element. Where: a window with its unit, an arm, or both.

    Raises
    ------
    ConfigError
        Naming the part that cannot be read, and how to write it.
    """
    parts = [part for part in re.split(r"\s+and\s+|\s*[,;&]\s*", text.strip()) if part]
    if not parts:
        raise ConfigError(f"--target-snr is empty; {EXAMPLE}")
    return tuple(map(_rule, parts))


def _rule(part: str) -> SnrRule:
    match = RULE.fullmatch(part.strip())
    if match is None:
        raise ConfigError(f"--target-snr {part!r} cannot be read; {EXAMPLE}")
    statistic = (match["statistic"] or "median").lower()
    statistic = "median" if statistic in ("snr", "sn") else statistic
    if statistic != "mean" and _percentile(statistic) is None:
        near = suggestion(statistic, ("mean", *STATISTICS))
        raise ConfigError(
            f"--target-snr {part!r}: {statistic!r} is no statistic{near}; median, mean, min, max "
            "and percentiles as p10 are"
        )
    per = (match["per"] or "pixel").lower()
    if per not in UNITS:
        raise ConfigError(
            f"--target-snr {part!r}: S/N per {per!r}{suggestion(per, UNITS)}; per pixel, angstrom "
            "or element"
        )
    window, arm = _where(match["where"] or "", part)
    return SnrRule(
        at_least=float(match["value"]),
        statistic={"minimum": "min", "maximum": "max"}.get(statistic, statistic),
        per=UNITS[per],
        window=window,
        arm=arm,
    )


def _where(text: str, part: str) -> tuple[tuple[float, float] | None, str]:
    """Window [Å] and arm of ``arm b 450-500nm``, ``840-870 nm of arm r``, ``nir``."""
    window = None
    if match := WINDOW.search(text):
        unit = (match[4] or match[2]).lower()
        if unit not in ANGSTROMS:
            raise ConfigError(
                f"--target-snr {part!r}: the window needs nm or Angstrom; write "
                f"{match[1]}-{match[3]}nm"
            )
        low, high = (float(match[k]) * ANGSTROMS[unit] for k in (1, 3))
        if low >= high:
            raise ConfigError(
                f"--target-snr {part!r}: the window runs downwards; did you mean "
                f"{match[3]}-{match[1]}{unit}?"
            )
        window, text = (low, high), text[: match.start()] + " " + text[match.end() :]
    words = [word for word in re.split(r"[\s()]+", text) if word.lower() not in FILLERS]
    if len(words) > 1:
        raise ConfigError(f"--target-snr {part!r}: {' '.join(words)!r} is no arm; {EXAMPLE}")
    return window, words[0] if words else ""
