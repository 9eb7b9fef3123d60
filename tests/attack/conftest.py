"""The pristine files that attacks start from."""

import os
from pathlib import Path

import pytest

from tests.attack.world import build


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """Folder of the pristine files and of the answers."""
    named = os.environ.get("STARSMITH_ATTACK_FOLDER")
    folder = Path(named) if named else tmp_path_factory.mktemp("attack")
    pristine = folder / "pristine"
    if not (pristine / "done").exists():
        pristine.mkdir(parents=True)
        before = Path.cwd()
        os.chdir(pristine)
        build(pristine)
        os.chdir(before)
        (pristine / "done").touch()
    return folder
