"""``specsim``: grids, banks, data sets and single spectra."""

import click

from starsmith.cli.shared.command import LazyGroup, version_option

__all__ = ["main"]

NAMES = ("bank", "cache", "example", "export", "generate", "grid", "instrument", "snr", "spectrum")


@click.group(
    cls=LazyGroup,
    name="specsim",
    places={name: f"starsmith.cli.sim.{name}:{name}" for name in NAMES},
)
@version_option()
def main():
    """Simulate Subaru/PFS spectra of stars."""


if __name__ == "__main__":
    main()
