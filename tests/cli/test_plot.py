"""``specdata plot``: spectra and errors of any data set."""

import numpy as np
import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from starsmith.data_contract.errors import ConfigError
from starsmith.simulator.figures.spectra_figure import shown_of
from tests.cli.conftest import call


@pytest.mark.parametrize("kind", ["spectra", "errors"])
def test_a_data_set_is_drawn(dataset, tmp_path, kind):
    out = tmp_path / f"{kind}.png"
    done = call("specdata plot --kind", kind, dataset, "--out", out)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(out)
    assert out.stat().st_size > 10_000


def test_spectra_are_those_nearest_to_the_magnitudes(dataset):
    """From bright to faint; noiseless flux where the data set holds it."""
    split = open_dataset(dataset).split("test")
    shown = shown_of(split, (20.5, 22.5))
    rows = [int(np.argmin(np.abs(split.draws.mag - mag))) for mag in (20.5, 22.5)]
    np.testing.assert_array_equal(shown.flux, split.observe(np.array(rows)).flux)
    assert shown.noiseless
    for row, name in zip(rows, shown.names, strict=True):
        assert name.startswith(f"mag {split.draws.mag[row]:.2f}, S/N")
    assert len(shown_of(split).names) == 4


def test_a_frozen_data_set_has_a_running_median_in_place_of_noiseless_flux(bank_file, tmp_path):
    path = tmp_path / "frozen.zarr"
    done = call(
        "specsim generate -n 60 --mag 21 --store frozen --workers 1",
        *("--bank", bank_file, "--out", path),
    )
    assert done.exit_code == 0, done.stderr
    split = open_dataset(path).split("test")
    shown = shown_of(split)
    assert not shown.noiseless
    assert np.isfinite(shown.level).all()
    with pytest.raises(ConfigError, match="--mags: these spectra do not differ"):
        shown_of(split, (21.0,))


def test_a_picture_of_no_known_kind_is_refused(dataset, tmp_path):
    done = call("specdata plot", dataset, "--out", tmp_path / "x.bmp")
    assert done.exit_code == 2
    assert "x.bmp" in done.stderr
