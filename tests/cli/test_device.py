"""``specsim generate --device``: keys of the simulator, spectra of torch's operations."""

import numpy as np
import pytest

from starsmith.data_contract.dataset.reader import open_dataset
from tests.cli.conftest import call

pytest.importorskip("torch", reason="torch comes with starsmith[learn]")


@pytest.mark.parametrize(
    ("store", "rounding"), [("noiseless", 2.0**-12), ("frozen", 2.0**-7), ("keys", 0.0)]
)
def test_a_device_makes_the_simulators_data_set(bank_file, tmp_path, store, rounding):
    """Draws to the bit; fluxes to 1e-5, or one rounding step where that carries over."""
    line = f"specsim generate -n 40 --seed 3 --store {store} --bank {bank_file} --out"
    for name, options in (("plain", "--workers 1"), ("device", "--device cpu")):
        done = call(f"{line} {tmp_path / name} {options}")
        assert done.exit_code == 0, done.stderr
    plain, device = open_dataset(tmp_path / "plain"), open_dataset(tmp_path / "device")
    assert device.header.config["device"] == "cpu"
    checked = call(f"specdata verify {tmp_path / 'device'} --remake --bank {bank_file}")
    assert checked.exit_code == 0, checked.stderr
    for split in plain.header.counts:
        one, other = plain.split(split), device.split(split)
        for name, values in one.draws.columns.items():
            assert np.array_equal(values, other.draws.columns[name]), name
        for name in ("snr", "snr_p95"):
            np.testing.assert_allclose(other.column(name), one.column(name), rtol=3e-4)
        for name, column in plain.header.columns.items():
            if column.is_flux:
                ours, theirs = one.column(name), other.column(name)
                off = np.abs(theirs - ours) > 1e-5 * np.abs(ours)
                assert off.mean() < 0.01, name
                scale = np.abs(ours) + (one.column("error") if name == "flux" else 0.0)
                assert (np.abs(theirs - ours) <= rounding * scale).all(), name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--device cpu --workers 2", "--device works in one process"),
        ("--device abacus", "--device abacus: torch can use cpu"),
        ("--device cpu --sky-floor correlated", "only the calculator's noise"),
    ],
)
def test_what_a_device_cannot_is_said_before_anything_is_written(
    bank_file, tmp_path, options, said
):
    out = tmp_path / "new.zarr"
    done = call(f"specsim generate -n 40 {options} --bank {bank_file} --out {out}")
    assert done.exit_code == 2
    assert said in done.stderr
    assert not out.exists()
