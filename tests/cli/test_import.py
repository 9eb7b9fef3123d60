"""``specsim grid import`` as a user meets it: layouts seen, statements asked for, notes."""

import json

import pytest

from tests.reference import model_grids as made
from tests.written.driver import run

WAVE = made.fine_wave(8470, 8690, resolution=6_000)
NODES = [(5000, 4.0, 0.0), (5250, 4.0, 0.0)]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_is_missing_is_asked_for_and_then_enough(tmp_path):
    """Each answer names the next option; the last writes the grid."""
    made.write_list(tmp_path / "l", WAVE, NODES)
    line = "specsim grid import l --out g.zarr"
    for option in ("--medium vacuum", "--flux F_lambda", "--resolution 12000"):
        code, said = run(line)
        assert code == 2
        assert said.count("\n") == 1
        assert option.split()[0] in said
        line += f" {option}"
    code, said = run(line)
    assert code == 0
    assert "2 models, 0 holes: g.zarr" in said
    assert "note: teff has 2 nodes" in said
    code, said = run("specsim grid info g.zarr --json")
    assert json.loads(said)["resolution"] == 12000


def test_the_report_as_json(tmp_path):
    """Counts and refusals of a folder of PHOENIX files, one of them misnamed."""
    made.write_phoenix(tmp_path / "p", WAVE, 5000)
    good = made.write_phoenix(tmp_path / "p", WAVE, 5250)
    good.rename(good.with_name("lte5250.PHOENIX-ACES-AGSS-COND-2011-HiRes.fits"))
    code, said = run("specsim grid import p --out g.zarr --json")
    told = json.loads(said)
    assert (code, told["imported"], len(told["refused"])) == (0, 1, 1)


def test_a_folder_of_nothing_known_says_what_is_known(tmp_path):
    """The layouts, and the table that would list any other spectra."""
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "notes.txt").write_text("nothing")
    code, said = run("specsim grid import e --out g.zarr")
    assert code == 2
    assert "bosz, phoenix, newera" in said
    assert "file, teff, logg, m_h" in said
    assert not (tmp_path / "g.zarr").exists()
