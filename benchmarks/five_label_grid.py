r"""A demonstration grid of five labels that is made in minutes: 1,500 nodes, coarser than ``5d``.

    python -m benchmarks.five_label_grid small5.zarr
    specsim bank --grid small5.zarr --out five.zarr
    specsim generate --bank five.zarr --teff 4000..6000 --logg 1..5 --m-h=-2.5..0.5 \
        --a-m=-0.25..0.5 --c-m=-0.5..0.5 --splits train=1000,val=1000,test=2000 --out five_data.zarr
    speclearn train five_data.zarr --target logg --target teff --target m_h --target a_m \
        --target c_m --epochs 12 --out five_model
    python -m benchmarks.posterior_quality five_model five_data.zarr --stars 1000 --masked 0

The last line has the efficiency of every label.
"""

import argparse
from pathlib import Path

import numpy as np

from starsmith.data_contract.grid.grid_file import write_grid
from starsmith.simulator.grids.demo import build_demo_grid

AXES = {
    "teff": np.linspace(4000.0, 6000.0, 5),
    "logg": np.linspace(1.0, 5.0, 5),
    "m_h": np.linspace(-2.5, 0.5, 5),
    "a_m": np.linspace(-0.25, 0.5, 4),
    "c_m": np.linspace(-0.5, 0.5, 3),
}


def main() -> None:
    """Write the grid."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    write_grid(parser.parse_args().out, build_demo_grid(axes=AXES))


if __name__ == "__main__":
    main()
