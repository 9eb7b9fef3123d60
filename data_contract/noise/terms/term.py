"""What a noise term is: its switches, and what it does to each quantity that knows of noise.

Nothing heavy is imported here nor by the terms: the help of a command reads them. What computes
is imported by the hook that needs it.
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Switch", "Term"]


@dataclass(frozen=True, kw_only=True)
class Switch:
    """One entry of `NoiseModel`, which is one option of the commands.

    Attributes
    ----------
    name : str
    default : str or float
        The calculator's noise.
    meaning : str
        Help of the option.
    choices : tuple of str
        What a word may be; empty for a number.
    largest : float
        Of a number, which is at least 0.
    """

    name: str
    default: str | float = 0.0
    meaning: str
    choices: tuple[str, ...] = ()
    largest: float = 0.0

    @property
    def option(self) -> str:
        """Name on the command line."""
        return f"--{self.name.replace('_', '-')}"

    def fault(self, value: str | float) -> str:
        """What is wrong with a value, empty if nothing is."""
        if self.choices and value not in self.choices:
            return f"{self.option} {value} is not one of {list(self.choices)}"
        if not self.choices and not 0.0 <= value <= self.largest:
            return f"{self.option} {value:g} is outside 0..{self.largest:g}"
        return ""


@dataclass(frozen=True, kw_only=True)
class Term:
    """A noise term that can be switched on; hooks receive the value of its first switch.

    Attributes
    ----------
    switches : tuple of Switch
    stream : str
        Of `starsmith.data_contract.random.STREAMS`: where its random numbers come from.
    row : tuple of str
        Of the table in the documentation: name, default, random streams, cost.
    at : str or None
        The one choice that draws from the stream; any that is not the default unless given.
    budget : str
        Name of its variance in the budget; empty if it has none of its own.
    curve : str
        Label of its standard deviation in the figure.
    shapes : callable, optional
        (tables, value) -> float64 (n_mode, n_wave): fractional errors of the flux for standard
        normal amplitudes.
    modes : callable, optional
        (tables, conditions) -> float64 (n_spec, n_wave, n_mode): errors for standard normal
        amplitudes, part of the calculator's ``floor`` [1e-17 erg/s/cm²/Å].
    applied : callable, optional
        (tables, value) -> tables with what is switched off left out.
    lost : callable, optional
        (value, conditions, key, n_wave, realisation) -> uint16 (n_spec, n_wave): exposures lost.
    refusal : callable, optional
        (value) -> why ceilings cannot follow it.
    """

    switches: tuple[Switch, ...]
    stream: str
    row: tuple[str, str, str, str]
    at: str | None = None
    budget: str = ""
    curve: str = ""
    shapes: Callable | None = None
    modes: Callable | None = None
    applied: Callable | None = None
    lost: Callable | None = None
    refusal: Callable[[float], str] | None = None

    def documented(self) -> str:
        """Its line of the table in the documentation."""
        name, default, streams, cost = self.row
        options = ", ".join(f"`{switch.option}`" for switch in self.switches)
        if self.at and self.modes is None:
            options = f"`{self.switches[0].option} {self.at}`"
        return f"| {name} | {options} | {default} | {streams} | {cost} |"
