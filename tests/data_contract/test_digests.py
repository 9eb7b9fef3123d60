"""Digest trees of banks and grids: what changed is found, what is older says so."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.data_contract.checks.verify_folder import verify_file
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.digests import DIGESTS
from starsmith.data_contract.grid.error_map import GridErrorMap, write_error_map
from starsmith.data_contract.grid.grid_file import GridData, read_grid, write_grid
from tests.cli.conftest import call

READERS = {"bank.zarr": load_bank, "grid.zarr": read_grid}


@pytest.fixture(scope="module")
def stored(toy_bank, tmp_path_factory):
    """A bank and a grid with a hole and an error map; never written to."""
    folder = tmp_path_factory.mktemp("stored")
    toy_bank.save(folder / "bank.zarr")
    axes = {"teff": np.array([4000.0, 5000.0, 6000.0]), "logg": np.array([1.0, 3.0])}
    valid = np.ones((3, 2), dtype=bool)
    valid[1, 1] = False
    flux = np.random.default_rng(0).uniform(1.0, 2.0, (3, 2, 50)).astype(np.float32)
    flux[~valid] = np.nan
    wave = np.linspace(8000.0, 8100.0, 50)
    grid = GridData(name="toy", axes=axes, wave=wave, flux=flux, resolution=1e4, valid=valid)
    write_grid(folder / "grid.zarr", grid)
    pixels = {name: np.full(50, 0.1) for name in axes}
    nodes = {name: np.full((3, 2), 0.1) for name in axes}
    order = dict.fromkeys(axes, 4.0)
    write_error_map(
        folder / "grid.zarr",
        GridErrorMap(pixels=pixels, nodes=nodes, order=order, measured=dict.fromkeys(axes, False)),
    )
    return folder


@pytest.fixture
def copy(stored, tmp_path):
    """Copies to damage."""
    return shutil.copytree(stored, tmp_path / "copy")


@pytest.mark.parametrize("name", READERS)
def test_sixty_flips_are_found(copy, name):
    """In any file, the digests' own among them."""
    path = copy / name
    assert verify_file(path).problems == []
    READERS[name](path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    rng = np.random.default_rng(7)
    for _ in range(60):
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        file.write_bytes(changed)
        assert not verify_file(path).ok, file
        file.write_bytes(whole)
    assert verify_file(path).ok


@pytest.mark.parametrize("name", READERS)
def test_a_changed_attribute_or_a_lost_chunk_does_not_open(copy, name):
    """What is quick to see is seen whenever a file is opened."""
    path = copy / name
    description = path / "zarr.json"
    text = description.read_text()
    description.write_text(text.replace('"notice": "', '"notice": "x'))
    with pytest.raises(DataError, match=r"zarr\.json was changed"):
        READERS[name](path)
    description.write_text(text)
    chunk = path / "wave/c/0"
    content = chunk.read_bytes()
    chunk.unlink()
    with pytest.raises(DataError, match="is missing"):
        READERS[name](path)
    chunk.write_bytes(content[:-1])
    with pytest.raises(DataError, match="another size"):
        READERS[name](path)
    chunk.write_bytes(content)
    (chunk.parent / "77").write_bytes(content)
    with pytest.raises(DataError, match="not part of it"):
        READERS[name](path)


def test_a_resealed_tree_is_needed_to_lie(copy):
    """The tree is sealed by itself."""
    file = copy / "grid.zarr" / DIGESTS
    content = json.loads(file.read_text())
    content["files"]["zarr.json"]["bytes"] += 1
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="changed or cut short"):
        read_grid(copy / "grid.zarr")


@pytest.mark.parametrize("name", READERS)
def test_those_of_before_open_with_one_warning(copy, name, caplog):
    """And the command says that nothing vouches for them."""
    for tree in (copy / name).rglob(DIGESTS):
        tree.unlink()
    READERS[name](copy / name)
    assert len(caplog.records) == 1
    done = call("specdata verify", copy / name)
    assert (done.exit_code, "no digest" in done.output) == (0, True)


@pytest.mark.parametrize("name", READERS)
def test_the_command_verifies_them(copy, name):
    """Exit code 3, and the file that is not what it was."""
    assert "all intact" in call("specdata verify", copy / name).output
    chunk = next(file for file in sorted((copy / name).rglob("c/*")) if file.is_file())
    Path(chunk).write_bytes(bytes(chunk.stat().st_size))
    done = call("specdata verify", copy / name)
    assert done.exit_code == 3
    assert str(chunk.relative_to(copy / name)) in done.stderr


def test_a_hole_is_no_missing_chunk_and_a_model_is(copy):
    """Without digests too: what `valid` promises must be there."""
    path = copy / "grid.zarr"
    for tree in path.rglob(DIGESTS):
        tree.unlink()
    assert read_grid(path).valid.sum() == 5
    (path / "flux/c/0/0/0").unlink()
    with pytest.raises(DataError, match="flux/c/0/0/0 is missing"):
        read_grid(path)
