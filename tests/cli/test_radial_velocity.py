"""`--rv` on the command line: from a grid file to a data set of moving stars."""

import json

import numpy as np
import pytest
from astropy.table import Table

from starsmith.data_contract.files import user_cache as cache_use
from starsmith.data_contract.grid.grid_file import GridData, write_grid
from starsmith.simulator.generation.recorded import open_recorded
from tests.cli.conftest import call

RANGES = "--teff 5000 --logg 1..4 --m-h 0 --rv -300..300"


@pytest.fixture
def grid_file(tmp_path, monkeypatch):
    """Four stars with a line each; rendered banks are cached beside it."""
    monkeypatch.setattr(cache_use, "user_cache_path", lambda name: tmp_path / name)
    wave = 6350.0 * np.exp(np.arange(14_500) / 40_000)
    logg = np.array([1.0, 2.0, 3.0, 4.0])
    flux = 1.0 - 0.1 * logg[:, None] * np.exp(-0.5 * ((wave - 8544.4) / 1.5) ** 2)
    grid = GridData(
        name="lines",
        axes={"teff": np.array([5000.0]), "logg": logg, "m_h": np.array([0.0])},
        wave=wave,
        flux=flux[None, :, None].astype(np.float32),
        resolution=20_000.0,
        valid=np.ones((1, 4, 1), dtype=bool),
    )
    write_grid(tmp_path / "grid.zarr", grid)
    return tmp_path / "grid.zarr"


def test_moving_stars_are_generated_and_found_again(grid_file, tmp_path):
    """A keys store of moving stars finds a bank that can shift, and its file runs again."""
    out = tmp_path / "data.zarr"
    words = f"-n 20 --store keys --workers 1 {RANGES} -q"
    done = call(f"specsim generate {words}", "--grid", grid_file, "--out", out)
    again = call(
        "specsim generate -q --workers 1 --config",
        tmp_path / "data.zarr.toml",
        "--out",
        tmp_path / "again.zarr",
    )

    assert done.exit_code == 0, done.stderr
    assert again.exit_code == 0, again.stderr
    data = open_recorded(out)
    assert data.digest == open_recorded(tmp_path / "again.zarr").digest
    train = data.split("train")
    assert np.abs(train.draws.rv).max() > 100
    deepest = train.wave[np.argmin(train.flux_model(), axis=1)]
    expected = 8544.4 * (1 + train.draws.rv / 299792.458)
    np.testing.assert_allclose(deepest, expected, atol=0.45)  # a pixel is 0.43 Å


def test_a_bank_file_can_shift_if_asked_to(grid_file, tmp_path):
    moving, still = tmp_path / "moving.zarr", tmp_path / "still.zarr"
    made = call("specsim bank --velocity-step 10", "--grid", grid_file, "--out", moving)
    call("specsim bank", "--grid", grid_file, "--out", still)

    assert made.exit_code == 0, made.stderr
    fine = call(f"specsim spectrum --index 0 {RANGES} --bank", moving)
    refused = call(f"specsim spectrum --index 0 {RANGES} --bank", still)

    assert fine.exit_code == 0, fine.stderr
    assert "rv " in fine.stdout
    assert refused.exit_code == 2
    assert "--velocity-step" in refused.stderr


def test_options_that_contradict_a_velocity_are_refused(bank_file, tmp_path):
    rendered = call("specsim bank --velocity-step 10 --out x.zarr --bank", bank_file)
    ceiling = call("specfisher ceiling --rv -10..10 --bank", bank_file)

    assert (rendered.exit_code, ceiling.exit_code) == (2, 2)
    assert "rendered already" in rendered.stderr
    assert "drop --rv" in ceiling.stderr


@pytest.mark.slow
def test_draws_of_moving_stars_are_weighed_by_all_pixels_and_to_a_population(grid_file, tmp_path):
    bank, data, model = (tmp_path / name for name in ("bank.zarr", "moving.zarr", "model"))
    still, star = tmp_path / "still.zarr", tmp_path / "star.ecsv"
    short = "--epochs 2 --set epoch_size=1024 --set n_mode=8 --set width=32 --set batch_size=256"
    for words in (
        ("specsim bank --velocity-step 10", "--grid", grid_file, "--out", bank),
        ("specsim bank", "--grid", grid_file, "--out", still),
        (f"specsim generate -n 60 --workers 1 {RANGES}", "--bank", bank, "--out", data),
        (f"speclearn train --model compressed --target logg {short}", data, "--out", model),
        (f"specsim spectrum --seed 7 {RANGES}", "--bank", bank, "--out", star),
    ):
        done = call(*words)
        assert done.exit_code == 0, done.stderr
    line = "speclearn predict --json --n-draw 200 --posterior quantiles"
    told = [
        call(f"{line} {extra}", *more, model, star)
        for extra, more in (("", ()), ("--exact --bank", (bank,)))
    ]
    for one in told:
        assert one.exit_code == 0, one.stderr
        assert "of the draws effective" in one.stderr
    rows = [json.loads(one.stdout)["predictions"][0] for one in told]
    width = rows[0]["q84"] - rows[0]["q16"]
    assert abs(rows[0]["q50"] - rows[1]["q50"]) < width  # eight modes of few stars
    giants = Table({"teff": np.full(50, 5000.0), "logg": np.linspace(1.1, 1.5, 50)})
    giants["m_h"], giants["mag"] = 0.0, 20.0
    giants.write(tmp_path / "giants.ecsv")
    pulled = call(f"{line} --population", tmp_path / "giants.ecsv", model, star)
    assert pulled.exit_code == 0, pulled.stderr
    assert json.loads(pulled.stdout)["predictions"][0]["q97.5"] < 2.5
    giants["logg"] += 3.0
    giants.write(tmp_path / "outside.ecsv")
    for extra, path in (("--population", tmp_path / "outside.ecsv"), ("--exact --bank", still)):
        refused = call(f"{line} {extra}", path, model, star)
        assert refused.exit_code == 2
        assert len(refused.stderr.strip().splitlines()) == 1
