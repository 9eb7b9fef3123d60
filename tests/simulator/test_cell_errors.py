"""Errors of interpolation cell by cell: closed forms, a slow twin, the map in file and data set."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from starsmith.data_contract import open_dataset
from starsmith.data_contract.errors import ConfigError, DataError, GridError
from starsmith.data_contract.grid.grid_file import GridData, write_grid
from starsmith.data_contract.grid.map_file import read_quality_maps, write_quality_maps
from starsmith.data_contract.quality_map import QualityMap, map_shares, trust_lines
from starsmith.simulator.generation.generate import write_dataset
from starsmith.simulator.generation.grid_trust import require_grid_errors
from starsmith.simulator.grids import StellarGrid, grid_info
from starsmith.simulator.grids.cell_errors import error_at_middles, inferred_map, interpolation_map
from starsmith.simulator.grids.demo import demo_axes
from starsmith.simulator.grids.grid_differences import difference_map
from starsmith.simulator.grids.interpolation_error import grid_error_map
from starsmith.simulator.grids.known_maps import known_maps
from starsmith.simulator.instruments import load_instrument
from starsmith.simulator.prior import Prior
from starsmith.simulator.synthesis import PHYSICS_VERSION, Sampling
from tests.cli.conftest import call

TEFF = np.linspace(4000.0, 6000.0, 9)
LOGG = np.array([1.0, 2.0, 2.5, 4.0, 5.0])
WAVE = 8400.0 + np.arange(400.0)


def star(teff, logg):
    """A line whose strength falls with temperature and grows with gravity."""
    teff, logg = np.asarray(teff)[..., None], np.asarray(logg)[..., None]
    depth = 0.5 * np.exp(-((teff - 4000) / 900)) * (0.6 + 0.4 * np.sin(2 * logg))
    return (teff / 5000) ** 4 * (1 - depth * np.exp(-0.5 * ((WAVE - 8542) / (9 + logg)) ** 2))


def toy(teff=TEFF, logg=LOGG, flux_of=star):
    """Grid of spectra ``flux_of(teff, logg)``."""
    flux = flux_of(*np.meshgrid(teff, logg, indexing="ij")).astype(np.float32)
    axes = {"teff": teff, "logg": logg}
    valid = np.ones(flux.shape[:2], dtype=bool)
    return GridData(name="toy", axes=axes, wave=WAVE, flux=flux, resolution=2e4, valid=valid)


def middles(nodes):
    return 0.5 * (nodes[1:] + nodes[:-1])


def test_cubic_dependence_has_no_error():
    """The spline reproduces a cubic: only float32 rounding is left."""

    def cubic(teff, logg):
        return (1 + (teff / 5000) ** 3 + logg**3)[..., None] * np.linspace(1, 2, WAVE.size)

    found = error_at_middles(toy(flux_of=cubic), toy(middles(TEFF), middles(LOGG), cubic))

    assert found.values["error"].max() < 3e-7  # relative rounding 6e-8, a few terms


def test_error_and_bias_equal_one_fit_per_cell():
    """Twin: scipy's splines, then least squares by numpy, of every cell on its own."""
    grid, truth = toy(), toy(middles(TEFF), middles(LOGG))
    found = error_at_middles(grid, truth)

    along_teff = make_interp_spline(TEFF, grid.flux.astype(float), k=3)
    for i, j in np.ndindex(8, 4):
        at = middles(TEFF)[i], middles(LOGG)[j]
        along_logg = make_interp_spline(LOGG, along_teff(at[0]), k=3)
        slope = make_interp_spline(LOGG, along_teff.derivative()(at[0]), k=3)
        true = truth.flux[i, j].astype(float)
        relative = along_logg(at[1]) / true - 1.0
        columns = np.stack([slope(at[1]), along_logg.derivative()(at[1]), true], axis=1)
        columns /= true[:, None]
        fit = np.linalg.lstsq(columns, relative, rcond=None)[0]
        bound = np.sqrt(np.diag(np.linalg.inv(columns.T @ columns))) / 100.0
        assert found.values["error"][i, j] == pytest.approx(
            np.abs(relative - relative.mean()).mean(), rel=1e-6
        )
        # condition of the columns in kelvin: 1e6
        assert found.values["bias"][i, j] == pytest.approx(np.abs(fit / bound)[:2].max(), rel=1e-4)


@pytest.mark.slow
def test_demo_box_is_judged_by_its_own_synthesizer(tmp_path):
    """A box on twice the spacing errs more in its middles, and a changed grid is refused."""
    from starsmith.simulator.grids.demo import build_demo_grid

    sampling = Sampling(8490.0, 8560.0)
    axes = {"teff": np.array([5000.0, 5500.0]), "logg": np.array([3.0, 4.0])}
    grid = build_demo_grid(axes=axes, workers=1, cache_dir=tmp_path, sampling=sampling)
    told = []

    found = interpolation_map(grid, None, lambda *n: told.append(n), 1, tmp_path)

    assert told[-1] == (1, 1)
    assert 1e-5 < found.values["error"].item() < 0.05  # linear over 500 K
    with pytest.raises(GridError, match="covers"):  # before anything is synthesized
        interpolation_map(grid, load_instrument("pfs_n"), lambda *n: told.append("again"))
    assert "again" not in told
    with pytest.raises(GridError, match="not made by this version"):
        interpolation_map(replace(grid, provenance={}))


def example():
    """A map of 2 x 3 cells: one that JSON may not turn round unseen."""
    return QualityMap(
        edges={"teff": np.array([4000.0, 5000.0, 6000.0]), "logg": np.array([1.0, 3.0, 5.0, 5.5])},
        values={
            "error": np.array([[3e-3, 1e-4, 1e-4], [1e-5, np.nan, 2e-3]]),
            "bias": np.array([[2.0, 0.1, 0.1], [0.0, 40.0, 0.3]]),
        },
        about="made up",
    )


def test_record_rounds_up_by_a_fifth_at_most():
    """One character a cell, and NaN stays unknown."""
    made = example()

    # data sets keep their header as JSON with sorted names
    found = QualityMap.of_record(json.loads(json.dumps(made.record(), sort_keys=True)))

    assert list(found.edges) == list(made.edges)
    for name, values in made.values.items():
        ratio = found.values[name] / np.maximum(values, 1e-6)
        inside = values < 30.0  # of the codes
        known = np.isfinite(values)
        assert np.all((ratio[known & inside] >= 1.0) & (ratio[known & inside] < 1.22))
        assert np.array_equal(np.isnan(found.values[name]), ~known)


def test_stars_get_the_value_of_their_cell():
    """An edge belongs to the cell above it; beyond the map nothing is known."""
    labels = {"teff": np.array([4500.0, 5000.0, 6100.0]), "logg": np.array([1.0, 2.0, 2.0])}

    found = example().of_stars(labels)["bias"]

    assert np.array_equal(found, [2.0, 0.0, np.nan], equal_nan=True)


@pytest.mark.parametrize("damage", [{"edges": {"teff": [1, 1]}}, {"values": {"error": "##"}}])
def test_record_that_cannot_be_a_map_is_refused(damage):
    """Sizes and edges are checked before anything is looked up."""
    with pytest.raises(DataError, match="quality map"):
        QualityMap.of_record(example().record() | damage)


def test_maps_are_kept_with_their_grid(tmp_path):
    """A second map joins the first; opening the grid brings both, and their figures."""
    path = tmp_path / "toy.zarr"
    grid = toy()
    write_grid(path, grid)
    assert known_maps(path) == {}

    write_quality_maps(path, {"interpolation": inferred_map(grid, grid_error_map(grid))})
    write_quality_maps(path, {"made up": example()})

    assert set(read_quality_maps(path)) == {"interpolation", "made up"}
    told = grid_info(StellarGrid.open(path))["trust"]
    assert 0 < told["interpolation"]["error"]["worst"] < 0.1
    assert told["made up"]["bias"]["beyond_limit"] == 0.5  # 3 of 6
    assert "all intact" in call(f"specdata verify {path}").output


def test_data_set_tells_of_every_star(toy_bank, tmp_path):
    """Map in the bank's grid -> card, `grid_errors`, refusal of ranges."""
    record = example().record()
    grid = toy_bank.grid | {"provenance": {"maps": {"interpolation": record}}}
    bank = replace(toy_bank, grid=grid)
    prior = Prior.default().with_ranges(teff=(4100.0, 4900.0), logg=(1.5, 4.5))

    write_dataset(bank, prior, 40, tmp_path / "data.zarr", seed=1)

    split = open_dataset(tmp_path / "data.zarr").split("train")
    low = split.label("logg") < 3.0
    assert np.array_equal(split.grid_errors["interpolation"]["error"] > 1.5e-3, low)
    high = split.grid_errors["interpolation"]["error"][~low]
    assert high == pytest.approx(1e-4, rel=0.22)  # not 1e-5, of the cell across
    card = (tmp_path / "data.zarr" / "DATASET.md").read_text(encoding="utf-8")
    assert "Trust in interpolation: mean error: " in card
    with pytest.raises(ConfigError, match=r"1 of 2 cells .* worst \(0.0031\) at teff 4000..5000"):
        require_grid_errors(bank, prior, {"error": 1.5e-3})
    require_grid_errors(bank, prior.with_ranges(logg=(3.5, 4.5)), {"error": 1.5e-3, "bias": 0.2})
    with pytest.raises(GridError, match="not known"):
        require_grid_errors(toy_bank, prior, {"error": 1.0})


def test_card_line_reads_whole():
    """What the card says of a map."""
    told = {"median": 2e-5, "worst": 0.00123, "beyond_limit": 0.034, "limit": 0.0015, "known": 0.9}

    assert trust_lines({"interpolation": {"error": told, "bias": {"known": 0.0}}}) == [
        "Trust in interpolation: mean error: 2e-05 in the median, at most 0.0012, 3.4% of stars "
        "beyond 0.0015, 10.0% not known; label bias / CRLB, S/N 100: not known"
    ]


def test_grid_differs_from_itself_by_nothing_and_from_another_by_what_was_done():
    """A copy with 1.05 times the flux and lines of half the depth."""
    grid = toy()
    continuum = np.broadcast_to((grid.axes["teff"] / 5000)[:, None, None] ** 4, grid.flux.shape)
    grid = replace(grid, continuum=continuum.astype(np.float32))
    half = 1.05 * (0.5 * grid.flux + 0.5 * grid.continuum)
    other = replace(grid, flux=half, continuum=np.float32(1.05) * grid.continuum, name="half")

    same, found = difference_map(grid, grid), difference_map(grid, other)

    assert np.nanmax(same.values["rms"]) < 1e-6
    assert found.about.startswith("differences from grid half")
    expected = np.sqrt(np.mean((0.5 * (1 - grid.flux / grid.continuum)) ** 2, axis=-1))
    assert found.values["rms"] == pytest.approx(expected, rel=0.15)  # 20 Å at the ends left out
    with pytest.raises(GridError, match="lies inside"):
        difference_map(grid, replace(other, axes={"teff": TEFF + 9000, "logg": LOGG}))


def test_packaged_map_is_of_these_nodes_and_few_draws_are_biased():
    """No star of the default prior beyond the limit of the error, 4 % beyond that of the bias."""
    record = known_maps("demo", f"physics version {PHYSICS_VERSION}")["interpolation"]
    nodes = demo_axes()
    assert all(np.array_equal(record["edges"][name], nodes[name]) for name in nodes)
    drawn = Prior.default().draw(0, "train", np.arange(4000), tuple(nodes))

    shares = map_shares({"interpolation": record}, dict(zip(nodes, drawn.labels.T, strict=True)))

    assert shares["interpolation"]["error"]["beyond_limit"] == 0.0
    assert shares["interpolation"]["bias"]["beyond_limit"] < 0.04
    assert shares["interpolation"]["bias"]["known"] == 1.0


def test_command_shows_packaged_maps_and_compares(tmp_path):
    """``grid errors`` of a grid file: inferred once, then known; --against; figure; JSON."""
    grid = toy()
    for name in ("mine", "other"):
        write_grid(tmp_path / f"{name}.zarr", replace(grid, name=name))
    mine = tmp_path / "mine.zarr"

    first = call(f"specsim grid errors {mine} --against {tmp_path / 'other.zarr'}")
    second = call(f"specsim grid errors {mine} --plot {tmp_path / 'maps.png'}")

    assert "differences from grid other" in first.output
    assert "inferred from every node" in second.output
    assert (tmp_path / "maps.png").stat().st_size > 10_000
    assert "beyond_limit" in call(f"specsim grid errors {mine} --json").output
