"""``version`` and ``completion``: of every tool, with values for instruments, grids and models."""

import json
import os
import subprocess
import sys
from importlib import metadata

import pytest

from starsmith.simulator.instruments.config import list_instruments
from tests.cli.conftest import TOOLS, call


@pytest.mark.parametrize("tool", TOOLS)
def test_version_names_the_libraries(tool):
    found = json.loads(call(f"{tool} version --json").stdout)

    assert found["starsmith"] == metadata.version("starsmith")
    assert found["numpy"] == metadata.version("numpy")


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".local/share/bash-completion/completions/specsim"),
        ("zsh", ".zfunc/_specsim"),
        ("fish", ".config/fish/completions/specsim.fish"),
    ],
)
def test_completion_is_installed_where_the_shell_looks(shell, file, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)

    done = call(f"specsim completion {shell} --install")

    assert done.exit_code == 0, done.stderr
    assert str(tmp_path / file) in done.stdout.split()
    assert len(done.stdout.split()) == len(TOOLS)
    assert "_SPECSIM_COMPLETE" in (tmp_path / file).read_text()
    assert (
        call(f"specsim completion {shell}").stdout.strip() == (tmp_path / file).read_text().strip()
    )


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("specsim spectrum --instrument pfs", set(list_instruments())),
        ("specsim snr --instrument b+pfs_m", {"b+pfs_mr", "b+pfs_mr_paper"}),
        ("specsim bank --grid d", {"demo", "demo-optical", "demo-h"}),
        ("specfisher ceiling --target l", {"logg"}),
        ("specsim spec", {"spectrum"}),
    ],
)
def test_values_are_completed(line, values):
    tool = line.split()[0]
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", f"starsmith.cli.{tool}"],
        env={**os.environ, **words, f"_{tool.upper()}_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
    )

    assert {row.split(",")[1] for row in done.stdout.splitlines()} == values


def test_an_unknown_shell_is_asked_for(monkeypatch):
    monkeypatch.setenv("SHELL", "/bin/tcsh")

    done = call("specsim completion")

    assert done.exit_code == 2
    assert "which shell" in done.stderr
