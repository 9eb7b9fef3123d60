"""``specfisher``: how good any estimator could be."""

import click

from starsmith.cli.shared.about import ABOUT
from starsmith.cli.shared.command import LazyGroup, version_option

__all__ = ["main"]

NAMES = ("ceiling", "check", "compare", "info", "plan", "selftest")
PLACES = {name: f"starsmith.cli.fisher.{name}:{name}" for name in NAMES}


@click.group(
    cls=LazyGroup,
    name="specfisher",
    places={**ABOUT, **PLACES, "map": "starsmith.cli.fisher.map:sigma_map"},
)
@version_option()
def main() -> None:
    """Bound what any estimator can learn from a spectrum."""


if __name__ == "__main__":
    main()
