"""The demonstration grids that are known by name: their ranges and sampling."""

from starsmith.data_contract.errors import GridError
from starsmith.simulator.synthesis import Sampling

__all__ = ["DEMO_RANGES", "demo_sampling"]

DEMO_RANGES = {
    "demo": Sampling(),
    "demo-optical": Sampling(3200.0, 10_600.0, resolution=10_000.0, stride=10),
    "demo-h": Sampling(15_000.0, 17_000.0, resolution=35_000.0, stride=3),
}
"""Name -> range and sampling; nodes are those of `demo_axes`."""


def demo_sampling(name: str) -> Sampling:
    """Sampling of a named grid; GridError where the name is unknown."""
    if name not in DEMO_RANGES:
        raise GridError(f"no demonstration grid {name!r}; choose one of {', '.join(DEMO_RANGES)}")
    return DEMO_RANGES[name]
