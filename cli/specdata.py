"""``specdata``: what a file is, whether it is intact, conversion, and observed spectra."""

import click

from starsmith.cli.shared.about import ABOUT
from starsmith.cli.shared.command import LazyGroup, version_option

__all__ = ["main"]

NAMES = (
    *("check-leakage", "compile-labels", "convert", "crossmatch", "fetch", "finish", "info"),
    *("ingest", "plot", "repair", "repeats", "select", "verify"),
)


@click.group(
    cls=LazyGroup,
    name="specdata",
    places=ABOUT
    | {name: "starsmith.cli.data.{0}:{0}".format(name.replace("-", "_")) for name in NAMES},
)
@version_option()
def main() -> None:
    """Look at, verify and convert starsmith data sets, and bring observed spectra into them."""


if __name__ == "__main__":
    main()
