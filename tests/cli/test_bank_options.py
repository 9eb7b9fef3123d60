"""Choices of `specsim bank`, and what they refuse."""

import json

import click
import pytest
from click.testing import CliRunner

from starsmith.cli.shared.options import bank_options, config_option
from starsmith.data_contract.bank.bank_file import load_bank
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


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", "bosz.zarr pfs_mr ab8000 None"),
        ("--mag-band ab7500", "bosz.zarr pfs_mr ab7500 None"),
        ("--mag-band hsc2017-i", "bosz.zarr pfs_mr None None"),
        ("--grid demo", "demo pfs_mr ab8000 None"),
        ("--bank .", "demo pfs_mr None ."),
    ],
)
def test_typed_options_replace_those_of_a_file_one_by_one(tmp_path, typed, expected):
    """A bank typed replaces all three; anything else typed leaves the rest of the file."""
    config = tmp_path / "run.toml"
    config.write_text('grid = "bosz.zarr"\nmag_band = "ab8000"\n')

    @click.command()
    @bank_options
    @config_option()
    def show(source):
        click.echo(f"{source.grid} {source.instrument} {source.mag_band} {source.bank}")

    done = CliRunner().invoke(show, [*typed.split(), "--config", str(config)])

    assert done.stdout.strip() == expected


def test_a_bank_has_its_band_already(bank_file):
    done = call("specsim spectrum --index 0 --mag-band ab8000 --bank", bank_file)

    assert done.exit_code == 2
    assert "drop --mag-band" in done.stderr
