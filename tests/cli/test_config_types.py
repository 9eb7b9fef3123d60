"""Keys of a TOML file of values that their option cannot be: one line, exit code 2."""

import pytest

from tests.cli.conftest import call

VALUES = ("[1]", "true", "{a=1}", "[]", "nan", "1e400", "1979-05-27", "[[1]]", "1.5")
KEYS = ("seed", "workers", "out", "overwrite", "bank", "population", "mag", "store")
MAY_BE = {("overwrite", "true"), ("mag", "1.5"), ("mag", "[1]"), ("mag", "nan"), ("mag", "1e400")}


@pytest.mark.parametrize("key", KEYS)
def test_wrong_types_are_one_line(key, bank_file, tmp_path):
    """Of every key and every type of TOML; nothing is written."""
    config = tmp_path / "run.toml"
    given = {"--bank": bank_file, "--out": tmp_path / "x.zarr"}
    options = [word for pair in given.items() if pair[0] != f"--{key}" for word in pair]
    for value in VALUES:
        if (key, value) in MAY_BE:
            continue
        config.write_text(f"{key} = {value}\n")
        done = call("specsim generate -n 500 --dry-run --config", config, *options)
        assert done.exit_code == 2, (key, value, done.output)
        assert done.stderr.count("\n") == 1, done.stderr
        assert "run.toml" in done.stderr
    assert sorted(tmp_path.iterdir()) == [config]


@pytest.mark.parametrize("content", [b"seed = [" * 9000, b"\xff\xfe\x00", b"seed = 1\nseed = 2"])
def test_a_file_that_is_no_toml(content, bank_file, tmp_path):
    """Nested too deep, not UTF-8, a key twice."""
    (tmp_path / "run.toml").write_bytes(content)
    done = call(
        "specsim generate --dry-run --config", tmp_path / "run.toml", "--out", tmp_path / "x"
    )
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
