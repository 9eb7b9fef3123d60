"""A quantity of a star in two files: its row of the table, and its field of the draws."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = """
    Quantity(
        "toy",
        "m s-1",
        "macroturbulence",
        "star",
        default=(0.0, 0.0),
        limits=(0.0, 90.0),
        help="Macroturbulence [m/s]",
        sometimes=True,
    ),
    Quantity(
        "seeing","""
EDITS = {
    "data_contract/quantities.py": ('\n    Quantity(\n        "seeing",', ROW),
    "data_contract/draws.py": (
        "    ebv: np.ndarray | None = None\n",
        "    ebv: np.ndarray | None = None\n    toy: np.ndarray | None = None\n",
    ),
}
PROGRAM = """
import json
import numpy as np
from click.testing import CliRunner
from starsmith.cli.specsim import main
from starsmith.data_contract.dataset.schema import MEANINGS
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.quantities import UNITS
from starsmith.simulator.prior import Prior

still = Prior.default().draw(1, "train", np.arange(4))
drawn = Prior.default().with_ranges(toy=(20.0, 40.0)).draw(1, "train", np.arange(4))
again = Draws.of_columns(1, "train", drawn.label_names, {"index": drawn.index, **drawn.columns})
run = CliRunner().invoke
print(json.dumps({
    "toy": drawn.toy.tolist(),
    "taken": drawn.take(slice(1, 3)).toy.tolist(),
    "again": again.toy.tolist(),
    "still": still.toy.tolist(),
    "others": [n for n, v in still.columns.items() if (v != drawn.columns[n]).any()],
    "recorded": [name for name in Prior.default().with_ranges(toy=(1.0, 2.0)).recorded()],
    "not recorded": [name for name in Prior.default().recorded()],
    "unit": UNITS["toy"],
    "meaning": MEANINGS.get("toy"),
    "help": run(main, ["generate", "--help"]).output,
    "outside": run(main, ["generate", "--toy", "0..91", "--dry-run", "-n", "100"]).output,
}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a copy of the product says of the quantity after two edits."""
    package = tmp_path_factory.mktemp("toy") / "starsmith"
    for folder in ("data_contract", "simulator", "fisher", "learners", "cli"):
        shutil.copytree(
            ROOT / folder, package / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in (ROOT / "api").glob("__init__.py*"):
        shutil.copy(file, package)
    for name, (old, new) in EDITS.items():
        text = (package / name).read_text()
        assert text.count(old) == 1
        (package / name).write_text(text.replace(old, new))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(package.parent), "HOME": str(package.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_is_drawn_and_carried_like_every_other(told):
    """Stars have it within its range, through every form of the draws; others stay as they are."""
    assert len(set(told["toy"])) == 4
    assert all(20.0 <= value <= 40.0 for value in told["toy"])
    assert told["taken"] == told["toy"][1:3]
    assert told["again"] == told["toy"]
    assert told["still"] == [0.0] * 4
    assert told["others"] == ["toy"]


def test_it_is_an_option_a_unit_and_a_record(told):
    """The command offers it with its help and limits; files would record it where it is used."""
    assert "--toy" in told["help"]
    assert "Macroturbulence [m/s]" in told["help"]
    assert "toy range 0..91 is not increasing within 0..90" in told["outside"]
    assert told["unit"] == "m s-1"
    assert told["meaning"] == "macroturbulence"
    assert "toy" in told["recorded"]
    assert "toy" not in told["not recorded"]
