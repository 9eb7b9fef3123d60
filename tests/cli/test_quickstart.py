"""The documentation's code runs as it stands."""

import re
from pathlib import Path

import starsmith.simulator

QUICKSTART = Path(__file__).resolve().parents[2] / "docs" / "quickstart.md"


def test_quickstart_runs_top_to_bottom(toy_bank, tmp_path, monkeypatch):
    """Every block in order, with the toy bank in place of the demonstration grid."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(starsmith.simulator, "cached_bank", lambda *names: toy_bank)
    blocks = re.findall(r"```python\n(.*?)```", QUICKSTART.read_text(), re.DOTALL)
    namespace = {}

    for block in blocks:
        exec(compile(block, str(QUICKSTART), "exec"), namespace)

    assert len(blocks) >= 5
    assert namespace["estimate"].unit == "dex(cm s-2)"
    assert namespace["best"] < 1
