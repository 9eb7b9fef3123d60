"""Write the maps of trust that are packaged with the demo grid, and the table of the docs.

    python -m benchmarks.grid_maps [--grids demo;demo-h]

*Structures*: at nodes of ATLAS9 that are the middles of doubled cells, spectra of the model
against those of the structure interpolated from every second model. *Interpolation*: the middle of
every cell synthesized against what the grid's spline gives (as many models again as the grid has;
interrupted, it goes on). Both go to ``simulator/grids/demo_maps.json``, which belongs to one
physics version and one set of nodes.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np

from benchmarks.atmospheres import every_second_model
from benchmarks.timing import machine
from starsmith.data_contract.quality_map import QualityMap
from starsmith.simulator.figures.quality_figure import plot_quality
from starsmith.simulator.grids import StellarGrid
from starsmith.simulator.grids.cached_demo import named_grid_key
from starsmith.simulator.grids.cell_errors import interpolation_map, usual_instrument
from starsmith.simulator.grids.grid_differences import Star, spectrum_differences
from starsmith.simulator.synthesis import PHYSICS_VERSION, structures, synthesize

OUT = Path(__file__).parents[1] / "simulator" / "grids" / "demo_maps.json"
LOWEST, HIGHEST = (3500.0, 0.0, -3.0), (6500.0, 5.0, 1.0)  # of the doubled cells
MEASURES = ("rms", "ca_ii", "flux")


def structure_map() -> QualityMap:
    """Differences of interpolated structures at twice the spacing of ATLAS9's nodes."""
    table = structures.model_table()
    with every_second_model():
        thin = structures.model_table()
    kept = [axis[(axis >= lo) & (axis <= hi)]
            for axis, lo, hi in zip(thin.axes, LOWEST, HIGHEST, strict=True)]  # fmt: skip
    inner = [
        np.array([axis[(axis > lo) & (axis < hi)][0] for lo, hi in itertools.pairwise(edges)])
        for axis, edges in zip(table.axes, kept, strict=True)
    ]
    values = {name: np.full([nodes.size for nodes in inner], np.nan) for name in MEASURES}
    for place in np.ndindex(values["rms"].shape):
        teff, logg, m_h = (float(nodes[i]) for nodes, i in zip(inner, place, strict=True))
        labels = teff, logg, m_h - structures.IRON_SHIFT  # models stand at their own [M/H]
        if not structures.has_structure(*labels):
            continue
        true = _star(labels)
        with every_second_model():
            if not structures.has_structure(*labels):
                continue
            found = _star(labels)
        for name, value in spectrum_differences(true, found).items():
            values[name][place] = value
    names = ("teff", "logg", "m_h")
    shift = (0.0, 0.0, structures.IRON_SHIFT)
    return QualityMap(
        edges={name: edges - by for name, edges, by in zip(names, kept, shift, strict=True)},
        values=values,
        about="ATLAS9 structures withheld: interpolated at twice their spacing against the model",
    )


def _star(labels: tuple[float, float, float]) -> Star:
    made = synthesize(*labels)
    return Star(made.wave, made.flux, made.continuum, made.resolution)


def table(found: QualityMap) -> None:
    """Print a map by temperature: median and worst of each measure."""
    teff, values = found.edges["teff"], found.values
    print(
        f"\n{found.about}\n\n| Teff | " + " | ".join(f"{n} median / worst" for n in values) + " |"
    )
    print("|---|" + "---|" * len(values))
    for i, (low, high) in enumerate(itertools.pairwise(teff)):
        cells = [v[i][np.isfinite(v[i])] for v in values.values()]
        row = [f"{np.median(c):.2g} / {c.max():.2g}" if c.size else "unknown" for c in cells]
        print(f"| {low:g}-{high:g} | " + " | ".join(row) + " |")


def main() -> None:
    """Write the file and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grids", default="demo", help="grids of that name, parted by ;")
    parser.add_argument("--plot", type=Path, help="figure of the demo grid's maps")
    options = parser.parse_args()
    print(f"{machine()}; physics version {PHYSICS_VERSION}")
    withheld, cells = structure_map(), {}
    table(withheld)
    for name in options.grids.split(";"):
        grid = StellarGrid.open(name)
        found = interpolation_map(grid, usual_instrument(grid), None)
        table(found)
        cells[name] = {"key": named_grid_key(name), "map": found.record()}
        if options.plot and name == "demo":
            plot_quality(
                options.plot, {"structures": withheld, "interpolation": found}, grid.notice
            )
    written = {
        "physics": PHYSICS_VERSION,
        "structures": withheld.record(),
        "interpolation": cells,
    }
    OUT.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
