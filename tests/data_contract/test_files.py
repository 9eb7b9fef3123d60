"""Grid and bank files: what is read is what was written, and damage is refused."""

import dataclasses
import json

import numpy as np
import pytest

from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.data_contract.errors import DataError, GridError
from starsmith.data_contract.grid.grid_file import GridData, read_grid, write_grid


@pytest.fixture
def grid():
    rng = np.random.default_rng(0)
    valid = np.ones((3, 4), dtype=bool)
    valid[2, 1] = False
    flux = rng.uniform(1, 2, (3, 4, 50)).astype(np.float32)
    flux[~valid] = np.nan
    return GridData(
        name="small",
        axes={"teff": np.array([4000.0, 5000.0, 6000.0]), "logg": np.arange(1.0, 5.0)},
        wave=np.linspace(8000.0, 8100.0, 50),
        flux=flux,
        continuum=2 * flux,
        resolution=20_000.0,
        valid=valid,
        provenance={"release": "none", "files": {"a": "0" * 64}},
        notice="NOT STARS",
    )


def test_a_grid_survives_the_file(grid, tmp_path):
    """Every field, bit for bit, holes included."""
    write_grid(tmp_path / "grid.zarr", grid)
    again = read_grid(tmp_path / "grid.zarr")
    for field in dataclasses.fields(GridData):
        first, second = getattr(grid, field.name), getattr(again, field.name)
        if field.name == "axes":
            assert list(first) == list(second)
            first, second = np.array([*first.values()][1]), np.array([*second.values()][1])
        np.testing.assert_array_equal(second, first)


def test_a_grid_without_continuum_stays_without(grid, tmp_path):
    """Absence is not an array of NaN."""
    write_grid(tmp_path / "grid.zarr", dataclasses.replace(grid, continuum=None))
    assert read_grid(tmp_path / "grid.zarr").continuum is None


def test_an_inconsistent_grid_is_refused(grid):
    """Order of axes, shapes, and axes that do not increase."""
    axes = grid.axes
    with pytest.raises(GridError, match="order"):
        dataclasses.replace(grid, axes={"logg": axes["logg"], "teff": axes["teff"]})
    with pytest.raises(GridError, match="wavelengths"):
        dataclasses.replace(grid, wave=grid.wave[:-1])
    with pytest.raises(GridError, match="does not increase"):
        dataclasses.replace(grid, axes={**axes, "logg": axes["logg"][::-1]})


def test_a_bank_survives_the_file(toy_bank, tmp_path):
    """Same digest, same coefficients, same noise tables."""
    toy_bank.save(tmp_path / "bank.zarr")
    again = load_bank(tmp_path / "bank.zarr")
    assert again.digest == toy_bank.digest
    np.testing.assert_array_equal(again.coef, toy_bank.coef)
    for name, table in toy_bank.noise.arrays().items():
        np.testing.assert_array_equal(again.noise.arrays()[name], table)
    assert again.notice == toy_bank.notice


def flip(file, position):
    raw = bytearray(file.read_bytes())
    raw[position] ^= 1
    file.write_bytes(raw)


def test_a_damaged_bank_is_refused(toy_bank, tmp_path):
    """A flipped bit fails its chunk's checksum; an exchanged array fails the digest."""
    path = tmp_path / "bank.zarr"
    toy_bank.save(path)
    flip(path / "coef/c/0/0", 1000)
    with pytest.raises(DataError, match="'coef' is damaged"):
        load_bank(path)
    dataclasses.replace(toy_bank, coef=toy_bank.coef * np.float32(2)).save(tmp_path / "b.zarr")
    toy_bank.save(path)
    (path / "coef/c/0/0").write_bytes((tmp_path / "b.zarr/coef/c/0/0").read_bytes())
    with pytest.raises(DataError, match="digest"):
        load_bank(path)


def test_a_lost_chunk_of_a_bank_is_refused(toy_bank, tmp_path):
    """Zarr reads a missing chunk as zeros; the digest does not."""
    path = tmp_path / "bank.zarr"
    toy_bank.save(path)
    (path / "coef/c/1/0").unlink()
    with pytest.raises(DataError, match="digest"):
        load_bank(path)


def test_other_files_are_refused_by_what_they_are(grid, tmp_path):
    """A grid is not a bank; a later version is not guessed at."""
    path = tmp_path / "grid.zarr"
    write_grid(path, grid)
    with pytest.raises(DataError, match=r"expected a starsmith\.bank, found starsmith\.grid"):
        load_bank(path)
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"]["schema_version"] = 99
    (path / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(DataError, match="version 99"):
        read_grid(path)
    with pytest.raises(DataError, match=r"expected a starsmith\.grid, found nothing"):
        read_grid(tmp_path / "nothing")


def test_a_grid_appears_only_when_complete(grid, tmp_path, monkeypatch):
    """A crash while writing leaves the earlier file as it was, and no rubbish."""
    path = tmp_path / "grid.zarr"
    write_grid(path, grid)

    def crash(*_args, **_kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("starsmith.data_contract.grid.grid_file.write_array", crash)
    with pytest.raises(OSError, match="disk full"):
        write_grid(path, dataclasses.replace(grid, name="other"))
    assert read_grid(path).name == "small"
    assert [file.name for file in tmp_path.iterdir()] == ["grid.zarr"]
