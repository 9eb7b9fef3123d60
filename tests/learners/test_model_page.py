"""The page of a trained model, compared whole."""

import json
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import call

GOLDEN = Path(__file__).parent / "golden_model_page.txt"


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A checkpoint written once, named as a user in its folder would."""
    with zipfile.ZipFile(Path(__file__).parents[1] / "kept" / "before.zip") as kept:
        kept.extractall(tmp_path, [name for name in kept.namelist() if name.startswith("mlp/")])
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mlp"


def test_the_page_is_the_golden_file(model):
    card = model / "card.json"
    content = json.loads(card.read_text())
    content["limits"]["velocity"] = [0.0, 0.0]  # as cards say today
    card.write_text(json.dumps(content, indent=2) + "\n")
    done = call("speclearn info mlp")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == GOLDEN.read_text()


def test_the_card_itself_is_there_for_programs(model):
    shown = json.loads(call("speclearn info mlp --json").stdout)
    assert (shown["schema"], shown["card"]["labels"]) == ("speclearn.info", ["logg"])


def test_what_is_no_model_is_refused(model, tmp_path):
    done = call("speclearn info", tmp_path)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
