"""Files written long ago leave the memory: which, and that they stay what they are."""

import os

from starsmith.data_contract.dataset import split_columns
from starsmith.data_contract.files.page_cache import give_back
from tests.data_contract.example import make_header, write_example


def test_each_file_is_given_back_when_written_and_once_it_is_not_among_the_last(
    noise, tmp_path, monkeypatch
):
    """The first call starts its way to the disk, the second finds it there."""
    given = []
    monkeypatch.setattr(split_columns, "give_back", lambda *files: given.extend(files))
    monkeypatch.setattr(split_columns, "KEPT_FILES", 2)
    write_example(tmp_path / "a.zarr", make_header(noise, counts={"train": 100}))
    asked = [file.parent.name for file in given if "flux_model" in file.parts]
    assert asked == ["0", "-2", "1", "-1", "2", "0", "3", "1"]


def test_a_file_given_back_keeps_its_bytes(tmp_path, monkeypatch):
    """Where nothing is there, or the system takes no advice, nothing happens."""
    file = tmp_path / "file"
    give_back(file)
    file.write_bytes(bytes(range(256)) * 64)
    give_back(file)
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    give_back(file)
    assert file.read_bytes() == bytes(range(256)) * 64
