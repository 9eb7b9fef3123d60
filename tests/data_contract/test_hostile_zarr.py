"""Zarr folders that choose their codec, type, size or place: refused before they are decoded."""

import json
import os
import resource
import struct

import numpy as np
import pytest
import zarr

from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.data_contract.checks.summary import describe
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.digests import DIGESTS
from starsmith.data_contract.files.shard_file import check_blosc
from starsmith.data_contract.files.zarr_groups import schema_of


@pytest.fixture
def stored(toy_bank, tmp_path):
    """Folder of a bank, without digests, that each test damages in its own way."""
    toy_bank.save(tmp_path / "bank.zarr")
    (tmp_path / "bank.zarr" / DIGESTS).unlink()
    return tmp_path / "bank.zarr"


def edit(file, **entries):
    """Set entries of a JSON file; a dotted name leads inside."""
    content = json.loads(file.read_text())
    for name, value in entries.items():
        *path, last = name.split("__")
        inside = content
        for step in path:
            inside = inside[int(step) if step.isdigit() else step]
        inside[last] = value
    file.write_text(json.dumps(content))


def refused(path, text):
    """Both readers of a bank refuse it in one line."""
    for reader in (load_bank, describe):
        with pytest.raises(DataError, match=text) as caught:
            reader(path)
        assert "\n" not in str(caught.value)


PICKLE = [{"name": "bytes"}, {"name": "numcodecs.pickle"}]
BOMB = [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": 0, "checksum": False}}]


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("codecs", PICKLE),
        ("codecs", BOMB),
        ("codecs", []),
        ("codecs", 3),
        ("codecs__1__configuration__cname", "zstd"),
        ("data_type", "object"),
        ("data_type", {"name": "numpy.datetime64", "configuration": {"unit": "s"}}),
        ("data_type", "int64"),
        ("shape", [10**15]),
        ("shape", [10**400]),
        ("shape", [-1]),
        ("shape", [True]),
        ("shape", "300"),
        ("shape", [300, 1]),
        ("chunk_grid__configuration__chunk_shape", [0]),
        ("chunk_grid__configuration__chunk_shape", [10**12]),
        ("chunk_grid__name", "rectangular"),
        ("chunk_key_encoding__name", "v2"),
        ("fill_value", "0x7fc00000"),
        ("fill_value", [1]),
        ("storage_transformers", [{"name": "any"}]),
        ("must_run", True),
        ("zarr_format", 2),
        ("node_type", "group"),
    ],
)
def test_an_array_never_chooses_how_it_is_read(stored, entry, value):
    """Codec, type, shape, chunks and fill value are those of the schema."""
    edit(stored / "wave/zarr.json", **{entry: value})
    refused(stored, "wave")


def test_a_zarr_2_folder_is_not_opened(stored, tmp_path):
    """Its codecs may run code: format 2 is never read, at the top or inside."""
    old = tmp_path / "old.zarr"
    zarr.open_group(old, mode="w", zarr_format=2).attrs.update({"schema": "starsmith.bank"})
    assert schema_of(old) is None
    refused(old, "old.zarr")
    (stored / "wave/zarr.json").unlink()
    (stored / "wave/.zarray").write_text('{"zarr_format": 2, "compressor": {"id": "pickle"}}')
    refused(stored, "missing")


def test_consolidated_metadata_are_not_believed(stored):
    """What the root says about its arrays never replaces what their folders say."""
    lie = {"kind": "inline", "must_understand": False, "metadata": {}}
    edit(stored / "zarr.json", consolidated_metadata=lie)
    assert load_bank(stored).wave.size == 300


@pytest.mark.parametrize("inside", ["wave", "wave/zarr.json", "wave/c", "wave/c/0"])
def test_links_are_not_followed(stored, tmp_path, inside):
    """Neither folders, descriptions nor chunks may lie elsewhere."""
    place = stored / inside
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    refused(stored, "wave")


@pytest.mark.parametrize("inside", ["zarr.json", "wave/zarr.json", "wave/c/0"])
def test_a_pipe_or_device_does_not_block(stored, inside):
    """Only regular files are opened."""
    (stored / inside).unlink()
    os.mkfifo(stored / inside)
    refused(stored, "pipe|regular")
    (stored / inside).unlink()
    (stored / inside).symlink_to("/dev/zero")
    refused(stored, "device|link")


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("label_names", ["teff", "teff", "m_h"]),
        ("label_names", "teff"),
        ("label_names", ["teff", "../../x", "m_h"]),
        ("grid", 3),
        ("instrument", None),
        ("notice", ["x"]),
        ("mag_band", {}),
        ("digest", 1),
        ("interpolation", "quintic"),
        ("info", []),
    ],
)
def test_attributes_are_of_their_types(stored, entry, value):
    """A wrong type is named, where it would be used much later."""
    edit(stored / "zarr.json", **{f"attributes__{entry}": value})
    with pytest.raises(DataError, match=entry):
        load_bank(stored)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", "NaN", "\xff", ""])
def test_descriptions_may_be_anything(stored, text):
    """Deep, cut short, not JSON, not UTF-8."""
    (stored / "wave/zarr.json").write_bytes(text.encode("latin-1"))
    refused(stored, "wave/zarr.json")


def test_dimensions_fit_together(stored):
    """Sizes are compared before anything is decoded."""
    edit(stored / "band_coef/zarr.json", shape=[149])
    with pytest.raises(DataError, match=r"band_coef.*150"):
        load_bank(stored)


def test_memory_is_that_of_the_files(stored):
    """Chunks that are missing cannot stand for gigabytes of fill value."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    edit(stored / "wave/zarr.json", shape=[10**9])
    refused(stored, "tell of 8000000000 bytes")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def header(n_bytes, packed, flags=0x24, typesize=8, block=1024, version=2):
    """A blosc header."""
    return struct.pack("<BBBBIII", version, 1, flags, typesize, n_bytes, block, packed)


@pytest.mark.parametrize(
    "head",
    [
        header(1024, 100),
        header(4096, 200),
        header(2048, 100, typesize=4),
        header(2048, 100, flags=0x04),
        header(2048, 100, flags=0x26),
        header(2048, 100, block=0),
        header(2048, 100, block=1),
        header(2048, 100, version=1),
        b"\x02\x01",
    ],
)
def test_a_chunk_unpacks_to_its_slot(head):
    """Shorter ones left memory of the process in the array, longer ones took gigabytes."""
    check_blosc(header(2048, 100), 100, 2048, 8)
    with pytest.raises(ValueError, match=r"header|cut short|unpack"):
        check_blosc(head, 100, 2048, 8)


def test_a_bomb_of_a_chunk_is_not_unpacked():
    """No lz4 block unpacks to more than 256 times its size."""
    with pytest.raises(ValueError, match="cannot unpack"):
        check_blosc(header(2**30, 100, block=2**30), 100, 2**30, 8)


def test_a_chunk_shorter_than_its_slot_is_refused(stored):
    """Of a bank, whatever its checksum says."""
    file = stored / "wave/c/0"
    values = zarr.open_array(stored / "wave", mode="r")[:]
    half = zarr.open_array(stored / "half", mode="w", shape=150, chunks=150, dtype="f8")
    half[:] = values[:150]
    edit(
        stored / "half/zarr.json",
        codecs=json.loads((stored / "wave/zarr.json").read_text())["codecs"],
    )
    zarr.open_array(stored / "half", mode="r+")[:] = values[:150]
    file.write_bytes((stored / "half/c/0").read_bytes())
    refused(stored, "wave/c/0 is damaged")


def test_numbers_are_finite(toy_bank, tmp_path):
    """NaN in a bank is refused when it is opened."""
    coef = toy_bank.coef.copy()
    coef[3, 7] = np.nan
    from dataclasses import replace

    replace(toy_bank, coef=coef).save(tmp_path / "nan.zarr")
    with pytest.raises(DataError, match=r"coef.*NaN"):
        load_bank(tmp_path / "nan.zarr")
