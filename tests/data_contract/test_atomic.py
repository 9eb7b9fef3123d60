"""Small files: what is written is what was meant, or nothing."""

import json
import tomllib

import numpy as np
import pytest

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import (
    json_safe,
    refuse_existing,
    staged_file,
    write_text,
    write_toml,
)


def test_json_has_no_numbers_that_are_none():
    """NaN and infinity become null at any depth; numpy's numbers and arrays become plain."""
    content = {"a": np.float32(0.5), 1: [np.nan, (np.inf, 2)], "c": np.array([1.0, -np.inf])}
    safe = {"a": 0.5, "1": [None, [None, 2]], "c": [1.0, None]}
    assert json_safe(content) == safe
    assert json.loads(json.dumps(json_safe(content), allow_nan=False)) == safe


def test_toml_is_read_as_it_was_meant(tmp_path):
    """Quotes, backslashes and tables survive: what hand-written TOML got wrong."""
    values = {"name": 'a "b" \\c', "n": 3, "x": 1e-5, "yes": True, "span": [1.0, 2.0]}
    values |= {"splits": {"train": 8, "val": 1}}
    write_toml(tmp_path / "a.toml", values)
    assert tomllib.loads((tmp_path / "a.toml").read_text()) == values


def _write_half(path):
    with staged_file(path) as partial:
        partial.write_text("new")
        raise ZeroDivisionError


def test_a_failed_writer_leaves_the_old_file(tmp_path):
    """And nothing else beside it."""
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError):
        _write_half(path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_what_exists_is_replaced_only_when_asked(tmp_path):
    """A folder of the user's is never replaced."""
    refuse_existing(tmp_path / "new", overwrite=False)
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(DataError, match="exists already; choose another --out"):
        refuse_existing(tmp_path / "a.txt", overwrite=False)
    refuse_existing(tmp_path / "a.txt", overwrite=True)
    with pytest.raises(DataError, match="a folder starsmith did not write"):
        refuse_existing(tmp_path, overwrite=True)
