"""Text, JSON, TOML, packed files and arrays from outside: bounded memory, one line."""

import bz2
import gzip
import io
import json
import os
import zipfile

import numpy as np
import pytest

from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.files.outside import (
    check_plain,
    read_file,
    read_json,
    read_json_lines,
    read_npz,
    read_text,
    read_toml,
    toml_of,
    unpack,
)

READERS = (read_json, read_json_lines, read_toml, read_text)


@pytest.mark.parametrize("reader", READERS)
def test_only_regular_files_are_opened(reader, tmp_path):
    """A folder, a pipe and a device, also behind a link, are refused at once."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for name in (".", "pipe", "zero", "loop"):
        with pytest.raises(DataError) as caught:
            reader(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"a = [" + b"[" * 50_000, b"a = ", b"a = 1\na = 2", b"a" * (2**20 + 1)],
)
def test_toml_that_is_none(content, tmp_path):
    """Not UTF-8, too deep, cut short, twice the same key, too large: the error asked for."""
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"x\.toml"):
        read_toml(tmp_path / "x.toml", ConfigError)


def test_toml_of_a_text_too_deep():
    """A ValueError as of any other text that is none."""
    with pytest.raises(ValueError, match="too deep"):
        toml_of("a = " + "[" * 50_000)


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000, b"\xff", b'{"a": 1', b"1" * 5000])
def test_json_that_is_none(content, tmp_path):
    """Deep nesting and numbers of thousands of digits included."""
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.json"):
        read_json(tmp_path / "x.json")


def test_files_are_not_read_beyond_their_bound(tmp_path):
    """The size is known before a byte is read."""
    with open(tmp_path / "large", "wb") as stream:
        stream.truncate(2**40)  # a hole: no disk is used
    with pytest.raises(OSError, match="at most 100"):
        read_file(tmp_path / "large", 100)
    with pytest.raises(DataError, match="large"):
        read_json(tmp_path / "large")


@pytest.mark.parametrize(("packing", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_unpacking_is_bounded_and_exact(packing, pack):
    """Several members are one text; a bomb stops at the bound; cut or flipped is damaged."""
    rng = np.random.default_rng(1)
    content = rng.bytes(200_000)
    assert unpack(pack(content), packing, 200_000) == content
    assert unpack(pack(content[:1000]) + pack(content[1000:]), packing, 200_000) == content
    bomb = pack(bytes(10**7))
    with pytest.raises(ValueError, match="more than 100000"):
        unpack(bomb, packing, 100_000)
    packed = pack(content)
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 1
    for bad in (
        packed[:-9],
        packed[: len(packed) // 2],
        bytes(flipped),
        b"no archive",
        packed + b"x",
    ):
        with pytest.raises(ValueError, match=r"damaged|cut short"):
            unpack(bad, packing, 300_000)


def npz(**members):
    """An archive of the members given."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def npy(array):
    """An array as a file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_arrays_of_an_archive_are_those_asked_for(tmp_path):
    """Others are not looked at."""
    path = tmp_path / "x.npz"
    path.write_bytes(npz(a=npy(np.arange(3.0)), other=b"junk"))
    np.testing.assert_array_equal(read_npz(path, ["a"], 10_000)["a"], np.arange(3.0))


@pytest.mark.parametrize(
    "content",
    [
        npz(a=npy(np.zeros(10**6))),
        npz(a=npy(np.array([{}], dtype=object))),
        npz(a=npy(np.arange(3.0))[:-8]),
        npz(a=b"junk"),
        npz(b=npy(np.arange(3.0))),
        npz(a=npy(np.arange(3.0)))[:-30],
        b"",
    ],
)
def test_archives_that_are_refused(content, tmp_path):
    """A bomb, a pickle, arrays cut short or missing, a file cut short."""
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.npz"):
        read_npz(path, ["a"], 10_000)


def test_a_packed_table_is_not_unpacked_on_the_quiet(tmp_path):
    """Readers of tables would: 1 MB of gzip under a plain name may be 1 GB."""
    for content in (gzip.compress(b"a,b"), bz2.compress(b"a,b"), npz(a=b"")):
        (tmp_path / "x.csv").write_bytes(content)
        with pytest.raises(OSError, match="packed"):
            check_plain(tmp_path / "x.csv", 10_000)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    check_plain(tmp_path / "x.csv", 10_000)


def test_lines_of_json(tmp_path):
    """No file is no rows; a line that is no object is damage."""
    path = tmp_path / "rows.jsonl"
    assert read_json_lines(path) == []
    path.write_text(json.dumps({"a": 1}) + "\n")
    assert read_json_lines(path) == [{"a": 1}]
    for bad in ("{", "[]", "1"):
        path.write_text(bad)
        with pytest.raises(DataError, match="rows"):
            read_json_lines(path)
