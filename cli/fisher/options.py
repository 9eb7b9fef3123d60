"""Options that the commands of ``specfisher`` share."""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from starsmith.cli.shared.option_table import PATH, option, takes
from starsmith.cli.shared.option_types import Count, Labels, Named, Values
from starsmith.cli.shared.options import seed_option
from starsmith.data_contract.errors import ConfigError

if TYPE_CHECKING:
    from starsmith.fisher.ceilings.options import CeilingOptions
    from starsmith.fisher.information.nuisances import Nuisances
    from starsmith.simulator.prior import Prior

__all__ = [
    "UNUSED_BY_CEILINGS",
    "effort_options",
    "normalise_option",
    "nuisance_option",
    "parse_nuisances",
    "plot_option",
    "refuse_moving",
    "star_option",
    "target_option",
]

UNUSED_BY_CEILINGS = ("n", "splits", "store", "format", "workers", "overwrite", "out", "seed")
NUISANCE = r"(?P<name>rv|lsf|sky|continuum)(?::(?P<degree>[1-9]))?(?:=(?P<prior>\d+(?:\.\d+)?))?"


def normalise_option() -> Any:
    """``--normalise``: what is known of a spectrum's amplitude."""
    return option(
        type=Named(["free", "known", "absolute"]),
        default="free",
        help="Amplitude unknown; its noise-free median known; the magnitude known.",
    )


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How thoroughly ceilings are computed."""

    normalise: str = normalise_option()
    n_star: int = option(type=Count(30), default=2000, help="Test stars scored.")
    n_template: int = option(
        type=Count(1000), default=40_000, help="Prior draws behind the posterior mean."
    )
    seed: int = seed_option()


def _ceiling_options(chosen: dict[str, Any]) -> "CeilingOptions":
    from starsmith.fisher.ceilings.options import CeilingOptions

    return CeilingOptions(**chosen)


effort_options = replace(takes(Effort), build=_ceiling_options)
"""``--normalise --n-star --n-template --seed``: one `CeilingOptions`."""


def nuisance_option() -> Any:
    """``--nuisance``: what is fitted besides labels."""
    return option(
        default="",
        help="Fitted as well in Cramér-Rao bounds: rv, continuum:3, lsf, sky; with a prior, rv=5.",
    )


def target_option() -> Any:
    """``--target``: the label that is asked about."""
    return option(type=Labels(), default="logg")


def star_option() -> Any:
    """``--star``: labels of one star."""
    return option(type=Values(), required=True, help="The star; labels left out are mid-range.")


def plot_option() -> Any:
    """``--plot``: a figure to write."""
    return option(type=PATH, help="Figure (png, pdf, svg).")


def refuse_moving(prior: "Prior") -> None:
    """Raise ConfigError where stars have velocities, which these bounds would ignore."""
    if prior.moving:
        raise ConfigError("--rv: these are bounds of stars at rest; drop --rv")


def parse_nuisances(text: str) -> "Nuisances":
    """Read ``rv=5,continuum:3,lsf,sky=0.01``: names, a degree after a colon, a prior after =.

    Raises
    ------
    ConfigError
        Naming the part that cannot be read.
    """
    from starsmith.fisher.information.nuisances import Nuisances

    chosen: dict = {"priors": ()}
    for part in filter(None, (word.strip() for word in text.split(","))):
        match = re.fullmatch(NUISANCE, part, re.ASCII)
        name = match and match["name"]
        if name is None or (name == "continuum") != (match["degree"] is not None):
            raise ConfigError(
                f"--nuisance {part!r} cannot be read; write rv, continuum:DEGREE, lsf or sky, with "
                "a prior's width after =, like rv=5,continuum:3,sky=0.01"
            )
        if name == "continuum":
            chosen["continuum"] = int(match["degree"])
        else:
            chosen["velocity" if name == "rv" else name] = True
        if match["prior"]:
            columns = [name]
            if name == "continuum" and chosen["continuum"] > 1:
                columns = [f"continuum_{k}" for k in range(chosen["continuum"])]
            chosen["priors"] += tuple((column, float(match["prior"])) for column in columns)
    return Nuisances(**chosen)
