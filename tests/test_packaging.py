"""The wheel holds every package, and works without the checkout."""

import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("data_contract", "simulator", "fisher", "learners", "cli")


def test_package_list_matches_the_folders():
    """A subpackage missing from the list would be silently absent from the wheel."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        "starsmith." + ".".join(init.parent.relative_to(ROOT).parts)
        for folder in FOLDERS
        for init in (ROOT / folder).rglob("__init__.py")
    }
    with_code = {
        "starsmith." + ".".join(module.parent.relative_to(ROOT).parts)
        for folder in FOLDERS
        for module in (ROOT / folder).rglob("*.py")
    }
    assert set(listed) == found | {"starsmith"} == with_code | {"starsmith"}


def pinned(text):
    """Package==version of every line of a list of requirements."""
    lines = (line.split(";")[0].strip(" \\") for line in text.splitlines())
    return {line for line in lines if "==" in line and not line.startswith("#")}


def test_the_lock_holds_the_pins_with_a_hash_each():
    """What installs from the lock is what make and CI install from the constraints."""
    lock = (ROOT / "requirements.lock").read_text()
    assert pinned(lock) <= pinned((ROOT / "constraints.txt").read_text())
    entries = [entry for entry in lock.split("\n") if entry and entry[0] not in "# "]
    hashed = lock.replace("\\\n    --hash", "--hash").split("\n")
    assert len(entries) > 150
    assert all("--hash=sha256:" in line for line in hashed if line and line[0] not in "# ")


def test_the_wheel_is_built_without_a_warning(clean_python):
    """What setuptools warns of today is what it refuses tomorrow."""
    said = (clean_python.parents[2] / "build.log").read_text()
    assert "starsmith" in said
    warned = [line for line in said.splitlines() if "warning" in line.lower()]
    assert [line for line in warned if "byte-compiling is disabled" not in line] == []


def test_wheel_works_alone(clean_python):
    """Every package and data file is found in the wheel, none in the checkout."""
    script = """
import starsmith
import starsmith.cli, starsmith.fisher, starsmith.learners
from pathlib import Path
assert (Path(starsmith.__file__).parent / "py.typed").exists()
from starsmith import simulator
from starsmith.simulator.instruments import load_instrument
assert load_instrument("pfs_mr").name == "pfs_mr"
print(simulator.__file__)
"""
    found = subprocess.run(
        [clean_python, "-c", script], capture_output=True, text=True, cwd="/", check=True
    )
    assert "site-packages" in found.stdout
    assert str(ROOT) not in found.stdout


@pytest.mark.parametrize("command", ["specsim", "speclearn", "specfisher", "specdata"])
def test_commands_answer(clean_python, command):
    """The four commands start from the wheel."""
    script = f"import sys; sys.argv = ['{command}', '--help']; "
    script += f"from starsmith.cli.{command} import main; main()"
    found = subprocess.run([clean_python, "-c", script], capture_output=True, text=True, cwd="/")
    assert found.returncode == 0, found.stderr
    assert f"Usage: {command}" in found.stdout
