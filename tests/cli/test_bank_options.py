"""Choices of `specsim bank`, and what they refuse."""

import json

from starsmith.data_contract.bank import load_bank
from tests.cli.conftest import call


def test_a_bank_can_be_compressed(bank_file, tmp_path):
    out = tmp_path / "small.zarr"

    done = call("specsim bank --compress 1e-3 --json", "--bank", bank_file, "--out", out)
    about = json.loads(call("specdata info --json", out).stdout)

    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)["info"]["compression"]
    assert told["max_relative_error"] <= 1e-3
    assert len(load_bank(out).basis) == told["n_component"] == about["components"]


def test_a_rendered_bank_cannot_be_rendered_otherwise(bank_file, tmp_path):
    done = call("specsim bank --interpolation linear --out x.zarr --bank", bank_file)

    assert done.exit_code == 2
    assert "drop --interpolation or --bank" in done.stderr
