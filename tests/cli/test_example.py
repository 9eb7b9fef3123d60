"""``specsim example``: every sample is one that the commands it is for can read."""

import numpy as np
import pytest
from astropy.table import Table

from starsmith.simulator.samples import sample_population, sample_targets
from tests.cli.conftest import call


def test_a_sample_population_is_one_that_generate_reads(bank_file, tmp_path):
    """Its stars are drawn; a second call replaces nothing."""
    mock = tmp_path / "mock.ecsv"
    assert call("specsim example population --out", mock).exit_code == 0
    assert call("specsim example population --out", mock).exit_code == 2
    out = tmp_path / "data.zarr"
    done = call(
        "specsim generate -n 40 --workers 1",
        *("--bank", bank_file, "--population", mock, "--out", out),
    )
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize("suffix", ["ecsv", "csv", "fits"])
def test_sample_targets_come_in_every_format(tmp_path, suffix):
    """Six named stars, with units where the format has them."""
    path = tmp_path / f"targets.{suffix}"
    done = call("specsim example targets --out", path)
    assert done.exit_code == 0, done.stderr
    table = Table.read(path, format={"csv": "ascii.csv", "ecsv": "ascii.ecsv"}.get(suffix, "fits"))
    assert len(table) == 6
    assert table.colnames == ["name", "teff", "logg", "m_h", "mag"]


def test_samples_are_the_same_every_time_and_within_the_demonstration_box():
    """Two draws agree; every star is one the demonstration grid has."""
    first, again = sample_population(), sample_population()
    for table in (first, sample_targets()):
        for name, (low, high) in {
            "teff": (3750, 6000),
            "logg": (1, 5),
            "m_h": (-2.5, 0.75),
        }.items():
            assert np.all((table[name] >= low) & (table[name] <= high)), name
    assert all((first[name] == again[name]).all() for name in first.colnames)
    assert str(first["logg"].unit) == "dex(cm / s2)"
