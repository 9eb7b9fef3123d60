"""``specsim``: grids, banks, data sets and single spectra."""

import click

from starsmith.cli.shared.about import ABOUT
from starsmith.cli.shared.command import LazyGroup, version_option

__all__ = ["main"]

NAMES = (
    *("bank", "cache", "example", "explore", "export", "generate", "snr", "spectrum"),
    "targets",
)
GRID = "starsmith.cli.sim.grid"
INSTRUMENT = "starsmith.cli.sim.instrument"


@click.group(
    cls=LazyGroup,
    name="specsim",
    places={**ABOUT, **{name: f"starsmith.cli.sim.{name}:{name}" for name in NAMES}},
)
@version_option()
def main() -> None:
    """Simulate Subaru/PFS spectra of stars."""


@main.group(
    cls=LazyGroup,
    places={
        **{
            name: f"{GRID}.{name}:{name}"
            for name in ("build", "check", "errors", "fetch", "info", "plot")
        },
        "import": f"{GRID}.import_grid:import_grid",
    },
)
def grid() -> None:
    """Build, import and look at stellar grids."""


@main.group(
    cls=LazyGroup,
    places={
        "import": f"{INSTRUMENT}.import_instrument:import_instrument",
        "list": f"{INSTRUMENT}.list_instruments:list_instruments",
        "show": f"{INSTRUMENT}.show:show",
        "validate": f"{INSTRUMENT}.validate:validate",
    },
)
def instrument() -> None:
    """Look at instruments, and check them against the exposure-time calculator."""


if __name__ == "__main__":
    main()
